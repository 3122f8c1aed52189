// The fold: what each event changes, and which commands become due by it. Records, and decides nothing.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/time.h"
#include "runtime/run/state.h"
#include "workflows/path.h"

namespace weft::run {

using Phase = Execution::Phase;

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
  if (event.has_run_submitted()) return begin_run(event);
  if (event.has_run_paused() || event.has_run_resumed()) {
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
    cancel(event.cancel_requested());
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

Status Run::State::begin_run(const v1::Event& event) {
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
  Json names{
      {"id", identity.run_id()}, {"started", to_rfc3339(Time(Duration(event.at_us())))}, {"labels", std::move(labels)}};
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
  return {};
}

void Run::State::cancel(const v1::CancelRequested& request) {
  killing = request.kill();
  if (std::exchange(paused, false)) reconsider();
  if (!cancelling || killing) close_scope(*top);
  cancelling = true;
  if (!killing) outbox.push_back(StartTimer{{"", 0, 0, 0}, v1::TIMER_KIND_GRACE, at_us + kCancelGraceUs});
  grace_over = grace_over || killing;
  if (killing) consider_all(*top);
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
    case Kind::kModelCallStarted: return attempt_is_open && execution->wants_model(event.turn(), event.call());
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

}  // namespace weft::run
