// The names that an expression of a workflow may use, and their types, in one place of the graph.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "workflows/draft.h"
#include "workflows/expression/expression.h"
#include "workflows/type.h"

namespace weft::workflows {

// What steps hand down to what stands inside them.
struct Surroundings {
  std::optional<Type> previous;                        // Inside `repeat`.
  std::vector<std::pair<std::string, Type>> elements;  // Inside `for_each`: names and types, the innermost last.
  std::vector<std::string> narrowed;                   // Paths that a `when` has proved to be there.
  std::vector<ScopeId> ended;                          // Inside `finally`: the scopes whose steps have ended.
  // What was proved of a name says nothing where the name stands for something else.
  void forget(std::string_view root) {
    std::erase_if(narrowed, [&](const std::string& path) {
      return path.starts_with(root) &&
             (path.size() == root.size() || path[root.size()] == '.' || path[root.size()] == '[');
    });
  }
};

enum class Readers : std::uint8_t {
  kStep,     // A value of a step: what it reads has a result, or the step is skipped.
  kReturns,  // `returns`: what it reads may have no result.
};

// Borrows all it is made of.
class ScopeTypes final : public TypeScope {
 public:
  ScopeTypes(const Draft& draft, ScopeId scope, const Surroundings& around, Readers readers = Readers::kStep)
      : draft_(draft), scope_(scope), around_(around), readers_(readers) {}

  // In `until`, the step's own name means the round that has just ended.
  void set_round_of(StepId id) { round_of_ = id; }

  std::optional<Type> name(std::string_view root) const override;
  Result<Type> step(std::string_view name, std::string_view field, bool tolerant) const override;
  std::vector<std::string> names() const override;
  std::vector<std::string> narrowed() const override { return around_.narrowed; }

 private:
  const Draft& draft_;
  ScopeId scope_;
  const Surroundings& around_;
  Readers readers_;
  StepId round_of_ = kNoStep;
};

// `previous` inside the repeat of `id`: null in the first round.
Type previous_type(const Draft& draft, StepId id);
Type status_type();

}  // namespace weft::workflows
