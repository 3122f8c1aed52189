#include "runtime/engine/tally.h"

namespace weft::engine {
namespace {

void add(v1::Usage& sum, const v1::Usage& usage) {
  if (usage.has_input_hit()) sum.set_input_hit(sum.input_hit() + usage.input_hit());
  if (usage.has_input_miss()) sum.set_input_miss(sum.input_miss() + usage.input_miss());
  if (usage.has_input_write()) sum.set_input_write(sum.input_write() + usage.input_write());
  if (usage.has_output()) sum.set_output(sum.output() + usage.output());
  if (usage.has_reasoning()) sum.set_reasoning(sum.reasoning() + usage.reasoning());
  sum.set_estimated(sum.estimated() || usage.estimated());
}

// Of ModelCallEnded and ModelCallFailed alike.
template <class Call>
void book(const Call& call, v1::Run& run) {
  if (!call.has_usage()) return;
  add(*run.mutable_usage(), call.usage());
  if (call.has_cost()) {
    v1::Cost& sum = *run.mutable_cost();
    sum.set_pico_usd(sum.pico_usd() + call.cost().pico_usd());
    sum.set_simulated(sum.simulated() || call.cost().simulated());
  } else {
    run.set_calls_without_price(run.calls_without_price() + 1);
  }
  // Absent where nothing is known: never 0 for unknown.
  if (run.has_cost()) run.mutable_cost()->set_partial(run.calls_without_price() > 0);
}

}  // namespace

void tally(const v1::Event& event, v1::Run& run) {
  run.set_last_seq(event.seq());
  run.set_digest(event.digest());
  using Kind = v1::Event::KindCase;
  switch (event.kind_case()) {
    case Kind::kRunSubmitted: {
      const v1::RunSubmitted& submitted = event.run_submitted();
      run.set_id(submitted.identity().run_id());
      run.set_partition(submitted.identity().partition());
      run.set_request_id(submitted.identity().request_id());
      run.set_workflow(submitted.workflow());
      run.set_workflow_hash(submitted.workflow_hash());
      *run.mutable_labels() = submitted.labels();
      run.set_status(v1::RUN_STATUS_RUNNING);
      run.set_submitted_at_us(event.at_us());
      return;
    }
    case Kind::kRunEnded:
      run.set_status(event.run_ended().status());
      run.set_ended_at_us(event.at_us());
      if (event.run_ended().has_output_json()) *run.mutable_output_json() = event.run_ended().output_json();
      if (event.run_ended().has_failure()) *run.mutable_failure() = event.run_ended().failure();
      return;
    case Kind::kStepEnded: run.set_steps_ended(run.steps_ended() + 1); return;
    case Kind::kModelCallStarted:
      run.set_model_calls(run.model_calls() + 1);
      run.set_simulated(run.simulated() || event.model_call_started().simulated());
      return;
    case Kind::kModelCallEnded: book(event.model_call_ended(), run); return;
    case Kind::kModelCallFailed:
      book(event.model_call_failed(), run);
      if (event.model_call_failed().failure() == "lost") run.set_model_calls_lost(run.model_calls_lost() + 1);
      return;
    case Kind::kToolCallStarted: run.set_tool_calls(run.tool_calls() + 1); return;
    default: return;
  }
}

}  // namespace weft::engine
