#include "runtime/cli/render/graph_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/render/json_view.h"

namespace weft::cli {
namespace {

using workflows::Step;
using workflows::StepId;
using workflows::Workflow;

constexpr std::size_t kExpressionColumns = 60;

std::vector<std::string> names_of(const Workflow& workflow, const std::vector<StepId>& steps) {
  std::vector<std::string> names;
  for (const StepId id : steps) names.push_back(workflow.step(id).name);
  return names;
}

std::string expression_text(const workflows::Expression& expression, const Look& look) {
  return clip(expression.text(), kExpressionColumns, look.unicode);
}

std::string cases_text(const Workflow& workflow, const workflows::SwitchBody& body, std::string_view arrow) {
  std::vector<std::string> parts;
  const auto add = [&](const std::string& match, const std::vector<StepId>& targets) {
    const auto names = names_of(workflow, targets);
    parts.push_back(
        fmt::format("{} {} {}", match, arrow, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
  };
  for (const auto& item : body.cases) add(item.match, item.targets);
  if (body.otherwise) add("default", *body.otherwise);
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string tree_line(const Workflow& workflow, const Step& step, const StatusOf& status_of, const Look& look) {
  std::string line = (step.is_finally ? "finally " : "") + paint(look, Colour::kBold, step.name) + "  " +
                     std::string(kind_text(step.kind));
  if (const auto* tool = std::get_if<workflows::ToolBody>(&step.body)) line += " " + printable(tool->tool);
  if (const auto* prompt = std::get_if<workflows::PromptBody>(&step.body))
    line += "  " + printable(prompt->agent.model);
  if (step.for_each) line += "  for each of " + expression_text(step.for_each->in, look);
  if (step.repeat) {
    line += fmt::format("  until {}, at most {}", expression_text(step.repeat->until, look), step.repeat->at_most);
  }
  if (step.when) line += "  when " + expression_text(*step.when, look);
  if (!step.waits_for.empty()) line += fmt::format("  after {}", fmt::join(names_of(workflow, step.waits_for), ", "));
  if (const auto* choice = std::get_if<workflows::SwitchBody>(&step.body)) {
    line += "  (" + printable(cases_text(workflow, *choice, look.unicode ? "→" : "->")) + ")";
  }
  if (const auto status = status_of(step_path(workflow, step))) line += "  " + status_name(*status);
  return line;
}

void draw_scope(const Workflow& workflow, const workflows::Scope& scope, const StatusOf& status_of, const Look& look,
                const std::string& prefix, std::string& text) {
  for (const StepId id : scope.steps) {
    const Step& step = workflow.step(id);
    const bool last = id == scope.steps.back();
    text += prefix + (look.unicode ? (last ? "└─ " : "├─ ") : (last ? "`- " : "|- "));
    text += tree_line(workflow, step, status_of, look) + "\n";
    if (const auto* inner = inner_scope(workflow, step)) {
      draw_scope(workflow, *inner, status_of, look, prefix + (last ? "   " : look.unicode ? "│  " : "|  "), text);
    }
  }
}

std::string quoted(const std::string& text, std::string_view quote) {
  std::string result;
  for (const char c : printable(text)) {
    if (c == '"') {
      result += quote;
    } else {
      result += c;
    }
  }
  return result;
}

void mermaid_scope(const Workflow& workflow, const workflows::Scope& scope, const std::string& indent,
                   std::string& text) {
  for (const StepId id : scope.steps) {
    const Step& step = workflow.step(id);
    if (const auto* inner = inner_scope(workflow, step)) {
      text += fmt::format("{}subgraph s{}[\"{}\"]\n", indent, id, shown_name(step));
      mermaid_scope(workflow, *inner, indent + "  ", text);
      text += indent + "end\n";
    } else {
      const bool choice = step.kind == workflows::StepKind::kSwitch;
      text += fmt::format("{}s{}{}\"{}<br/>{}\"{}\n", indent, id, choice ? "{" : "[", shown_name(step),
                          kind_text(step.kind), choice ? "}" : "]");
    }
  }
}

void dot_scope(const Workflow& workflow, const workflows::Scope& scope, const StatusOf& status_of,
               const std::string& indent, std::string& text) {
  for (const StepId id : scope.steps) {
    const Step& step = workflow.step(id);
    const auto status = status_of(step_path(workflow, step));
    const std::string fill = status ? fmt::format(", style=filled, fillcolor=\"{}\"", colour_of(*status)) : "";
    if (const auto* inner = inner_scope(workflow, step)) {
      text += fmt::format("{}subgraph cluster_s{} {{\n{}  label=\"{}\";\n", indent, id, indent, shown_name(step));
      // Arrows to and from a group need a node: its name stands for it.
      text += fmt::format("{}  s{} [label=\"{}\", shape=plaintext{}];\n", indent, id, step.name, fill);
      dot_scope(workflow, *inner, status_of, indent + "  ", text);
      text += indent + "}\n";
    } else {
      text += fmt::format("{}s{} [label=\"{}\\n{}\", shape={}{}];\n", indent, id, shown_name(step),
                          kind_text(step.kind), step.kind == workflows::StepKind::kSwitch ? "diamond" : "box", fill);
    }
  }
}

}  // namespace

std::string shown_name(const Step& step) { return (step.is_finally ? "finally " : "") + step.name; }

std::string_view kind_text(workflows::StepKind kind) {
  switch (kind) {
    case workflows::StepKind::kPrompt: return "prompt";
    case workflows::StepKind::kTool: return "tool";
    case workflows::StepKind::kSet: return "set";
    case workflows::StepKind::kSwitch: return "switch";
    case workflows::StepKind::kGroup: return "group";
    case workflows::StepKind::kWait: return "wait";
    case workflows::StepKind::kAsk: return "ask";
  }
  return "";
}

const workflows::Scope* inner_scope(const Workflow& workflow, const Step& step) {
  const auto* group = std::get_if<workflows::GroupBody>(&step.body);
  return group == nullptr ? nullptr : &workflow.scopes[group->scope];
}

std::vector<GraphEdge> edges_of(const Workflow& workflow) {
  std::vector<GraphEdge> edges;
  for (const Step& step : workflow.steps) {
    for (const StepId from : step.waits_for) {
      const auto* choice = std::get_if<workflows::SwitchBody>(&workflow.step(from).body);
      if (choice == nullptr || std::ranges::find(step.switches, from) == step.switches.end()) {
        edges.push_back({from, step.id, ""});
        continue;
      }
      for (const auto& item : choice->cases) {
        if (std::ranges::find(item.targets, step.id) != item.targets.end())
          edges.push_back({from, step.id, item.match});
      }
      if (choice->otherwise && std::ranges::find(*choice->otherwise, step.id) != choice->otherwise->end()) {
        edges.push_back({from, step.id, "default"});
      }
    }
  }
  return edges;
}

std::string_view colour_of(v1::StepStatus status) {
  switch (status) {
    case v1::STEP_STATUS_SUCCEEDED: return "#c8e6c9";
    case v1::STEP_STATUS_FAILED: return "#ffcdd2";
    case v1::STEP_STATUS_SKIPPED: return "#eeeeee";
    default: return "#fff9c4";
  }
}

std::string step_path(const Workflow& workflow, const Step& step) {
  const workflows::Scope& scope = workflow.scopes[step.scope];
  if (scope.owner == workflows::kNoStep) return step.name;
  return step_path(workflow, workflow.step(scope.owner)) + "/" + step.name;
}

std::string graph_tree(const Workflow& workflow, const StatusOf& status_of, const Look& look) {
  std::string text = paint(look, Colour::kBold, printable(workflow.name)) + "\n";
  draw_scope(workflow, workflow.top(), status_of, look, "", text);
  return text;
}

std::string graph_mermaid(const Workflow& workflow, const StatusOf& status_of) {
  std::string text = "graph TD\n";
  mermaid_scope(workflow, workflow.top(), "  ", text);
  for (const GraphEdge& edge : edges_of(workflow)) {
    const std::string label = edge.label.empty() ? "" : fmt::format("|\"{}\"|", quoted(edge.label, "#quot;"));
    text += fmt::format("  s{} -->{} s{}\n", edge.from, label, edge.to);
  }
  for (const Step& step : workflow.steps) {
    const auto status = status_of(step_path(workflow, step));
    if (status) text += fmt::format("  style s{} fill:{}\n", step.id, colour_of(*status));
  }
  return text;
}

std::string graph_dot(const Workflow& workflow, const StatusOf& status_of) {
  std::string text = fmt::format("digraph \"{}\" {{\n", quoted(workflow.name, "\\\""));
  dot_scope(workflow, workflow.top(), status_of, "  ", text);
  for (const GraphEdge& edge : edges_of(workflow)) {
    const std::string label = edge.label.empty() ? "" : fmt::format(" [label=\"{}\"]", quoted(edge.label, "\\\""));
    text += fmt::format("  s{} -> s{}{};\n", edge.from, edge.to, label);
  }
  return text + "}\n";
}

Json graph_json(const Workflow& workflow, const StatusOf& status_of) {
  Json json = Json::object();
  json["workflow"] = workflow.name;
  json["steps"] = Json::array();
  for (const Step& step : workflow.steps) {
    Json item = Json::object();
    item["path"] = step_path(workflow, step);
    item["kind"] = kind_text(step.kind);
    item["finally"] = step.is_finally;
    item["after"] = names_of(workflow, step.waits_for);
    const auto status = status_of(step_path(workflow, step));
    item["status"] = status ? Json(status_name(*status)) : Json(nullptr);
    json["steps"].push_back(std::move(item));
  }
  return json;
}

}  // namespace weft::cli
