// A workflow's graph as text: for people, for Mermaid, for Graphviz; as a picture: SVG.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "runtime/cli/render/terminal.h"
#include "weft/v1/value.pb.h"
#include "workflows/workflow.h"

namespace weft::cli {

// How a step of a run ended; nothing where it has not, or where only the workflow is drawn. By path: "reply/draft".
using StatusOf = std::function<std::optional<v1::StepStatus>(const std::string& path)>;

std::string graph_tree(const workflows::Workflow& workflow, const StatusOf& status_of, const Look& look);
std::string graph_mermaid(const workflows::Workflow& workflow, const StatusOf& status_of);
std::string graph_dot(const workflows::Workflow& workflow, const StatusOf& status_of);
// A picture that needs no other program: layers from top to bottom, groups around what they hold.
std::string graph_svg(const workflows::Workflow& workflow, const StatusOf& status_of);
Json graph_json(const workflows::Workflow& workflow, const StatusOf& status_of);

// What every picture is made of.
struct GraphEdge {
  workflows::StepId from = 0;
  workflows::StepId to = 0;
  std::string label;  // The case of a switch.
};
std::vector<GraphEdge> edges_of(const workflows::Workflow& workflow);
std::string shown_name(const workflows::Step& step);  // With `finally` in front where it stands there.
std::string_view kind_text(workflows::StepKind kind);
const workflows::Scope* inner_scope(const workflows::Workflow& workflow, const workflows::Step& step);
std::string_view colour_of(v1::StepStatus status);
std::string step_path(const workflows::Workflow& workflow, const workflows::Step& step);

}  // namespace weft::cli
