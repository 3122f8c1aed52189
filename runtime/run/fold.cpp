// The fold: what each event changes, and which commands become due by it. Records, and decides nothing.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/time.h"
#include "runtime/run/state.h"
#include "workflows/path.h"

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

}  // namespace

void Run::State::open_scope(const std::shared_ptr<Scope>& scope, workflows::ScopeId id, std::string prefix) {
  scope->definition = &workflow->scopes[id];
  scope->prefix = std::move(prefix);
  scope->opened_seq = seq;
  scope->steps.resize(scope->definition->steps.size());
  for (std::uint32_t i = 0; i < scope->steps.size(); ++i) {
    if (definition(*this, *scope, i).waits_for.empty()) consider(*scope, i);
  }
}

std::optional<EventTarget> Run::State::locate(std::string_view path) const {
  EventTarget place;
  Scope* scope = top.get();
  while (scope != nullptr) {
    const workflows::PathSegment segment = workflows::take_segment(path);
    place = EventTarget{.scope = scope};
    for (std::uint32_t i = 0; i < scope->steps.size() && place.step == nullptr; ++i) {
      if (definition(*this, *scope, i).name != segment.name) continue;
      place.step = &scope->steps[i];
      place.definition = &definition(*this, *scope, i);
      place.position = i;
    }
    if (place.step == nullptr) return std::nullopt;
    if (segment.key && !place.step->slot_of_key.empty()) {
      const auto found = place.step->slot_of_key.find(std::string(*segment.key));
      if (found == place.step->slot_of_key.end()) return std::nullopt;
      place.slot_index = found->second;
    } else if (segment.key) {
      std::from_chars(segment.key->data(), segment.key->data() + segment.key->size(), place.slot_index);
    }
    const bool whole = !segment.key && place.definition->for_each;
    if (!whole && place.slot_index < place.step->slots.size()) {
      place.slot = &place.step->slots[place.slot_index];
      if (segment.round == 0 || segment.round == place.slot->round) place.execution = place.slot->execution.get();
    }
    if (path.empty()) return place;
    if (place.execution == nullptr || place.execution->attempt != std::max(segment.attempt, 1U)) return std::nullopt;
    scope = place.execution->inner.get();
  }
  return std::nullopt;
}

// A call in doubt is not settled either: a cancel hides none. Only a kill leaves it behind.
bool Run::State::settled(const Execution& execution) const {
  const bool acting = std::ranges::any_of(
      execution.calls, [&](const ToolCallState& call) { return call.open_effect() && !(killing && call.in_doubt); });
  if (acting || execution.phase == Execution::Phase::kModelInFlight) return false;
  return !execution.inner || execution.inner->all_ended();
}

bool Run::State::settled(const StepState& step) const {
  return std::ranges::all_of(step.slots, [&](const Slot& slot) { return !slot.execution || settled(*slot.execution); });
}

void Run::State::close_execution(Execution& execution) {
  if (!execution.closing) outbox.push_back(Drop{execution.key()});
  execution.closing = true;
  if (execution.inner) close_scope(*execution.inner);
}

void Run::State::close_step(Scope& scope, std::uint32_t at) {
  StepState& step = scope.steps[at];
  if (step.phase == StepState::Phase::kEnded) return;
  step.closing = true;
  for (Slot& slot : step.slots) {
    if (slot.execution) close_execution(*slot.execution);
    if (slot.phase != Slot::Phase::kBackoff) continue;
    const auto index = static_cast<std::uint32_t>(&slot - step.slots.data());
    outbox.push_back(Drop{{slot_path({scope, at, index}), slot.attempt, 0, 0}});
  }
  consider(scope, at);
}

// The steps of `finally` still run, but for a kill.
void Run::State::close_scope(Scope& scope) {
  if (scope.closing && !killing) return;
  scope.closing = true;
  for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
    if (killing || !scope.is_finally(i)) close_step(scope, i);
  }
}

void Run::State::start_finally(Scope& scope, const v1::StepResult& result) {
  scope.body_result = result;
  for (auto i = static_cast<std::uint32_t>(scope.definition->finally_from); i < scope.steps.size(); ++i)
    consider(scope, i);
}

