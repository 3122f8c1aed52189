// The values of names in expressions, read from a run's state where an expression stands.
#pragma once

#include <memory>
#include <vector>

#include "runtime/run/state.h"
#include "workflows/expression/expression.h"

namespace weft::run {

// Borrows the state; lives for one evaluation.
class StateEnvironment final : public workflows::Environment {
 public:
  // In `scope`, for the step at `position` as a whole (`when`, `for_each`, `switch`).
  StateEnvironment(Run::State& state, Scope& scope, std::uint32_t position);
  // For one slot of it (prompts, arguments, `until`, groups' `returns` take the group's own slot).
  StateEnvironment(Run::State& state, const SlotRef& at);
  // In `scope` itself (`returns`).
  StateEnvironment(Run::State& state, Scope& scope);

  // For `match`: the payload of the signal in question, as `signal`.
  void show_signal(const Json& payload) { signal_ = &payload; }
  // For `until`: the round's own result under the step's name, and a group's inner steps.
  void show_round(const v1::StepResult& result);

  const Json* name(std::string_view root) const override;
  const Json* step(std::string_view name, std::string_view field) const override;
  Budget* budget() const override { return state_.budget; }

  // The status of a step that an expression mentions; unspecified where it has not ended.
  v1::StepStatus status_of(std::string_view name) const;
  // What went wrong with a content, where name() or step() had to say null; cleared by taking.
  Status take_fault() const;

 private:
  struct Frame {
    Scope* scope = nullptr;
    std::uint32_t position = 0;
    std::uint32_t slot = 0;
  };
  const Json* keep(Json value) const;
  const Json* keep(Result<std::shared_ptr<const Json>> value) const;
  const Json* field_of(const v1::StepResult& result, std::string_view field) const;
  const Json* items_of(const StepState& step) const;
  const StepState* find(std::string_view name) const;
  bool is_hidden(std::string_view name) const;
  const Json* previous() const;
  const Json* run() const;
  std::vector<Frame> frames() const;  // From the innermost slot outward.

  Run::State& state_;
  Scope& scope_;
  std::optional<Frame> here_;
  const workflows::Step* self_ = nullptr;
  const v1::StepResult* round_result_ = nullptr;
  Scope* inner_ = nullptr;
  const Json* signal_ = nullptr;
  mutable std::vector<std::shared_ptr<const Json>> kept_;
  mutable std::optional<Error> fault_;
};

}  // namespace weft::run
