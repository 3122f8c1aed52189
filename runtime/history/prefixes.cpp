#include "runtime/history/prefixes.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace weft::history {

Result<model::Prefix> build_prefix(const workflows::Workflow& workflow, workflows::StepId step,
                                   const std::string& wire_model, const model::Features& features,
                                   const OfferedTool& offered) {
  const workflows::Agent& agent = std::get<workflows::PromptBody>(workflow.step(step).body).agent;
  model::AgentFace face;
  face.model = wire_model;
  face.system = agent.system;
  face.max_output = agent.max_output;
  face.temperature = agent.temperature;
  for (const std::string& name : agent.tools) {
    if (const workflows::Tool* own = workflow.tool(name)) {
      face.tools.push_back({name, own->description, to_text(own->input.schema())});
      continue;
    }
    const tools::ToolSpec* spec = offered(name);
    if (spec == nullptr) return failed_precondition(fmt::format("the tool {} is not offered by this server", name));
    face.tools.push_back({name, spec->description, spec->input_schema});
  }
  return model::Prefix::build(face, features);
}

}  // namespace weft::history