Status Run::State::apply(const v1::Event& event) {
  using Kind = v1::Event::KindCase;
  if (event.kind_case() == Kind::KIND_NOT_SET) {
    return failed_precondition(
        fmt::format("event {} is of a kind that this weft does not know; a newer one wrote it", event.seq()));
  }
  const bool begins = event.kind_case() == Kind::kRunSubmitted;
  const bool undoes = is_undo(event.path());
  const bool whole = begins || undoes || event.path().empty();
  const std::optional<EventTarget> place = whole ? EventTarget{} : locate(event.path());
  const bool fitting = undoes ? fits_undo(event) : place && fits(event, *place);
  if (event.seq() != seq + 1 || ended != event.has_run_retried() || begins != (seq == 0) || !fitting) {
    return data_loss(fmt::format("event {} (kind {}, path \"{}\") does not fit the run's history after event {}",
                                 event.seq(), static_cast<int>(event.kind_case()), event.path(), seq));
  }
  const Execution* execution = !undoes ? place->execution : undo ? undo->execution.get() : nullptr;
  Status held = hold_contents(event, execution);
  if (held) held = fold(event, *place);
  contents.release();
  WEFT_CHECK(!contents.failed(), "an event reads what was not held for it");
  return held;
}

Status Run::State::fold(const v1::Event& event, const EventTarget& place) {
  seq = event.seq();
  const std::int64_t previous_at_us = std::exchange(at_us, event.at_us());
  digest = event.digest();
  if (event.path().empty()) return apply_to_run(event, previous_at_us);
  if (is_undo(event.path())) {
    apply_to_undo(event);
    return {};
  }
  using Kind = v1::Event::KindCase;
  held_bytes -= held_at(event, place);
  switch (event.kind_case()) {
    case Kind::kFanOutStarted:
    case Kind::kAttemptStarted:
    case Kind::kAttemptFailed:
    case Kind::kRoundEnded:
    case Kind::kElementEnded:
    case Kind::kJoinMet:
    case Kind::kStepEnded: apply_to_step(event, place); break;
    default:
      place.execution != nullptr || !event.has_answered() ? apply_to_attempt(event, place)
                                                          : apply_to_step(event, place);
  }
  held_bytes += held_at(event, place);
  weigh(*place.scope, place.position, place.slot_index);
  return {};
}

Status Run::State::apply_to_run(const v1::Event& event, std::int64_t previous_at_us) {
  if (event.has_run_submitted()) {
    const v1::RunSubmitted& submitted = event.run_submitted();
    identity = submitted.identity();
    if (submitted.semantics() != kSemantics) {
      return failed_precondition(fmt::format("run {} was written under semantics {}, this weft reads {}",
                                             identity.run_id(), submitted.semantics(), kSemantics));
    }
    input_json = submitted.input_json();
    WEFT_TRY(input, json(input_json));
    Json labels = Json::object();
    for (const v1::Label& label : submitted.labels()) labels[label.key()] = label.value();
    Json names{{"id", identity.run_id()},
               {"started", to_rfc3339(Time(Duration(event.at_us())))},
               {"labels", std::move(labels)}};
    if (submitted.scheduled_for_us() != 0)
      names["scheduled_for"] = to_rfc3339(Time(Duration(submitted.scheduled_for_us())));
    run_names = std::make_shared<const Json>(std::move(names));
    top = std::make_shared<Scope>();
    open_scope(top, 0, "");
    held_bytes = held_in_all();
    if (workflow->deadline) {
      deadline_due_us = at_us + workflow->deadline->count();
      outbox.push_back(StartTimer{{"", 0, 0, 0}, v1::TIMER_KIND_DEADLINE, deadline_due_us});
    }
  } else if (event.has_run_paused() || event.has_run_resumed()) {
    paused = event.has_run_paused();
    if (!paused) reconsider();
  } else if (event.has_signal_received()) {
    if (!event.signal_received().id().empty()) signal_ids.insert(event.signal_received().id());
    held_bytes += held(event.signal_received());
    signals.push_back({event.seq(), event.signal_received().name(), event.signal_received().payload_json(), {}});
    begin_sweep(event.seq());
  } else if (event.has_finally_started()) {
    start_finally(*top, event.finally_started().result());
  } else if (event.has_run_ended()) {
    ended = true;
    end_status = event.run_ended().status();
    cut_off_undo();
    clear_agenda();
  } else if (event.has_run_retried()) {
    retry();
    held_bytes = held_in_all();
  } else if (event.has_run_forked()) {
    fork(event.run_forked(), at_us - previous_at_us);
    held_bytes = held_in_all();
  } else if (event.has_cancel_requested()) {
    killing = event.cancel_requested().kill();
    if (std::exchange(paused, false)) reconsider();
    if (!cancelling || killing) close_scope(*top);
    cancelling = true;
    if (!killing) outbox.push_back(StartTimer{{"", 0, 0, 0}, v1::TIMER_KIND_GRACE, at_us + kCancelGraceUs});
    grace_over = grace_over || killing;
    if (killing) consider_all(*top);
  } else if (event.timer_fired().timer() == v1::TIMER_KIND_DEADLINE) {
    deadline_due_us = 0;
    if (std::exchange(paused, false)) reconsider();
    top->failure.emplace();
    top->failure->set_kind(v1::ERROR_KIND_DEADLINE);
    top->failure->set_message(fmt::format("the run was not done by its deadline of {}", to_text(*workflow->deadline)));
    close_scope(*top);
  } else if (event.has_timer_fired()) {
    grace_over = true;
    consider_all(*top);
  }
  return {};
}

