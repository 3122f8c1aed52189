// Steps that wait for a time, a signal or somebody's answer, and steps that wait for some of their needs.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "runtime/run/environment.h"
#include "runtime/run/state.h"

namespace weft::run {

using workflows::AskBody;
using workflows::StepId;
using workflows::WaitBody;
using Phase = Execution::Phase;

// What an attempt waits for, evaluated once: a restart waits for the same.
Result<v1::Waiting> Run::State::begin_waiting(const SlotRef& at, v1::Content& question) {
  const workflows::Step& step = definition(*this, at);
  StateEnvironment environment(*this, at);
  v1::Waiting waiting;
  const auto text = [&](const workflows::Template& source) -> Result<std::string> {
    auto value = source.evaluate_text(environment);
    if (Status fault = environment.take_fault(); !fault) return Error(std::move(fault).error());
    return value;
  };
  if (step.timeout) waiting.set_expires_at_us(at_us + step.timeout->count());
  if (const auto* wait = std::get_if<WaitBody>(&step.body)) {
    waiting.set_signal(wait->signal);
    if (wait->span) waiting.set_due_us(at_us + wait->span->count());
    if (wait->until) {
      WEFT_TRY(const std::string until, text(*wait->until));
      WEFT_TRY(const Time time, workflows::parse_instant(until));
      waiting.set_due_us(std::max<std::int64_t>(time.time_since_epoch().count(), 1));
    }
    return waiting;
  }
  const auto& ask = std::get<AskBody>(step.body);
  WEFT_TRY(std::string asked, text(ask.question));
  WEFT_TRY(question, contents.put(std::move(asked)));
  for (const std::string& choice : ask.choices) waiting.add_choices(choice);
  if (ask.choices.empty() && !step.output.is_any()) {
    WEFT_TRY(*waiting.mutable_form_json(), contents.put(to_text(step.output.schema())));
  }
  if (ask.to) {
    WEFT_TRY(*waiting.mutable_to(), text(*ask.to));
  }
  const auto json = [&](const workflows::Template& source) -> Result<v1::Content> {
    auto value = source.evaluate(environment);
    if (Status fault = environment.take_fault(); !fault) return Error(std::move(fault).error());
    return store(value);
  };
  if (ask.show) {
    WEFT_TRY(*waiting.mutable_show_json(), json(*ask.show));
  }
  if (ask.prefill) {
    WEFT_TRY(*waiting.mutable_prefill_json(), json(*ask.prefill));
  }
  return waiting;
}

void Run::State::start_waiting(Execution& execution, const v1::Waiting& waiting) {
  execution.phase = Phase::kWaiting;
  execution.waiting = waiting;
  if (waiting.due_us() > 0)
    outbox.push_back(StartTimer{execution.key(), v1::TIMER_KIND_WAIT, waiting.due_us(), waits_until(*execution.step)});
  if (waiting.expires_at_us() > 0)
    outbox.push_back(StartTimer{execution.key(), v1::TIMER_KIND_EXPIRY, waiting.expires_at_us()});
}

bool Run::State::fits_waiting(const v1::Event& event, const Execution* execution) const {
  if (execution->phase != Phase::kWaiting || execution->closing) return false;
  const bool asks = execution->step->kind == workflows::StepKind::kAsk;
  if (event.has_answered()) return asks;
  if (event.has_signal_taken()) {
    const auto kept = std::ranges::find(signals, event.signal_taken().seq(), &Signal::seq);
    return !asks && kept != signals.end() && kept->name == execution->waiting.signal();
  }
  return event.timer_fired().timer() == v1::TIMER_KIND_WAIT ? execution->waiting.due_us() > 0
                                                            : execution->waiting.expires_at_us() > 0;
}

void Run::State::apply_to_waiting(Execution& execution, const v1::Event& event) {
  outbox.push_back(Drop{execution.key()});  // Its other timers.
  execution.phase = Phase::kMet;
  switch (event.kind_case()) {
    case v1::Event::kAnswered:
      execution.tool_output = event.answered().value_json();
      execution.answered_by = event.answered().by();
      return;
    case v1::Event::kSignalTaken: {
      const auto taken = std::ranges::find(signals, event.signal_taken().seq(), &Signal::seq);
      execution.tool_output = taken->payload;
      held_bytes -= taken->payload.ByteSizeLong();
      signals.erase(taken);
      return;
    }
    default:
      if (event.timer_fired().timer() == v1::TIMER_KIND_EXPIRY) execution.phase = Phase::kExpired;
      execution.tool_output.set_inline_("null");
  }
}

std::optional<v1::Event> Run::State::decide_waiting(const SlotRef& at) {
  Execution& execution = *at.slot().execution;
  const workflows::Step& step = *execution.step;
  const auto* wait = std::get_if<WaitBody>(&step.body);
  if (execution.phase == Phase::kMet) {
    v1::StepResult result;
    if (wait != nullptr && !step.output.is_any()) {
      const auto brought = json(execution.tool_output);
      const auto valid = brought ? step.output.validate(**brought, "signal", budget) : Result<Json>(brought.error());
      result = outcome(store(valid), v1::ERROR_KIND_INVALID_OUTPUT);
    } else {
      result = outcome(execution.tool_output);
    }
    result.set_answered_by(execution.answered_by);
    return finish(at, std::move(result), Again::kNever);
  }
  if (execution.phase == Phase::kExpired) {
    const auto& late = wait != nullptr ? wait->on_timeout : std::get<AskBody>(step.body).on_timeout;
    if (!late) {
      return finish(at,
                    failed(v1::ERROR_KIND_TIMED_OUT,
                           fmt::format("{} within {}", wait != nullptr ? "the signal did not come" : "nobody answered",
                                       to_text(*step.timeout))),
                    Again::kNever);
    }
    StateEnvironment environment(*this, at);
    auto value = late->evaluate(environment);
    if (Status fault = environment.take_fault(); !fault) value = std::move(fault).error();
    return finish(at, outcome(store(value)), Again::kNever);
  }
  if (wait == nullptr || wait->signal.empty()) return std::nullopt;
  Status fault;
  for (Signal& signal : signals) {
    if (signal.name != wait->signal || signal.seq <= execution.signals_seen) continue;
    if (wait->match) {
      const std::string& own = key_of_waiter(at);
      const std::string& its = key_of_signal(signal, step);
      if (own != its && own != kAnyKey && its != kAnyKey) continue;
      const auto payload = json(signal.payload);
      if (!payload) return finish(at, failed(v1::ERROR_KIND_INTERNAL, payload.error().message), Again::kNever);
      StateEnvironment environment(*this, at);
      environment.show_signal(**payload);
      auto fits_it = wait->match->evaluate_bool(environment);
      if (Status unread = environment.take_fault(); !unread) {
        fits_it = unread.error();
        fault = std::move(unread);
      }
      // A signal for which the question cannot even be put is another one's.
      if (!fits_it || !*fits_it) continue;
    }
    v1::Event event = draft(execution.path, execution.attempt);
    event.mutable_signal_taken()->set_seq(signal.seq);
    return event;
  }
  if (budget->over()) return finish(at, failed(v1::ERROR_KIND_EXPRESSION, budget->error().message), Again::kNever);
  // The same question has the same answer, however often it is put.
  if (fault && !signals.empty()) execution.signals_seen = signals.back().seq;
  return std::nullopt;
}

bool Run::State::waits(const Execution& execution, const Queued& queued) {
  if (execution.phase == Phase::kWaiting) return true;
  if (execution.phase == Phase::kModelWanted && queued(execution.key(execution.turn, execution.sending))) return true;
  bool waiting = false;
  for (std::uint32_t i = 0; i < execution.calls.size(); ++i) {
    const ToolCallState& call = execution.calls[i];
    if (call.ended || (!call.in_doubt && !call.commanded)) continue;
    const bool in_line = !call.in_doubt && !call.started && queued(execution.key(execution.turn, i + 1));
    if (!in_line && (!call.in_doubt || call.verifying || call.resolution != v1::RESOLUTION_UNSPECIFIED)) return false;
    waiting = true;
  }
  if (!execution.inner) return waiting;
  for (const StepState& step : execution.inner->steps) {
    if (step.phase != StepState::Phase::kRunning) continue;
    for (const Slot& slot : step.slots) {
      if (slot.phase == Slot::Phase::kDone || slot.phase == Slot::Phase::kIdle) continue;
      const bool asks = slot.phase == Slot::Phase::kAsking;
      if (!asks && (!slot.execution || !waits(*slot.execution, queued))) return false;
      waiting = true;
    }
  }
  return waiting;
}

void Run::State::weigh(Scope& scope, std::uint32_t at, std::uint32_t index) {
  StepState& step = scope.steps[at];
  const bool running = step.phase == StepState::Phase::kRunning && index < step.slots.size();
  if (running && definition(*this, scope, at).for_each) {
    Slot& slot = step.slots[index];
    const bool works = slot.phase == Slot::Phase::kWorking && slot.execution;
    const bool now =
        slot.phase == Slot::Phase::kAsking || (works && waits(*slot.execution, [](const CallKey&) { return false; }));
    if (now != slot.yields) {
      slot.yields = now;
      now ? --step.working : ++step.working;
      consider(scope, at);
    }
  }
  if (scope.parent != nullptr) weigh(*scope.parent, scope.owner_position, scope.owner_slot);
}

bool Run::State::is_ready(const SlotRef& at, std::optional<v1::Event>& decision) {
  const workflows::Step& step = definition(*this, at);
  if (step.is_finally && !at.scope.body_result) return false;
  const auto state_of = [&](StepId id) -> const StepState* {
    const workflows::ScopeId wanted = workflow->step(id).scope;
    for (const Scope* scope = &at.scope; scope != nullptr; scope = scope->parent) {
      if (scope->definition->id == wanted) return &scope->steps[position[id]];
    }
    return nullptr;
  };
  for (const StepId id : step.waits_for) {
    const bool joined = step.join && std::ranges::binary_search(step.needs, id);
    if (!joined && at.scope.steps[position[id]].phase != StepState::Phase::kEnded) return false;
  }
  if (!step.join || at.step().joined) return true;
  std::size_t open = 0;
  bool one_failed = false;
  v1::Event met = draft(at.scope.prefix + step.name);
  for (const StepId id : step.needs) {
    const StepState& need = *state_of(id);
    if (need.phase != StepState::Phase::kEnded) ++open;
    if (need.result.status() == v1::STEP_STATUS_FAILED) one_failed = true;
    if (need.result.status() == v1::STEP_STATUS_SUCCEEDED) met.mutable_join_met()->add_steps(workflow->step(id).name);
  }
  const auto succeeded = static_cast<std::size_t>(met.join_met().steps_size());
  if (succeeded >= step.join->count) {
    decision = std::move(met);
  } else if (succeeded + open < step.join->count && one_failed) {
    decision = end_step(at, failed(v1::ERROR_KIND_JOIN, fmt::format("{} of the {} that its join asks for succeeded",
                                                                    succeeded, step.join->count)));
  } else if (succeeded + open < step.join->count) {
    v1::StepResult result;
    result.set_status(v1::STEP_STATUS_SKIPPED);
    result.set_reason("needs");
    decision = end_step(at, std::move(result));
    decision->mutable_step_ended()->set_cause(workflow->step(step.needs.front()).name);
  }
  return false;
}

}  // namespace weft::run
