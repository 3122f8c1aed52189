// A run that goes on after its end (retry), and one that goes its own way from another one's past (fork).
//
// A retry reopens every scope that failed or was cut off, from the run's own inward: what succeeded stands, a group
// goes on in the round where it stopped, an agent whose conversation was broken off goes on in it, and everything else
// begins a new attempt.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/run/state.h"
#include "workflows/path.h"

namespace weft::run {

using Phase = Execution::Phase;

namespace {

// An agent that was not given up for what it said: the network failed, or it was cut off from outside.
bool goes_on(const Execution& execution) {
  if (execution.step->kind != workflows::StepKind::kPrompt) return false;
  if (execution.failure.kind() == v1::ERROR_KIND_TIMED_OUT || execution.failure.kind() == v1::ERROR_KIND_DEADLINE)
    return false;
  return execution.phase != Phase::kAnswered && execution.phase != Phase::kTurnsSpent;
}

// Whether the slot's own end has to be taken back with its step's.
bool slot_begins_again(const Slot& slot, const workflows::Step& step) {
  if (slot.phase != Slot::Phase::kDone) return true;
  return slot.result.status() == v1::STEP_STATUS_FAILED &&
         step.for_each->on_item_error == workflows::ForEach::OnError::kFail;
}

}  // namespace

bool begins_again(const StepState& step, const workflows::Step& definition) {
  if (step.result.status() == v1::STEP_STATUS_CANCELLED) return step.result.reason() != "join";
  return step.result.status() == v1::STEP_STATUS_FAILED && definition.on_error.kind == workflows::OnError::Kind::kFail;
}

std::optional<std::string> Run::State::refuse_retry() const {
  if (end_status != v1::RUN_STATUS_FAILED && end_status != v1::RUN_STATUS_CANCELLED) {
    return "nothing of it failed or was cut off, so there is nothing to begin again; `weft fork` makes another run of "
           "it";
  }
  if (!effects.undone().empty()) {
    return fmt::format(
        "{} was done and has been, or may have been, taken back, so what stands is not what is recorded; fork it from "
        "there, or from before",
        effects.undone());
  }
  return refuse_retry(*top);
}

std::optional<std::string> Run::State::refuse_retry(const Scope& scope) const {
  for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
    const StepState& step = scope.steps[i];
    const workflows::Step& own = definition(*this, scope, i);
    if (!begins_again(step, own)) continue;
    for (const Slot& slot : step.slots) {
      if (!slot.resume_point || !slot_begins_again(slot, own)) continue;
      const Execution& execution = *slot.resume_point->execution;
      for (std::uint32_t call = 0; call < execution.calls.size(); ++call) {
        const ToolCallState& state = execution.calls[call];
        const bool unknown = state.in_doubt || execution.failure.kind() == v1::ERROR_KIND_IN_DOUBT;
        if (!tools::changes_world(state.effect) || !unknown || state.asked) continue;
        return fmt::format(
            "whether {} was done at {} is not known, so it is not begun again; fork it from there with `--effects ask`",
            state.tool, workflows::call_path(execution.path, execution.attempt, execution.turn, call + 1));
      }
      if (execution.inner) {
        if (auto why = refuse_retry(*execution.inner)) return why;
      } else if (own.kind == workflows::StepKind::kPrompt && execution.effect_started && !goes_on(execution)) {
        return fmt::format(
            "the agent at {} changed the world before it failed, so it is not begun afresh; fork it from there",
            execution.path);
      }
    }
  }
  return std::nullopt;
}

void Run::State::retry() {
  ended = cancelling = killing = grace_over = paused = false;
  effects.renew_finally();
  reopen(*top);
  limited = std::ranges::any_of(top->steps, [](const StepState& step) { return step.result.limited(); });
  if (workflow->deadline) {
    deadline_due_us = at_us + workflow->deadline->count();
    outbox.push_back(StartTimer{{"", 0, 0, 0}, v1::TIMER_KIND_DEADLINE, deadline_due_us});
  }
  consider_all(*top);
}

Run::State::Reopened Run::State::reopen(Scope& scope) {
  scope.closing = false;
  scope.failure.reset();
  scope.finally_failure.reset();
  bool again = false;
  for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
    const bool reopened = reopen_step(scope, i) == Reopened::kYes;
    again = again || (reopened && !scope.is_finally(i));
  }
  if (again && scope.body_result) begin_finally_anew(scope);
  return again ? Reopened::kYes : Reopened::kNo;
}

