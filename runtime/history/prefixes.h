// The prefix with which every request of one agent begins, formed from its workflow.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "runtime/model/prefix.h"
#include "tools/tool.h"
#include "workflows/workflow.h"

namespace weft::history {

// The tool of this name as the server offers it; null where it does not.
using OfferedTool = std::function<const tools::ToolSpec*(const std::string& name)>;

// `wire_model`: the name of the model in the request. FAILED_PRECONDITION where the agent names a tool that is not
// offered.
Result<model::Prefix> build_prefix(const workflows::Workflow& workflow, workflows::StepId step,
                                   const std::string& wire_model, const model::WireFormat& format,
                                   const OfferedTool& offered);

}  // namespace weft::history
