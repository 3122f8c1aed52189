#include "runtime/run/environment.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft::run {
namespace {

constexpr std::uint64_t kItemUnits = 200;  // Of the budget: an element of `items`, beside what is read for it.
constexpr std::size_t kBytesPerUnit = 8;   // A text that is copied.

}  // namespace

StateEnvironment::StateEnvironment(Run::State& state, Scope& scope) : state_(state), scope_(scope) {}

StateEnvironment::StateEnvironment(Run::State& state, Scope& scope, std::uint32_t position)
    : state_(state), scope_(scope), self_(&definition(state, scope, position)) {}

StateEnvironment::StateEnvironment(Run::State& state, const SlotRef& at)
    : state_(state), scope_(at.scope), here_(Frame{&at.scope, at.position, at.index}), self_(&definition(state, at)) {}

void StateEnvironment::show_round(const v1::StepResult& result) {
  round_result_ = &result;
  const auto& execution = scope_.steps[here_->position].slots[here_->slot].execution;
  if (execution && execution->inner) inner_ = execution->inner.get();
}

std::vector<StateEnvironment::Frame> StateEnvironment::frames() const {
  std::vector<Frame> frames;
  if (here_) frames.push_back(*here_);
  for (Scope* scope = &scope_; scope->parent != nullptr; scope = scope->parent) {
    frames.push_back({scope->parent, scope->owner_position, scope->owner_slot});
  }
  return frames;
}

const Json* StateEnvironment::keep(Json value) const {
  return kept_.emplace_back(std::make_shared<const Json>(std::move(value))).get();
}

const Json* StateEnvironment::keep(Result<std::shared_ptr<const Json>> value) const {
  if (!value) {
    fault_ = std::move(value).error();
    return nullptr;
  }
  return kept_.emplace_back(*std::move(value)).get();
}

Status StateEnvironment::take_fault() const {
  if (!fault_) return {};
  Error error = *std::move(fault_);
  fault_.reset();
  return error;
}

const Json* StateEnvironment::name(std::string_view root) const {
  if (root == "input") return state_.input.get();
  if (root == "run") return run();
  if (root == "previous") return previous();
  if (root == "signal" && signal_ != nullptr) return signal_;
  for (const Frame& frame : frames()) {
    const workflows::Step& step = definition(state_, *frame.scope, frame.position);
    if (!step.for_each) continue;
    if (root == "index") return keep(Json(frame.slot));
    if (root != step.for_each->as) continue;
    const StepState& fan_out = frame.scope->steps[frame.position];
    if (!fan_out.items_json) {
      auto items = state_.json(fan_out.items);
      if (!items) return keep(std::move(items));
      fan_out.items_json = *std::move(items);
    }
    return &(*fan_out.items_json)[frame.slot];
  }
  return nullptr;
}

// In `finally`, with what the steps before it came to.
const Json* StateEnvironment::run() const {
  const Scope* over = self_ != nullptr && self_->is_finally ? &scope_ : nullptr;
  for (const Frame& frame : frames()) {
    if (over == nullptr && definition(state_, *frame.scope, frame.position).is_finally) over = frame.scope;
  }
  if (over == nullptr || !over->body_result) return state_.run_names.get();
  Json names = *state_.run_names;
  const v1::StepResult& result = *over->body_result;
  const bool is_limited = result.status() == v1::STEP_STATUS_SUCCEEDED && result.limited();
  names["status"] = is_limited ? "limited" : status_name(result.status());
  const Json* error = field_of(result, "error");
  names["error"] = error == nullptr ? Json() : *error;
  return keep(std::move(names));
}

const Json* StateEnvironment::previous() const {
  for (const Frame& frame : frames()) {
    const workflows::Step& step = definition(state_, *frame.scope, frame.position);
    if (!step.repeat) continue;
    const std::vector<Slot>& slots = frame.scope->steps[frame.position].slots;
    if (frame.slot >= slots.size() || slots[frame.slot].round == 1) return nullptr;
    const Slot& slot = slots[frame.slot];
    static constexpr std::string_view kFields[] = {"output", "text", "status", "error", "reason"};
    const auto fields = [&](const v1::StepResult& result) {
      Json object = Json::object();
      for (const std::string_view field : kFields) {
        const Json* value = field_of(result, field);
        object[std::string(field)] = value == nullptr ? Json() : *value;
      }
      return object;
    };
    if (step.kind != workflows::StepKind::kGroup) return keep(fields(slot.result));
    Json object = Json::object();
    const auto& inner = state_.workflow->scopes[std::get<workflows::GroupBody>(step.body).scope];
    for (std::size_t i = 0; i < inner.steps.size() && i < slot.inner_results.size(); ++i) {
      object[state_.workflow->step(inner.steps[i]).name] = fields(slot.inner_results[i]);
    }
    return keep(std::move(object));
  }
  return nullptr;
}

