#include "workflows/workflow.h"

#include <algorithm>

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

}  // namespace weft::workflows
