// A workflow's graph as text: for people, for Mermaid, for Graphviz.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "runtime/cli/terminal.h"
#include "weft/v1/value.pb.h"
#include "workflows/workflow.h"

namespace weft::cli {

// How a step of a run ended; nothing where it has not, or where only the workflow is drawn. By path: "reply/draft".
using StatusOf = std::function<std::optional<v1::StepStatus>(const std::string& path)>;

std::string graph_tree(const workflows::Workflow& workflow, const StatusOf& status_of, const Look& look);
std::string graph_mermaid(const workflows::Workflow& workflow, const StatusOf& status_of);
std::string graph_dot(const workflows::Workflow& workflow, const StatusOf& status_of);
Json graph_json(const workflows::Workflow& workflow, const StatusOf& status_of);

std::string step_path(const workflows::Workflow& workflow, const workflows::Step& step);

}  // namespace weft::cli
