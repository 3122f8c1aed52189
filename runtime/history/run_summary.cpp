#include "runtime/history/run_summary.h"

#include "workflows/path.h"

namespace weft::history {
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

// A doubt is open until the call is known to have ended, leaves again, or somebody has said what becomes of it.
void count_doubt(const v1::Event& event, v1::Run& run) {
  const std::string path = workflows::call_path(event.path(), event.attempt(), event.turn(), event.call());
  const bool settles =
      event.has_tool_call_ended() || event.has_tool_call_started() ||
      (event.has_tool_call_resolved() && event.tool_call_resolved().resolution() != v1::RESOLUTION_UNKNOWN);
  if (event.has_tool_call_in_doubt()) {
    v1::Doubt& doubt = *run.add_doubts();
    doubt.set_path(path);
    doubt.set_tool(event.tool_call_in_doubt().tool());
    doubt.set_why(event.tool_call_in_doubt().why());
    doubt.set_since_us(event.at_us());
    doubt.set_asked(event.tool_call_in_doubt().asked());
  } else if (event.has_step_ended() || event.has_attempt_failed() || event.has_run_ended() || event.has_run_forked()) {
    // What was never let go needs no settling once nobody wants it any more; a fork asks for itself.
    auto& doubts = *run.mutable_doubts();
    for (int i = doubts.size(); i-- > 0;) {
      if (doubts[i].asked() && workflows::lies_within(doubts[i].path(), event.path())) doubts.DeleteSubrange(i, 1);
    }
  } else if (settles) {
    auto& doubts = *run.mutable_doubts();
    for (int i = doubts.size(); i-- > 0;) {
      if (doubts[i].path() == path) doubts.DeleteSubrange(i, 1);
    }
  }
  run.set_doubts_open(static_cast<std::uint32_t>(run.doubts_size()));
}

}  // namespace

void add_to_summary(const v1::Event& event, v1::Run& run) {
  if (event.has_tool_call_in_doubt() || run.doubts_size() > 0) count_doubt(event, run);
  run.set_last_seq(event.seq());
  run.set_digest(event.digest());
  using Kind = v1::Event::KindCase;
  switch (event.kind_case()) {
    case Kind::kRunSubmitted: {
      const v1::RunSubmitted& submitted = event.run_submitted();
      run.set_id(submitted.identity().run_id());
      run.set_partition(submitted.identity().partition());
      run.set_request_id(submitted.identity().request_id());
      run.set_by(submitted.identity().by());
      run.set_by_token(submitted.identity().by_token());
      run.set_workflow(submitted.workflow());
      run.set_workflow_hash(submitted.workflow_hash());
      *run.mutable_labels() = submitted.labels();
      run.set_priority(submitted.priority());
      run.set_status(v1::RUN_STATUS_RUNNING);
      run.set_submitted_at_us(event.at_us());
      return;
    }
    case Kind::kRunEnded:
      run.set_status(event.run_ended().status());
      run.set_ended_at_us(event.at_us());
      run.set_undos_failed(event.run_ended().undos_failed());
      if (event.run_ended().has_output_json()) *run.mutable_output_json() = event.run_ended().output_json();
      if (event.run_ended().has_failure()) *run.mutable_failure() = event.run_ended().failure();
      return;
    case Kind::kRunRetried:
      run.set_status(v1::RUN_STATUS_RUNNING);
      run.clear_ended_at_us();
      run.clear_undos_failed();
      run.clear_output_json();
      run.clear_failure();
      return;
    case Kind::kRunForked:
      // What was paid and done before it, the source paid and did.
      run.set_submitted_at_us(event.at_us());
      run.set_forked_from(event.run_forked().source_run());
      run.clear_usage();
      run.clear_cost();
      run.clear_calls_without_price();
      run.clear_model_calls();
      run.clear_model_calls_lost();
      run.clear_tool_calls();
      run.clear_simulated();
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

}  // namespace weft::history
