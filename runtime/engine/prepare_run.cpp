#include "runtime/engine/prepare_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/engine/request_validation.h"

namespace weft::engine {
namespace {

std::uint32_t partition_of(const std::string& run_id) {
  return static_cast<std::uint32_t>(hash64(run_id) % memory::kPartitions);
}

}  // namespace

Result<Submission> prepare_submission(const PrepareWorld& world, const v1::RunsSubmitRequest& request) {
  WEFT_RETURN_IF_ERROR(check_request(request, world.limits));
  WEFT_TRY(const std::string hash, world.registry.resolve(request.workflow(), request.workflow_hash()));
  Submission submission;
  WEFT_TRY(submission.definition, world.registry.definition(hash));
  const workflows::Workflow& workflow = *submission.definition.workflow;
  for (const workflows::Step& step : workflow.steps) {
    const auto* prompt = std::get_if<workflows::PromptBody>(&step.body);
    if (prompt == nullptr) continue;
    // A run whose first call must fail is not begun.
    if (auto route = world.routes.find(prompt->agent.model); !route) return std::move(route).error();
  }
  WEFT_TRY(const Json given, given_inputs(request, workflow));
  WEFT_TRY(const Json inputs, workflows::check_inputs(workflow, given));
  submission.input = to_text(inputs);
  submission.run_id = new_id(world.clock.now(), world.entropy);
  submission.partition = partition_of(submission.run_id);
  submission.request_digest = payload_digest(request, hash, submission.input);
  submission.request = request;
  submission.request.clear_input_json();
  submission.request.clear_input_texts();
  return submission;
}

Result<ForkStart> prepare_fork(const PrepareWorld& world, const v1::RunsForkRequest& request) {
  v1::RunsSubmitRequest submit;
  *submit.mutable_labels() = request.labels();
  submit.set_request_id(request.request_id());
  submit.set_input_json(request.input_json());
  submit.set_by(request.by());
  submit.set_by_token(request.by_token());
  WEFT_RETURN_IF_ERROR(check_request(submit, world.limits));
  if (request.from().empty()) return invalid_argument("a fork begins somewhere: name the path of a step in `from`");
  WEFT_TRY(const memory::RunRow source, world.journal.run(request.run_id()));
  ForkStart start;
  std::string hash = source.workflow_hash;
  if (!request.workflow().empty() || !request.workflow_hash().empty()) {
    WEFT_TRY(hash, world.registry.resolve(request.workflow(), request.workflow_hash()));
  }
  WEFT_TRY(start.submission.definition, world.registry.definition(hash));
  if (!request.model().empty()) {
    WEFT_TRY(const Route route, world.routes.find(request.model()));
  }
  WEFT_TRY(const history::RunDefinition of_source, world.registry.definition_of(source));
  WEFT_TRY(start.past, history::share_past(world.journal, source, request, of_source, start.submission.definition));
  start.own_input = !request.input_json().empty();
  const v1::Content& shared = start.past.events.front().run_submitted().input_json();
  WEFT_TRY(const auto recorded, history::read_content(shared, world.journal));
  WEFT_TRY(const Json given, parse_untrusted(start.own_input ? request.input_json() : *recorded));
  WEFT_TRY(const Json inputs, workflows::check_inputs(*start.submission.definition.workflow, given));
  start.submission.input = to_text(inputs);
  start.own_input = start.own_input || start.submission.input != *recorded;  // A new definition may have more inputs.
  start.submission.run_id = new_id(world.clock.now(), world.entropy);
  start.submission.partition = partition_of(start.submission.run_id);
  start.submission.request_digest =
      payload_digest(submit,
                     fmt::format("{}:{}:{}:{}:{}:{}", hash, source.id, request.from(), request.model(),
                                 static_cast<int>(request.effects()), fmt::join(request.rerun(), ",")),
                     start.submission.input);
  submit.clear_input_json();
  start.submission.request = std::move(submit);
  start.forked.set_source_run(source.id);
  start.forked.set_from(request.from());
  start.forked.set_source_seq(start.past.source_seq);
  for (v1::KeyGeneration& generation : start.past.generations) *start.forked.add_generations() = std::move(generation);
  start.forked.set_effects(request.effects() == v1::FORK_EFFECTS_UNSPECIFIED ? v1::FORK_EFFECTS_ASK
                                                                             : request.effects());
  start.forked.set_model(request.model());
  return start;
}

v1::Run as_submitted(const Submission& submission, Time now) {
  v1::Run run;
  run.set_id(submission.run_id);
  run.set_workflow(submission.definition.workflow->name);
  *run.mutable_labels() = submission.request.labels();
  run.set_priority(submission.request.priority());
  run.set_by(submission.request.by());
  run.set_by_token(submission.request.by_token());
  run.set_submitted_at_us(now.time_since_epoch().count());
  return run;
}

}  // namespace weft::engine