Run::State::Reopened Run::State::reopen_step(Scope& scope, std::uint32_t at) {
  StepState& step = scope.steps[at];
  const workflows::Step& own = definition(*this, scope, at);
  if (step.phase != StepState::Phase::kEnded || !begins_again(step, own)) return Reopened::kNo;
  --(scope.is_finally(at) ? scope.ended_last : scope.ended);
  step.phase = step.slots.empty() ? StepState::Phase::kPending : StepState::Phase::kRunning;
  step.closing = false;
  step.failing.reset();
  step.result.Clear();
  step.output_json.reset();
  step.next_slot = step.working = step.done = 0;
  for (std::uint32_t index = 0; index < step.slots.size(); ++index) {
    Slot& slot = step.slots[index];
    if (slot_begins_again(slot, own)) reopen({scope, at, index});
    step.working += slot.phase == Slot::Phase::kWorking;
    step.done += slot.phase == Slot::Phase::kDone;
  }
  return Reopened::kYes;
}

// What the steps come to is decided anew, and `finally` runs once more behind them: all of it, in new attempts, and
// what it does to the world under new keys.
void Run::State::begin_finally_anew(Scope& scope) {
  scope.body_result.reset();
  scope.ended_last = 0;
  for (auto i = static_cast<std::uint32_t>(scope.definition->finally_from); i < scope.steps.size(); ++i) {
    const std::uint32_t attempts = scope.steps[i].last_attempt;
    scope.steps[i] = StepState();
    scope.steps[i].first_attempt = attempts + 1;
    scope.steps[i].last_attempt = attempts;
  }
}

void Run::State::reopen(const SlotRef& at) {
  Slot& slot = at.slot();
  slot.used = 1;
  slot.retry_due_us = 0;
  slot.yields = false;
  slot.verdict = v1::ROUND_VERDICT_UNSPECIFIED;
  const std::unique_ptr<ResumePoint> resume_point = std::exchange(slot.resume_point, nullptr);
  if (resume_point) {
    slot.result = std::move(resume_point->before);
    slot.inner_results = std::move(resume_point->inner_before);
  }
  if (!resume_point || (!resume_point->execution->inner && !goes_on(*resume_point->execution))) {
    // One that had not begun keeps its number.
    const bool begun = slot.phase != Slot::Phase::kIdle && slot.phase != Slot::Phase::kBackoff;
    slot.phase = Slot::Phase::kIdle;
    if (begun) ++slot.attempt;
    return;
  }
  slot.phase = Slot::Phase::kWorking;
  slot.execution = std::move(resume_point->execution);
  Execution& execution = *slot.execution;
  execution.closing = false;
  execution.failure.Clear();
  restart_clocks(execution);
  if (execution.inner) {
    reopen(*execution.inner);
    return;
  }
  if (!execution.calls.empty()) {
    for (ToolCallState& call : execution.calls) {
      if (!call.ended) call.started = call.commanded = call.in_doubt = call.asked = false;
    }
    execution.phase = Phase::kTools;
    return issue_tools(execution);
  }
  ++execution.sending;
  want_model(execution);
}

void Run::State::restart_clocks(Execution& execution) {
  const workflows::Step& step = *execution.step;
  const auto start = [&](const std::optional<Duration>& span, v1::TimerKind timer, std::int64_t& due_us) {
    if (!span) return;
    due_us = at_us + span->count();
    outbox.push_back(StartTimer{execution.key(), timer, due_us});
  };
  start(step.timeout, v1::TIMER_KIND_TIMEOUT, execution.timeout_due_us);
  start(step.deadline, v1::TIMER_KIND_DEADLINE, execution.deadline_due_us);
}

// What the source had under way is the source's: its model calls and reads are made again here, its calls with effect
// stay open, to be in doubt as after a crash.
void Run::State::fork(const v1::RunForked& forked, std::int64_t later_us) {
  paused = false;
  effects.begin_fork(forked.effects());
  for (const v1::KeyGeneration& source : forked.generations()) effects.take_generation(source);
  if (deadline_due_us > 0) deadline_due_us += later_us;
  put_off(*top, later_us);
  reconsider();
}

void Run::State::put_off(Scope& scope, std::int64_t later_us) {
  for (StepState& step : scope.steps) {
    for (Slot& slot : step.slots) {
      if (step.phase != StepState::Phase::kRunning || !slot.execution) continue;
      Execution& execution = *slot.execution;
      if (execution.timeout_due_us > 0) execution.timeout_due_us += later_us;
      if (execution.deadline_due_us > 0) execution.deadline_due_us += later_us;
      if (execution.waiting.expires_at_us() > 0)
        execution.waiting.set_expires_at_us(execution.waiting.expires_at_us() + later_us);
      if (execution.phase == Phase::kModelInFlight) {
        ++execution.sending;
        want_model(execution);
      }
      for (ToolCallState& call : execution.calls) {
        const bool left = call.started && tools::changes_world(call.effect);
        if (!call.ended && !left) call.started = call.commanded = false;
        // What the source had asked, this fork asks, allows or refuses itself.
        if (call.asked && call.resolution == v1::RESOLUTION_UNSPECIFIED) call.asked = call.in_doubt = false;
      }
      if (execution.phase == Phase::kTools) issue_tools(execution);
      if (execution.inner) put_off(*execution.inner, later_us);
    }
  }
}

}  // namespace weft::run