// Whether the history allows the event where it stands: the answers that are awaited, the levels that are open.
bool Run::State::fits(const v1::Event& event, const EventTarget& place) const {
  using Kind = v1::Event::KindCase;
  const Execution* execution = place.execution;
  const bool attempt_is_open = execution != nullptr && execution->attempt == event.attempt();
  const bool model_is_due = attempt_is_open && execution->turn == event.turn() && execution->sending == event.call();
  switch (event.kind_case()) {
    case Kind::kRunSubmitted:
    case Kind::kRunEnded: return event.path().empty();
    case Kind::kCancelRequested:
      if (!event.path().empty() || !top) return false;
      return event.cancel_requested().kill() ? !killing : !cancelling && !top->body_result;
    case Kind::kFinallyStarted: {
      const Scope* scope = event.path().empty() ? top.get() : attempt_is_open ? execution->inner.get() : nullptr;
      return scope != nullptr && scope->definition->has_finally() && scope->steps_ended() && !scope->body_result;
    }
    case Kind::kSignalReceived:
    case Kind::kRunForked: return event.path().empty();
    case Kind::kRunRetried: return event.path().empty() && !refuse_retry();
    case Kind::kRunPaused: return event.path().empty() && !paused && !cancelling;
    case Kind::kRunResumed: return event.path().empty() && paused;
    case Kind::kJoinMet: return place.step->phase == StepState::Phase::kPending && !place.step->joined;
    case Kind::kAnswered:
      if (place.slot != nullptr && place.slot->phase == Slot::Phase::kAsking)
        return place.slot->attempt == event.attempt() && !place.step->closing;
      [[fallthrough]];
    case Kind::kSignalTaken: return attempt_is_open && fits_waiting(event, execution);
    case Kind::kFanOutStarted: return place.step->phase == StepState::Phase::kPending;
    case Kind::kAttemptStarted:
      return place.step->phase == StepState::Phase::kPending || (place.slot != nullptr && execution == nullptr);
    case Kind::kAttemptFailed: return place.slot != nullptr;
    case Kind::kRoundEnded: return place.step->phase == StepState::Phase::kPending || place.slot != nullptr;
    case Kind::kElementEnded: return place.slot != nullptr && place.slot->phase != Slot::Phase::kDone;
    case Kind::kStepEnded: return place.step->phase != StepState::Phase::kEnded;
    case Kind::kModelCallStarted: return model_is_due && execution->phase == Phase::kModelWanted && !execution->closing;
    case Kind::kModelCallEnded:
    case Kind::kModelCallFailed: return model_is_due && execution->phase == Phase::kModelInFlight;
    case Kind::kModelCallRepeated: return model_is_due && execution->phase == Phase::kModelFailed;
    case Kind::kCallRefused: return attempt_is_open && !execution->closing;
    case Kind::kToolCallStarted:
    case Kind::kToolCallEnded:
    case Kind::kToolCallInDoubt:
    case Kind::kToolCallVerified:
    case Kind::kToolCallResolved: return attempt_is_open && fits_call(event, *execution);
    case Kind::kTimerFired:
      switch (event.timer_fired().timer()) {
        case v1::TIMER_KIND_GRACE: return event.path().empty() && cancelling && !grace_over;
        case v1::TIMER_KIND_RETRY:
          return place.slot != nullptr && place.slot->phase == Slot::Phase::kBackoff &&
                 place.slot->attempt == event.attempt() && !place.step->closing;
        case v1::TIMER_KIND_REPEAT_CALL:
          return model_is_due && execution->phase == Phase::kModelBackoff && !execution->closing;
        case v1::TIMER_KIND_TIMEOUT: return attempt_is_open && !execution->closing;
        case v1::TIMER_KIND_WAIT:
        case v1::TIMER_KIND_EXPIRY: return attempt_is_open && fits_waiting(event, execution);
        case v1::TIMER_KIND_DEADLINE:
          if (event.path().empty()) return deadline_due_us > 0 && !cancelling && !top->failure && !top->body_result;
          return attempt_is_open && !execution->closing;
        case v1::TIMER_KIND_RESEND: return attempt_is_open && fits_call(event, *execution);
        default: return false;
      }
    default: return false;
  }
}

