// The fold of a step's events: its elements, its rounds, its attempts and what they wait for, its join and its end.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "runtime/run/state.h"

namespace weft::run {

using Phase = Execution::Phase;

namespace {

void begin_round(Slot& slot, std::uint32_t first_attempt) {
  ++slot.round;
  slot.attempt = first_attempt;
  slot.used = 1;
}

// What waited takes its place in the fan-out again, so that it can be counted out of it once.
void take_place(StepState& step, Slot& slot) {
  if (std::exchange(slot.yields, false)) ++step.working;
}

// The slot that an event opens or closes; a step without elements gets its one slot with its first event.
Slot& open_slot(EventTarget& place) {
  if (place.step->phase == StepState::Phase::kPending) {
    place.step->phase = StepState::Phase::kRunning;
    place.step->slots = std::vector<Slot>(1);
    place.step->slots[0].attempt = place.step->first_attempt;
    place.slot = place.step->slots.data();
  }
  return *place.slot;
}

void start_execution(Run::State& run, const v1::Event& event, const EventTarget& place) {
  const v1::AttemptStarted& started = event.attempt_started();
  Execution& execution = *place.slot->execution;
  execution.step = place.definition;
  execution.path = event.path();
  execution.attempt = event.attempt();
  if (started.timeout_us() > 0) {
    execution.timeout_due_us = event.at_us() + started.timeout_us();
    run.outbox.push_back(StartTimer{execution.key(), v1::TIMER_KIND_TIMEOUT, execution.timeout_due_us});
  }
  if (started.deadline_us() > 0) {
    execution.deadline_due_us = event.at_us() + started.deadline_us();
    run.outbox.push_back(StartTimer{execution.key(), v1::TIMER_KIND_DEADLINE, execution.deadline_due_us});
  }
  if (started.has_waiting()) {
    run.start_waiting(execution, started.waiting());
    return run.await_signal(*place.scope, place.position, place.slot_index);
  }
  if (started.kind() == v1::STEP_KIND_PROMPT) return run.want_model(execution);
  if (started.kind() == v1::STEP_KIND_TOOL) {
    const std::string& tool = std::get<workflows::ToolBody>(place.definition->body).tool;
    execution.phase = Execution::Phase::kTools;
    execution.turn = 0;
    execution.calls.push_back(run.plan_call(execution, nullptr, tool, tool, started.input()));
    return run.issue_tools(execution);
  }
  execution.phase = Execution::Phase::kGroup;
  execution.inner = std::make_shared<Scope>();
  execution.inner->parent = place.scope;
  execution.inner->owner_position = place.position;
  execution.inner->owner_slot = place.slot_index;
  const std::string attempt = execution.attempt > 1 ? fmt::format("~{}", execution.attempt) : "";
  run.open_scope(execution.inner, std::get<workflows::GroupBody>(place.definition->body).scope,
                 execution.path + attempt + "/");
}

void fan_out_started(Run::State& run, StepState& step, const v1::FanOutStarted& fan_out) {
  step.phase = StepState::Phase::kRunning;
  step.items = fan_out.items_json();
  step.slots = std::vector<Slot>(fan_out.count());
  run.slots_begun += fan_out.count();
  for (Slot& slot : step.slots) slot.attempt = step.first_attempt;
  step.keys.assign(fan_out.keys().begin(), fan_out.keys().end());
  for (std::uint32_t i = 0; i < step.keys.size(); ++i) step.slot_of_key[step.keys[i]] = i;
}

void attempt_started(Run::State& run, const v1::Event& event, EventTarget place) {
  StepState& step = *place.step;
  Slot& slot = open_slot(place);
  if (slot.phase == Slot::Phase::kIdle) ++step.working;
  if (slot.begun_seq == 0) slot.begun_seq = run.seq;
  slot.phase = Slot::Phase::kWorking;
  slot.attempt = event.attempt();
  step.last_attempt = std::max(step.last_attempt, event.attempt());
  slot.execution = std::make_unique<Execution>();
  start_execution(run, event, place);
}

void attempt_failed(Run::State& run, const v1::Event& event, const EventTarget& place) {
  Slot& slot = *place.slot;
  run.end_execution(slot);
  take_place(*place.step, slot);
  slot.phase = Slot::Phase::kBackoff;
  slot.attempt = event.attempt() + 1;
  ++slot.used;
  slot.retry_due_us = event.attempt_failed().retry_at_us();
  run.outbox.push_back(StartTimer{{event.path(), slot.attempt, 0, 0}, v1::TIMER_KIND_RETRY, slot.retry_due_us});
}

void round_ended(Run::State& run, const v1::RoundEnded& ended, EventTarget place) {
  StepState& step = *place.step;
  Slot& slot = open_slot(place);
  std::vector<v1::StepResult> inner_results;
  if (slot.execution && slot.execution->inner) {
    for (const StepState& inner : slot.execution->inner->steps) inner_results.push_back(inner.result);
  }
  const bool stands = ended.result().status() == v1::STEP_STATUS_SUCCEEDED;
  run.end_execution(slot, stands ? Run::State::Keep::kNothing : Run::State::Keep::kResumePoint);
  slot.inner_results = std::move(inner_results);
  slot.result = ended.result();
  slot.verdict = ended.verdict();
  const bool again = slot.verdict == v1::ROUND_VERDICT_AGAIN;
  if (slot.begun_seq == 0) slot.begun_seq = run.seq;
  take_place(step, slot);
  if (slot.phase == Slot::Phase::kIdle && !again) ++step.working;
  if (slot.phase != Slot::Phase::kIdle && again) --step.working;
  slot.phase = again                                   ? Slot::Phase::kIdle
               : slot.verdict == v1::ROUND_VERDICT_ASK ? Slot::Phase::kAsking
                                                       : Slot::Phase::kRoundOver;
  if (again) begin_round(slot, step.first_attempt);
  if (again) ++run.slots_begun;
}

void element_ended(Run::State& run, const v1::StepResult& result, const EventTarget& place) {
  StepState& step = *place.step;
  Slot& slot = *place.slot;
  const bool fails = result.status() == v1::STEP_STATUS_FAILED &&
                     place.definition->for_each->on_item_error == workflows::ForEach::OnError::kFail;
  run.end_execution(slot, fails ? Run::State::Keep::kResumePoint : Run::State::Keep::kNothing);
  slot.inner_results.clear();
  take_place(step, slot);
  if (slot.phase != Slot::Phase::kIdle) --step.working;
  slot.phase = Slot::Phase::kDone;
  slot.result = result;
  ++step.done;
  if (fails && !step.failing) {
    step.failing = slot.result.failure();
    run.close_step(*place.scope, place.position);
  }
}

// Somebody has said whether the rounds go on.
void rounds_answered(Run::State& run, const v1::Answered& answered, const EventTarget& place) {
  StepState& step = *place.step;
  Slot& slot = *place.slot;
  const std::string& said = answered.value_json().inline_();
  take_place(step, slot);
  slot.told_to_fail = said == fmt::format("\"{}\"", kFailRounds);
  slot.verdict = v1::ROUND_VERDICT_EXHAUSTED;
  slot.phase = Slot::Phase::kRoundOver;
  if (said != fmt::format("\"{}\"", kMoreRounds)) return;
  --step.working;
  ++slot.allowances;
  slot.phase = Slot::Phase::kIdle;
  begin_round(slot, step.first_attempt);
  ++run.slots_begun;
}

void join_met(Run::State& run, const v1::JoinMet& met, const EventTarget& place) {
  place.step->joined.emplace(met.steps().begin(), met.steps().end());
  if (!place.definition->join->cancel_rest) return;
  for (const workflows::StepId need : place.definition->needs) {
    const workflows::Step& other = run.workflow->step(need);
    const bool was_met = std::ranges::find(*place.step->joined, other.name) != place.step->joined->end();
    if (!was_met && other.scope == place.scope->definition->id) run.close_step(*place.scope, run.position[need]);
  }
}

void step_ended(Run::State& run, const v1::Event& event, const EventTarget& place) {
  Scope& scope = *place.scope;
  StepState& step = *place.step;
  step.phase = StepState::Phase::kEnded;
  step.result = event.step_ended().result();
  const bool again = begins_again(step, *place.definition);
  for (Slot& slot : step.slots)
    run.end_execution(slot, again ? Run::State::Keep::kResumePoint : Run::State::Keep::kNothing);
  if (!place.definition->for_each && !again) step.slots.clear();
  step.targets.assign(event.step_ended().targets().begin(), event.step_ended().targets().end());
  const bool is_last = scope.is_finally(place.position);
  ++(is_last ? scope.ended_last : scope.ended);
  run.limited = run.limited || step.result.limited();
  const bool fails_scope = step.result.status() == v1::STEP_STATUS_FAILED &&
                           place.definition->on_error.kind == workflows::OnError::Kind::kFail;
  std::optional<v1::Failure>& first = is_last ? scope.finally_failure : scope.failure;
  if (fails_scope && !first) {
    first = step.result.failure();
    if (first->path().empty()) first->set_path(event.path());
    if (!is_last) run.close_scope(scope);
  }
  if (!scope.closing || is_last) {
    for (const workflows::StepId dependant : place.definition->dependants) run.consider(scope, run.position[dependant]);
  }
  if (scope.steps_ended() && scope.parent != nullptr)
    run.consider(*scope.parent, scope.owner_position, scope.owner_slot);
}

}  // namespace

void Run::State::end_execution(Slot& slot, Keep keep) {
  if (slot.execution) outbox.push_back(Drop{slot.execution->key()});
  if (keep == Keep::kNothing) slot.resume_point.reset();
  if (keep == Keep::kResumePoint && slot.execution) {
    slot.resume_point = std::make_unique<ResumePoint>(std::move(slot.execution), slot.result, slot.inner_results);
  }
  slot.execution.reset();
}

void Run::State::apply_to_step(const v1::Event& event, const EventTarget& place) {
  switch (event.kind_case()) {
    case v1::Event::kFanOutStarted: fan_out_started(*this, *place.step, event.fan_out_started()); break;
    case v1::Event::kAttemptStarted: attempt_started(*this, event, place); break;
    case v1::Event::kAttemptFailed: attempt_failed(*this, event, place); break;
    case v1::Event::kRoundEnded: round_ended(*this, event.round_ended(), place); break;
    case v1::Event::kElementEnded: element_ended(*this, event.element_ended().result(), place); break;
    case v1::Event::kAnswered: rounds_answered(*this, event.answered(), place); break;
    case v1::Event::kJoinMet: join_met(*this, event.join_met(), place); break;
    default: return step_ended(*this, event, place);  // StepEnded: it considers what follows it.
  }
  consider(*place.scope, place.position, place.slot_index);
}

void Run::State::apply_to_attempt(const v1::Event& event, const EventTarget& place) {
  consider(*place.scope, place.position, place.slot_index);
  if (event.has_timer_fired() && event.timer_fired().timer() == v1::TIMER_KIND_RETRY) {
    place.slot->phase = Slot::Phase::kIdle;
    --place.step->working;
    return;
  }
  Execution& execution = *place.execution;
  switch (event.kind_case()) {
    case v1::Event::kTimerFired:
      if (event.timer_fired().timer() == v1::TIMER_KIND_REPEAT_CALL) return want_model(execution);
      if (event.timer_fired().timer() == v1::TIMER_KIND_RESEND) break;
      if (event.timer_fired().timer() == v1::TIMER_KIND_WAIT || event.timer_fired().timer() == v1::TIMER_KIND_EXPIRY)
        return apply_to_waiting(execution, event);
      if (event.timer_fired().timer() == v1::TIMER_KIND_DEADLINE) {
        execution.failure.set_kind(v1::ERROR_KIND_DEADLINE);
        execution.failure.set_message(
            fmt::format("it was not done by its deadline of {}", to_text(*place.definition->deadline)));
        return close_execution(execution);
      }
      execution.failure.set_kind(v1::ERROR_KIND_TIMED_OUT);
      execution.failure.set_message(
          fmt::format("it worked for longer than its timeout of {}", to_text(*place.definition->timeout)));
      return close_execution(execution);
    case v1::Event::kAnswered:
    case v1::Event::kSignalTaken: return apply_to_waiting(execution, event);
    case v1::Event::kFinallyStarted: return start_finally(*execution.inner, event.finally_started().result());
    case v1::Event::kModelCallStarted: execution.phase = Phase::kModelInFlight; return;
    case v1::Event::kModelCallEnded: return take_answer(execution, event.model_call_ended());
    case v1::Event::kModelCallFailed:
      execution.model_failure = event.model_call_failed();
      execution.phase = Phase::kModelFailed;
      return;
    case v1::Event::kModelCallRepeated:
      if (execution.model_failure.failure() != "lost") ++place.slot->used;
      ++execution.sending;
      execution.repeat_due_us = event.model_call_repeated().at_us();
      if (execution.repeat_due_us <= event.at_us()) return want_model(execution);
      execution.phase = Phase::kModelBackoff;
      outbox.push_back(StartTimer{execution.key(execution.turn, execution.sending), v1::TIMER_KIND_REPEAT_CALL,
                                  execution.repeat_due_us});
      return;
    case v1::Event::kCallRefused:
      execution.failure = event.call_refused().failure();
      execution.phase = Phase::kFailed;
      return;
    default: break;
  }
  apply_to_call(execution, execution.calls[event.call() - 1], event);
}

}  // namespace weft::run
