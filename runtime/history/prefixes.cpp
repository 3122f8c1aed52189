#include "runtime/history/prefixes.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace weft::history {

Result<model::Prefix> build_prefix(const workflows::Workflow& workflow, workflows::StepId step,
                                   const std::string& wire_model, const model::WireFormat& format,
                                   const OfferedTool& offered) {
  const workflows::Agent& agent = std::get<workflows::PromptBody>(workflow.step(step).body).agent;
  model::AgentSpec spec;
  spec.model = wire_model;
  spec.system = agent.system;
  spec.max_output = agent.max_output;
  spec.temperature = agent.temperature;
  for (const std::string& name : agent.tools) {
    if (const workflows::Tool* own = workflow.tool(name)) {
      spec.tools.push_back({name, own->description, to_text(own->input.schema())});
      continue;
    }
    const tools::ToolSpec* tool = offered(name);
    if (tool == nullptr) return failed_precondition(fmt::format("the tool {} is not offered by this server", name));
    spec.tools.push_back({name, tool->description, tool->input_schema});
  }
  return model::Prefix::build(std::move(spec), format);
}

}  // namespace weft::history