// The slot that an event opens or closes; a step without elements gets its one slot with its first event.
Slot& Run::State::open_slot(EventTarget& place) {
  if (place.step->phase == StepState::Phase::kPending) {
    place.step->phase = StepState::Phase::kRunning;
    place.step->slots = std::vector<Slot>(1);
    place.step->slots[0].attempt = place.step->first_attempt;
    place.slot = place.step->slots.data();
  }
  return *place.slot;
}

void Run::State::end_execution(Slot& slot, Keep keep) {
  if (slot.execution) outbox.push_back(Drop{slot.execution->key()});
  if (keep == Keep::kNothing) slot.resume_point.reset();
  if (keep == Keep::kResumePoint && slot.execution) {
    slot.resume_point = std::make_unique<ResumePoint>(std::move(slot.execution), slot.result, slot.inner_results);
  }
  slot.execution.reset();
}

void Run::State::apply_to_step(const v1::Event& event, EventTarget place) {
  Scope& scope = *place.scope;
  StepState& step = *place.step;
  switch (event.kind_case()) {
    case v1::Event::kFanOutStarted: {
      const v1::FanOutStarted& fan_out = event.fan_out_started();
      step.phase = StepState::Phase::kRunning;
      step.items = fan_out.items_json();
      step.slots = std::vector<Slot>(fan_out.count());
      slots_begun += fan_out.count();
      for (Slot& slot : step.slots) slot.attempt = step.first_attempt;
      step.keys.assign(fan_out.keys().begin(), fan_out.keys().end());
      for (std::uint32_t i = 0; i < step.keys.size(); ++i) step.slot_of_key[step.keys[i]] = i;
      break;
    }
    case v1::Event::kAttemptStarted: {
      Slot& slot = open_slot(place);
      if (slot.phase == Slot::Phase::kIdle) ++step.working;
      if (slot.begun_seq == 0) slot.begun_seq = seq;
      slot.phase = Slot::Phase::kWorking;
      slot.attempt = event.attempt();
      step.last_attempt = std::max(step.last_attempt, event.attempt());
      slot.execution = std::make_unique<Execution>();
      start_execution(event, place);
      break;
    }
    case v1::Event::kAttemptFailed: {
      Slot& slot = *place.slot;
      end_execution(slot);
      take_place(step, slot);
      slot.phase = Slot::Phase::kBackoff;
      slot.attempt = event.attempt() + 1;
      ++slot.used;
      slot.retry_due_us = event.attempt_failed().retry_at_us();
      outbox.push_back(StartTimer{{event.path(), slot.attempt, 0, 0}, v1::TIMER_KIND_RETRY, slot.retry_due_us});
      break;
    }
    case v1::Event::kRoundEnded: {
      Slot& slot = open_slot(place);
      std::vector<v1::StepResult> inner_results;
      if (slot.execution && slot.execution->inner) {
        for (const StepState& inner : slot.execution->inner->steps) inner_results.push_back(inner.result);
      }
      const bool stands = event.round_ended().result().status() == v1::STEP_STATUS_SUCCEEDED;
      end_execution(slot, stands ? Keep::kNothing : Keep::kResumePoint);
      slot.inner_results = std::move(inner_results);
      slot.result = event.round_ended().result();
      slot.verdict = event.round_ended().verdict();
      const bool again = slot.verdict == v1::ROUND_VERDICT_AGAIN;
      if (slot.begun_seq == 0) slot.begun_seq = seq;
      take_place(step, slot);
      if (slot.phase == Slot::Phase::kIdle && !again) ++step.working;
      if (slot.phase != Slot::Phase::kIdle && again) --step.working;
      slot.phase = again                                   ? Slot::Phase::kIdle
                   : slot.verdict == v1::ROUND_VERDICT_ASK ? Slot::Phase::kAsking
                                                           : Slot::Phase::kRoundOver;
      if (again) begin_round(slot, step.first_attempt);
      if (again) ++slots_begun;
      break;
    }
    case v1::Event::kElementEnded: {
      Slot& slot = *place.slot;
      const bool fails = event.element_ended().result().status() == v1::STEP_STATUS_FAILED &&
                         place.definition->for_each->on_item_error == workflows::ForEach::OnError::kFail;
      end_execution(slot, fails ? Keep::kResumePoint : Keep::kNothing);
      slot.inner_results.clear();
      take_place(step, slot);
      if (slot.phase != Slot::Phase::kIdle) --step.working;
      slot.phase = Slot::Phase::kDone;
      slot.result = event.element_ended().result();
      ++step.done;
      if (fails && !step.failing) {
        step.failing = slot.result.failure();
        close_step(scope, place.position);
      }
      break;
    }
    case v1::Event::kAnswered: {  // Whether the rounds go on.
      Slot& slot = *place.slot;
      const std::string& said = event.answered().value_json().inline_();
      take_place(step, slot);
      slot.told_to_fail = said == fmt::format("\"{}\"", kFailRounds);
      slot.verdict = v1::ROUND_VERDICT_EXHAUSTED;
      slot.phase = Slot::Phase::kRoundOver;
      if (said != fmt::format("\"{}\"", kMoreRounds)) break;
      --step.working;
      ++slot.allowances;
      slot.phase = Slot::Phase::kIdle;
      begin_round(slot, step.first_attempt);
      ++slots_begun;
      break;
    }
    case v1::Event::kJoinMet: {
      step.joined.emplace(event.join_met().steps().begin(), event.join_met().steps().end());
      if (!place.definition->join->cancel_rest) break;
      for (const workflows::StepId need : place.definition->needs) {
        const bool met = std::ranges::find(*step.joined, workflow->step(need).name) != step.joined->end();
        if (!met && workflow->step(need).scope == scope.definition->id) close_step(scope, position[need]);
      }
      break;
    }
    default: {  // StepEnded
      step.phase = StepState::Phase::kEnded;
      step.result = event.step_ended().result();
      const bool again = begins_again(step, *place.definition);
      for (Slot& slot : step.slots) end_execution(slot, again ? Keep::kResumePoint : Keep::kNothing);
      if (!place.definition->for_each && !again) step.slots.clear();
      step.targets.assign(event.step_ended().targets().begin(), event.step_ended().targets().end());
      const bool is_last = scope.is_finally(place.position);
      ++(is_last ? scope.ended_last : scope.ended);
      limited = limited || step.result.limited();
      const bool fails_scope = step.result.status() == v1::STEP_STATUS_FAILED &&
                               place.definition->on_error.kind == workflows::OnError::Kind::kFail;
      std::optional<v1::Failure>& first = is_last ? scope.finally_failure : scope.failure;
      if (fails_scope && !first) {
        first = step.result.failure();
        if (first->path().empty()) first->set_path(event.path());
        if (!is_last) close_scope(scope);
      }
      if (!scope.closing || is_last) {
        for (const workflows::StepId dependant : place.definition->dependants) consider(scope, position[dependant]);
      }
      if (scope.steps_ended() && scope.parent != nullptr)
        consider(*scope.parent, scope.owner_position, scope.owner_slot);
      return;
    }
  }
  consider(scope, place.position, place.slot_index);
}