// Of what its `join` did not wait for, a step sees nothing, whenever it ends.
bool StateEnvironment::is_hidden(std::string_view name) const {
  if (self_ == nullptr || !self_->join) return false;
  const auto need =
      std::ranges::find_if(self_->needs, [&](workflows::StepId id) { return state_.workflow->step(id).name == name; });
  if (need == self_->needs.end()) return false;
  const auto& joined = scope_.steps[state_.position[self_->id]].joined;
  return !joined || std::ranges::find(*joined, name) == joined->end();
}

const StepState* StateEnvironment::find(std::string_view name) const {
  if (is_hidden(name)) return nullptr;
  const auto in = [&](Scope& scope) -> const StepState* {
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
      if (definition(state_, scope, i).name == name) return &scope.steps[i];
    }
    return nullptr;
  };
  if (inner_ != nullptr) {
    if (const StepState* step = in(*inner_)) return step;
  }
  for (Scope* scope = &scope_; scope != nullptr; scope = scope->parent) {
    if (const StepState* step = in(*scope)) return step;
  }
  return nullptr;
}

const Json* StateEnvironment::step(std::string_view name, std::string_view field) const {
  if (round_result_ != nullptr && self_ != nullptr && self_->name == name) return field_of(*round_result_, field);
  const StepState* step = find(name);
  if (step == nullptr || step->phase != StepState::Phase::kEnded) return nullptr;
  if (field == "items") return items_of(*step);
  if (field == "output") {
    if (!has_output(step->result)) return nullptr;
    if (!step->output_json) {
      auto value = state_.value(step->result);
      if (!value) return keep(std::move(value));
      // What is inline is small: parsed once. What is a blob is fetched when it is read.
      if (!step->result.output_json().has_inline_()) return keep(std::move(value));
      step->output_json = *std::move(value);
    }
    return step->output_json.get();
  }
  return field_of(step->result, field);
}

v1::StepStatus StateEnvironment::status_of(std::string_view name) const {
  if (round_result_ != nullptr && self_ != nullptr && self_->name == name) return round_result_->status();
  const StepState* step = find(name);
  return step == nullptr || step->phase != StepState::Phase::kEnded ? v1::STEP_STATUS_UNSPECIFIED
                                                                    : step->result.status();
}

const Json* StateEnvironment::field_of(const v1::StepResult& result, std::string_view field) const {
  if (field == "status") return keep(Json(status_name(result.status())));
  if (field == "reason") return result.reason().empty() ? nullptr : keep(Json(result.reason()));
  if (field == "answered_by") return result.answered_by().empty() ? nullptr : keep(Json(result.answered_by()));
  if (field == "iteration") return keep(Json(static_cast<std::int64_t>(result.iteration())));
  if (field == "exhausted") return keep(Json(result.exhausted()));
  if (field == "limited") return keep(Json(result.limited()));
  if (field == "error") {
    if (!result.has_failure()) return nullptr;
    return keep(Json{{"kind", error_name(result.failure().kind())},
                     {"message", result.failure().message()},
                     {"attempts", static_cast<std::int64_t>(result.failure().attempts())}});
  }
  if (field == "output" && has_output(result)) {
    return keep(state_.value(result));
  }
  if (field == "text" && result.has_text()) {
    auto bytes = state_.contents.bytes(result.text());
    if (bytes && budget() != nullptr && !budget()->spend((*bytes)->size() / kBytesPerUnit)) bytes = budget()->error();
    if (bytes) return keep(Json(**bytes));
    fault_ = std::move(bytes).error();
  }
  return nullptr;
}

const Json* StateEnvironment::items_of(const StepState& step) const {
  Json items = Json::array();
  auto source = state_.json(step.items);
  if (!source) return keep(std::move(source));
  if (budget() != nullptr && !budget()->spend(kItemUnits * step.slots.size())) {
    fault_ = budget()->error();
    return nullptr;
  }
  for (std::size_t i = 0; i < step.slots.size(); ++i) {
    const v1::StepResult& result = step.slots[i].result;
    const auto value = [&](std::string_view field) {
      const Json* found = field_of(result, field);
      return found == nullptr ? Json() : *found;
    };
    items.push_back(Json{{"key", step.keys.empty() ? Json(static_cast<std::int64_t>(i)) : Json(step.keys[i])},
                         {"item", (**source)[i]},
                         {"status", value("status")},
                         {"output", value("output")},
                         {"error", value("error")}});
  }
  return keep(std::move(items));
}

}  // namespace weft::run
