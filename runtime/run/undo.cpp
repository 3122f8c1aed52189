// Taking back, where a run fails or is cancelled, what its tools did: the last first, one after another. Each is a step
// of its own at the path of the call with `/undo` behind; one that does not work is recorded, and the others follow.
#include <fmt/format.h>

#include "runtime/run/state.h"

namespace weft::run {
namespace {

constexpr std::uint32_t kAttemptsMax = 3;

}  // namespace

const workflows::Step& undo_step() {
  static const workflows::Step kStep = [] {
    workflows::Step step;
    step.kind = workflows::StepKind::kTool;
    step.retry.attempts = kAttemptsMax;
    return step;
  }();
  return kStep;
}

bool Run::State::is_undo(std::string_view path) const {
  const Undoable* done = effects.next_undo();
  return done != nullptr && path == done->undo_path();
}

bool Run::State::fits_undo(const v1::Event& event) const {
  using Kind = v1::Event::KindCase;
  const Execution* execution = undo ? undo->execution.get() : nullptr;
  switch (event.kind_case()) {
    case Kind::kAttemptStarted: return execution == nullptr && (!undo || undo->retry_due_us == 0);
    case Kind::kAttemptFailed: return execution != nullptr;
    case Kind::kStepEnded: return true;
    case Kind::kTimerFired:
      if (event.timer_fired().timer() == v1::TIMER_KIND_RETRY) return undo && undo->retry_due_us > 0;
      [[fallthrough]];
    case Kind::kToolCallStarted:
    case Kind::kToolCallEnded:
    case Kind::kToolCallInDoubt:
    case Kind::kToolCallVerified:
    case Kind::kToolCallResolved:
      return execution != nullptr && execution->attempt == event.attempt() && fits_call(event, *execution);
    default: return false;
  }
}

void Run::State::apply_to_undo(const v1::Event& event) {
  switch (event.kind_case()) {
    case v1::Event::kAttemptStarted: {
      if (!undo) undo.emplace();
      undo->execution = std::make_unique<Execution>();
      Execution& execution = *undo->execution;
      execution.step = &undo_step();
      execution.path = event.path();
      execution.attempt = event.attempt();
      execution.turn = 0;
      execution.phase = Execution::Phase::kTools;
      const std::string& tool = facts_of(effects.next_undo()->tool)->policy.undo->tool;
      execution.calls.push_back(plan_call(execution, nullptr, tool, tool, event.attempt_started().input()));
      return issue_tools(execution);
    }
    case v1::Event::kAttemptFailed:
      outbox.push_back(Drop{undo->execution->key()});
      undo->execution.reset();
      undo->attempt = event.attempt() + 1;
      undo->retry_due_us = event.attempt_failed().retry_at_us();
      outbox.push_back(StartTimer{{event.path(), undo->attempt, 0, 0}, v1::TIMER_KIND_RETRY, undo->retry_due_us});
      return;
    case v1::Event::kStepEnded:
      if (undo && undo->execution) outbox.push_back(Drop{undo->execution->key()});
      effects.end_undo(event.step_ended().result());
      undo.reset();
      return;
    case v1::Event::kTimerFired:
      if (event.timer_fired().timer() == v1::TIMER_KIND_RETRY) {
        undo->retry_due_us = 0;
        return;
      }
      [[fallthrough]];
    default: apply_to_call(*undo->execution, undo->execution->calls[event.call() - 1], event);
  }
}

// By a kill.
void Run::State::cut_off_undo() {
  const bool left = undo && undo->execution && undo->execution->calls.front().started;
  if (left) effects.cut_off_undo();
  undo.reset();
}

std::optional<v1::Event> Run::State::decide_undo() {
  const Undoable& done = *effects.next_undo();
  const std::string path = done.undo_path();
  const std::uint32_t attempt = undo ? undo->attempt : 1;
  const auto end = [&](v1::StepResult result) {
    v1::Event event = draft(path, attempt);
    *event.mutable_step_ended()->mutable_result() = std::move(result);
    return event;
  };
  if (killing) return undo && undo->execution ? give_up_waiting(*undo->execution) : std::nullopt;
  if (!undo || !undo->execution) {
    if (undo && undo->retry_due_us > 0) return std::nullopt;
    const auto facts = facts_of(done.tool);
    if (!facts || !facts->policy.undo)
      return end(failed(v1::ERROR_KIND_INTERNAL, fmt::format("the tool {} names no undo any more", done.tool)));
    auto args = counterpart_args(*facts->policy.undo, done.arguments, done.key, done.path, &done.output);
    if (!args) return end(failed(v1::ERROR_KIND_EXPRESSION, args.error().message));
    v1::Event event = draft(path, attempt);
    event.mutable_attempt_started()->set_kind(v1::STEP_KIND_TOOL);
    *event.mutable_attempt_started()->mutable_input() = *std::move(args);
    return event;
  }
  Execution& execution = *undo->execution;
  if (auto event = decide_doubts(execution, Next::kNone)) return event;
  const ToolCallState& call = execution.calls.front();
  if (execution.phase == Execution::Phase::kTools) return decide_tools(execution);
  if (execution.phase == Execution::Phase::kFailed) {
    v1::StepResult result = failed(v1::ERROR_KIND_IN_DOUBT, execution.failure.message(), attempt);
    return end(std::move(result));
  }
  if (call.outcome == v1::TOOL_OUTCOME_DONE) return end(outcome(execution.tool_output));
  if (call.outcome == v1::TOOL_OUTCOME_SKIPPED) {
    v1::StepResult result;
    result.set_status(v1::STEP_STATUS_SKIPPED);
    result.set_reason("in_doubt");
    return end(std::move(result));
  }
  const auto why = contents.bytes(execution.tool_output);
  v1::StepResult result =
      failed(call.outcome == v1::TOOL_OUTCOME_REFUSED ? v1::ERROR_KIND_INPUT : v1::ERROR_KIND_TOOL_FAILED,
             why ? **why : why.error().message, attempt);
  if (call.outcome == v1::TOOL_OUTCOME_REFUSED || attempt >= kAttemptsMax) return end(std::move(result));
  v1::Event event = draft(path, attempt);
  *event.mutable_attempt_failed()->mutable_failure() = result.failure();
  event.mutable_attempt_failed()->set_retry_at_us(
      at_us + workflows::backoff(undo_step().retry, attempt, identity.run_id() + path).count());
  return event;
}

}  // namespace weft::run
