#include "workflows/workflow.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "workflows/expression/functions.h"

namespace weft::workflows {

const Step* Workflow::find(ScopeId scope, std::string_view wanted) const {
  for (;;) {
    const auto& members = scopes[scope].steps;
    const auto found =
        std::ranges::find(members, wanted, [&](StepId id) -> std::string_view { return steps[id].name; });
    if (found != members.end()) return &steps[*found];
    if (scope == 0) return nullptr;
    scope = scopes[scope].parent;
  }
}

bool Workflow::in_finally(StepId id) const {
  for (; id != kNoStep; id = scopes[steps[id].scope].owner) {
    if (steps[id].is_finally) return true;
  }
  return false;
}

Duration backoff(const Retry& retry, std::uint32_t used, std::string_view seed) {
  constexpr std::uint32_t kDoublingsMax = 20;
  std::int64_t wait = retry.backoff_min.count();
  for (std::uint32_t i = 1; i < std::min(used, kDoublingsMax) && wait < retry.backoff_max.count(); ++i) wait *= 2;
  wait = std::min(wait, retry.backoff_max.count());
  if (wait < 2) return Duration(wait);
  const std::uint64_t jitter = hash64(fmt::format("{}~{}", seed, used)) % static_cast<std::uint64_t>(wait / 2);
  return Duration(wait - static_cast<std::int64_t>(jitter));
}

Result<Time> parse_instant(std::string_view text) {
  std::int64_t microseconds = 0;
  if (expression::parse_instant(text, microseconds)) return Time(Duration(microseconds));
  return invalid_argument(fmt::format("\"{}\" is no time; one is written 2026-12-24T18:00:00Z", printable(text)));
}

bool Step::asks_for_json() const { return !output.is_any() && output.type().kind() != Type::Kind::kString; }

const Tool* Workflow::tool(std::string_view tool_name) const {
  const auto found = std::ranges::find(tools, tool_name, &Tool::name);
  return found == tools.end() ? nullptr : &*found;
}

}  // namespace weft::workflows
