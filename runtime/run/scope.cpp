// The tree of steps: where an event's path leads, how scopes open, and how what is at work is closed.
#include "runtime/run/scope.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "runtime/run/state.h"
#include "workflows/path.h"

namespace weft::run {

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

const Execution* Run::State::execution_of(const CallKey& key) const {
  const Execution* execution = nullptr;
  if (is_undo(key.path)) {
    execution = undo ? undo->execution.get() : nullptr;
  } else if (const auto place = locate(key.path)) {
    execution = place->execution;
  }
  return execution != nullptr && execution->attempt == key.attempt ? execution : nullptr;
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

std::string Run::State::slot_path(const SlotRef& at) const {
  const workflows::Step& step = definition(*this, at);
  const StepState& state = at.step();
  std::string path = at.scope.prefix + step.name;
  if (step.for_each) path += fmt::format("[{}]", state.keys.empty() ? std::to_string(at.index) : state.keys[at.index]);
  if (step.repeat) path += fmt::format("#{}", at.index < state.slots.size() ? state.slots[at.index].round : 1);
  return path;
}

bool has_result(const StepState& step) {
  return step.result.status() == v1::STEP_STATUS_SUCCEEDED ||
         (step.result.status() == v1::STEP_STATUS_FAILED && step.result.has_output_json());
}

}  // namespace weft::run
