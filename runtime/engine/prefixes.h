// What every call of one agent begins with, from its workflow and where the call goes.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "runtime/engine/routes.h"
#include "runtime/model/prefix.h"
#include "tools/tool.h"
#include "workflows/workflow.h"

namespace weft::engine {

// The tool of this name as the server offers it; null where it does not.
using OfferedTool = std::function<const tools::ToolSpec*(const std::string& name)>;

// FAILED_PRECONDITION where the agent names a tool that is not offered.
Result<model::Prefix> build_prefix(const workflows::Workflow& workflow, workflows::StepId step, const Route& route,
                                   const OfferedTool& offered);

}  // namespace weft::engine