void Run::State::start_execution(const v1::Event& event, const EventTarget& place) {
  const v1::AttemptStarted& started = event.attempt_started();
  Execution& execution = *place.slot->execution;
  execution.step = place.definition;
  execution.path = event.path();
  execution.attempt = event.attempt();
  if (started.timeout_us() > 0) {
    execution.timeout_due_us = event.at_us() + started.timeout_us();
    outbox.push_back(StartTimer{execution.key(), v1::TIMER_KIND_TIMEOUT, execution.timeout_due_us});
  }
  if (started.deadline_us() > 0) {
    execution.deadline_due_us = event.at_us() + started.deadline_us();
    outbox.push_back(StartTimer{execution.key(), v1::TIMER_KIND_DEADLINE, execution.deadline_due_us});
  }
  if (started.has_waiting()) {
    start_waiting(execution, started.waiting());
    return await_signal(*place.scope, place.position, place.slot_index);
  }
  if (started.kind() == v1::STEP_KIND_PROMPT) return want_model(execution);
  if (started.kind() == v1::STEP_KIND_TOOL) {
    const std::string& tool = std::get<workflows::ToolBody>(place.definition->body).tool;
    execution.phase = Execution::Phase::kTools;
    execution.turn = 0;
    execution.calls.push_back(plan_call(execution, nullptr, tool, tool, started.input()));
    return issue_tools(execution);
  }
  execution.phase = Execution::Phase::kGroup;
  execution.inner = std::make_shared<Scope>();
  execution.inner->parent = place.scope;
  execution.inner->owner_position = place.position;
  execution.inner->owner_slot = place.slot_index;
  const std::string attempt = execution.attempt > 1 ? fmt::format("~{}", execution.attempt) : "";
  open_scope(execution.inner, std::get<workflows::GroupBody>(place.definition->body).scope,
             execution.path + attempt + "/");
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
