#include "runtime/engine/shard/begin_run.h"

#include <utility>

namespace weft::engine {
namespace {

void identify(v1::RunSubmitted& submitted, const Submission& submission) {
  v1::RunIdentity& identity = *submitted.mutable_identity();
  identity.set_run_id(submission.run_id);
  identity.set_partition(submission.partition);
  identity.set_request_id(submission.request.request_id());
  identity.set_by(submission.request.by());
  identity.set_by_token(submission.request.by_token());
  submitted.set_workflow(submission.definition.workflow->name);
  submitted.set_workflow_hash(submission.definition.workflow->hash);
}

Status pin_tools(v1::RunSubmitted& submitted, LoadedRun& loaded) {
  submitted.clear_tools_json();
  if (loaded.tools->specs().empty()) return {};
  WEFT_TRY(*submitted.mutable_tools_json(), loaded.contents.put(loaded.tools->json()));
  return {};
}

}  // namespace

Status take_submission(ActiveRun& run, Submission submission) {
  v1::Event event;
  v1::RunSubmitted& submitted = *event.mutable_run_submitted();
  identify(submitted, submission);
  submitted.mutable_identity()->set_lineage(submission.run_id);
  submitted.mutable_identity()->set_traceparent(submission.request.traceparent());
  submitted.set_semantics(run::kSemantics);
  submitted.set_priority(submission.request.priority());
  *submitted.mutable_labels() = submission.request.labels();
  submitted.set_scheduled_for_us(submission.scheduled_for_us);
  if (submission.scheduled_for_us != 0) submitted.set_schedule(submission.definition.workflow->name);
  WEFT_TRY(*submitted.mutable_input_json(), run.loaded().contents.put(std::move(submission.input)));
  WEFT_RETURN_IF_ERROR(pin_tools(submitted, run.loaded()));
  return run.note_recorded(event);
}

Status take_past(ActiveRun& run, ForkStart start) {
  Submission& submission = start.submission;
  LoadedRun& loaded = run.loaded();
  v1::RunSubmitted& submitted = *start.past.events.front().mutable_run_submitted();
  identify(submitted, submission);
  submitted.mutable_identity()->set_lineage(start.past.lineage);
  if (!submission.request.labels().empty()) *submitted.mutable_labels() = submission.request.labels();
  if (start.own_input) {
    WEFT_TRY(*submitted.mutable_input_json(), loaded.contents.put(std::move(submission.input)));
  }
  WEFT_RETURN_IF_ERROR(pin_tools(submitted, loaded));
  run.recorder.batch().share(std::move(start.past.blobs));
  for (v1::Event& event : start.past.events) {
    const std::int64_t at_us = event.at_us();
    WEFT_RETURN_IF_ERROR(run.note_recorded(event, at_us));
    run.recorder.batch().begin_another_if_full();
  }
  v1::Event forked;
  *forked.mutable_run_forked() = std::move(start.forked);
  WEFT_RETURN_IF_ERROR(run.note_recorded(forked));
  loaded.begun = true;
  while (loaded.run->next()) {
    // The source handed it out; what the fork wants of it, outstanding() says.
  }
  loaded.contents.bound(kLoopBytesMax);
  loaded.run->reseed_agenda(kLoopUnits);
  loaded.contents.unbound();
  loaded.contents.drop();
  return {};
}

}  // namespace weft::engine
