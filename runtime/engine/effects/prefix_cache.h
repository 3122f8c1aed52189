// The prefixes of agents that are at work, built once for each agent and the route that it takes.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/engine/routing/router.h"
#include "runtime/history/run_tools.h"
#include "runtime/model/prefix.h"
#include "workflows/workflow.h"

namespace weft::engine {

// Loop only.
class PrefixCache {
 public:
  // With the tools as the run has them. FAILED_PRECONDITION where the agent names one that is not among them.
  Result<std::shared_ptr<const model::Prefix>> find(const workflows::Workflow& workflow, workflows::StepId step,
                                                    const Route& route, const history::RunTools& tools);

 private:
  std::map<std::string, std::weak_ptr<const model::Prefix>> prefixes_;  // By workflow, step, route and tools.
};

}  // namespace weft::engine
