// The prefixes of agents that are at work, built once for each agent and the route that it takes.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/engine/routing/router.h"
#include "runtime/model/prefix.h"
#include "tools/tool.h"
#include "workflows/workflow.h"

namespace weft::engine {

// Loop only. `tools` outlives it.
class PrefixCache {
 public:
  explicit PrefixCache(const tools::Toolbox& tools) : tools_(tools) {}

  // FAILED_PRECONDITION where the agent names a tool that is not offered.
  Result<std::shared_ptr<const model::Prefix>> find(const workflows::Workflow& workflow, workflows::StepId step,
                                                    const Route& route);

 private:
  const tools::Toolbox& tools_;
  std::map<std::string, std::weak_ptr<const model::Prefix>> prefixes_;  // By workflow, step and route.
};

}  // namespace weft::engine
