// Models, static texts, agents and what `defaults` gives to all of them.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "workflows/draft.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

constexpr Between kTurns{1, 1000};
constexpr Between kMaxOutput{1, 10'000'000};
constexpr double kTemperatureMax = 2.0;

bool is_beneath(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.find('\\') != std::string_view::npos) return false;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

std::optional<std::string> read_file(Draft& draft, const yaml::Node& node) {
  const auto path = read_text(draft.diagnostics, node, "the path of a file");
  if (!path) return std::nullopt;
  if (!is_beneath(*path)) {
    draft.diagnostics.error(node.mark, "file",
                            fmt::format("the path \"{}\" does not stay beneath the workflow's folder", *path),
                            "name it relative to that folder, with / and without . and ..", *path);
    return std::nullopt;
  }
  const auto found = std::ranges::find(draft.bundle.files, *path, &BundleFile::path);
  if (found == draft.bundle.files.end()) {
    std::vector<std::string> paths;
    for (const BundleFile& file : draft.bundle.files) paths.push_back(file.path);
    const std::string near = draft.diagnostics.nearest(*path, paths);
    draft.diagnostics.error(
        node.mark, "file", fmt::format("the file \"{}\" was not found", *path),
        near.empty() ? "paths are relative to the workflow's folder" : fmt::format("did you mean \"{}\"?", near),
        *path);
    return std::nullopt;
  }
  if (!is_utf8(found->content) || found->content.find('\0') != std::string::npos) {
    draft.diagnostics.error(node.mark, "file", fmt::format("the file \"{}\" is not text in UTF-8", *path), {}, *path);
    return std::nullopt;
  }
  if (has_template(found->content)) {
    draft.diagnostics.warning(node.mark, "static-text",
                              fmt::format("the file \"{}\" holds {{{{ }}}}, which is sent as it stands", *path));
  }
  draft.files[*path] = found->content;
  return found->content;
}

void read_static_text(Draft& draft, const yaml::Node& node, std::string_view what, std::vector<std::string>& texts) {
  if (node.is_map()) {
    if (const yaml::Node* file = node.get("file")) {
      if (auto content = read_file(draft, *file)) texts.push_back(std::move(*content));
    } else {
      expected(draft.diagnostics, node, what, "a text or {file: PATH}");
    }
    yaml::refuse_unused(node, what, {"file"}, draft.diagnostics);
    return;
  }
  auto text = read_text(draft.diagnostics, node, what);
  if (!text) return;
  if (has_template(*text)) {
    draft.diagnostics.error(node.mark, "static-text",
                            fmt::format("{} is the same for every call, so it holds no {{{{ }}}}", what),
                            "put what varies into the prompt; a value that varies here would lose the cached prefix");
  }
  texts.push_back(std::move(*text));
}

// A text, `{file: PATH}`, or a list of these.
std::vector<std::string> read_static_texts(Draft& draft, const yaml::Node& node, std::string_view what) {
  std::vector<std::string> texts;
  if (!node.is_sequence()) {
    read_static_text(draft, node, what, texts);
    return texts;
  }
  for (const yaml::NodePtr& item : node.items) read_static_text(draft, *item, what, texts);
  return texts;
}

std::optional<std::string> resolve_model(Draft& draft, const yaml::Node& node) {
  const auto name = read_text(draft.diagnostics, node, "model");
  if (!name) return std::nullopt;
  if (const auto route = draft.routes.find(*name); route != draft.routes.end()) return route->second;
  if (!draft.world.refuse_model) return name;
  const auto refusal = draft.world.refuse_model(*name);
  if (!refusal) return name;
  std::vector<std::string> routes;
  for (const auto& [route, model] : draft.routes) routes.push_back(route);
  const std::string near = draft.diagnostics.nearest(*name, routes);
  draft.diagnostics.error(node.mark, "unknown-model", *refusal,
                          near.empty() ? std::string() : fmt::format("did you mean the route \"{}\"?", near), *name);
  return std::nullopt;
}

std::string wire_name(const std::string& tool) {
  const std::size_t dot = tool.find('.');
  return dot == std::string::npos ? tool : tool.substr(0, dot) + "__" + tool.substr(dot + 1);
}

// What the wire formats of models cannot carry (https://platform.openai.com/docs/api-reference: 128 tools, names of
// 64 characters).
void check_wire_names(Draft& draft, const yaml::Node& node, const std::vector<std::string>& tools) {
  constexpr std::size_t kToolsMax = 128;
  constexpr std::size_t kWireNameMax = 64;
  if (tools.size() > kToolsMax) {
    draft.diagnostics.error(node.mark, "tools",
                            fmt::format("an agent can have {} tools, and here are {}", kToolsMax, tools.size()));
  }
  std::map<std::string, std::string> wires;
  for (const std::string& tool : tools) {
    const std::string wire = wire_name(tool);
    const auto [first, added] = wires.emplace(wire, tool);
    if (!added) {
      draft.diagnostics.error(
          node.mark, "tools",
          fmt::format("the tools {} and {} have the same name for a model, {}", first->second, tool, wire));
    }
    if (tool.find("__") != std::string::npos) {
      draft.diagnostics.error(node.mark, "tools",
                              fmt::format("the tool {} has __ in its name, which stands for a dot", tool));
    }
    if (wire.size() > kWireNameMax) {
      draft.diagnostics.error(
          node.mark, "tools",
          fmt::format("the tool {} has a name over {} bytes, which no model takes", tool, kWireNameMax));
    }
  }
}

std::vector<std::string> read_tool_names(Draft& draft, const yaml::Node& node) {
  std::vector<std::string> tools;
  for (const NameAt& tool : read_names(draft, node, "tools")) {
    if (!draft.find_tool(tool.name)) {
      say_unknown_tool(draft, tool);
    } else {
      tools.push_back(tool.name);
    }
  }
  std::ranges::sort(tools);
  tools.erase(std::ranges::unique(tools).begin(), tools.end());
  check_wire_names(draft, node, tools);
  return tools;
}

void read_route(Draft& draft, const yaml::Node::Member& member) {
  Diagnostics& diagnostics = draft.diagnostics;
  check_name(diagnostics, member.key_mark, "a route", member.key);
  const yaml::Node& node = *member.value;
  if (!node.is_map())
    return expected(diagnostics, node, fmt::format("the route \"{}\"", member.key), "a map: {use: MODEL}");
  if (const yaml::Node* use = node.get("use")) {
    // Before it is among the routes itself: `use` names a model.
    if (const auto model = read_text(diagnostics, *use, "use")) {
      draft.routes[member.key] = *model;
      const auto refusal = draft.world.refuse_model ? draft.world.refuse_model(*model) : std::nullopt;
      if (refusal) diagnostics.error(use->mark, "unknown-model", *refusal, {}, *model);
    }
  } else {
    diagnostics.error(member.key_mark, "missing-key", fmt::format("the route \"{}\" names no model", member.key),
                      "write {use: MODEL}");
    draft.routes[member.key] = draft.base.agent.model;
  }
  refuse_later(diagnostics, node, {"thinking", "escalate", "fallback", "boundary", "private"});
  yaml::refuse_unused(node, "a route", {"use"}, diagnostics);
}

}  // namespace

void read_models(Draft& draft, const yaml::Node& top) {
  const yaml::Node* models = top.get("models");
  if (!models) return;
  if (!models->is_map()) return expected(draft.diagnostics, *models, "models", "a map of routes: {NAME: {use: MODEL}}");
  for (const auto& member : models->members) {
    member.used = true;
    read_route(draft, member);
  }
  if (const auto route = draft.routes.find("default"); route != draft.routes.end())
    draft.base.agent.model = route->second;
}

void read_context(Draft& draft, const yaml::Node& top) {
  if (const yaml::Node* node = top.get("context")) draft.context = read_static_texts(draft, *node, "context");
}

void read_agent_keys(Draft& draft, const yaml::Node& node, AgentDraft& agent) {
  Diagnostics& diagnostics = draft.diagnostics;
  if (const yaml::Node* model = node.get("model")) {
    agent.agent.model = resolve_model(draft, *model).value_or(agent.agent.model);
  }
  if (const yaml::Node* system = node.get("system")) agent.system = read_static_texts(draft, *system, "system");
  if (const yaml::Node* context = node.get("context")) agent.context = read_static_texts(draft, *context, "context");
  if (const yaml::Node* tools = node.get("tools")) agent.agent.tools = read_tool_names(draft, *tools);
  if (const yaml::Node* turns = node.get("turns")) {
    if (const auto count = read_count(diagnostics, *turns, "turns", kTurns)) {
      agent.agent.turns = static_cast<std::uint32_t>(*count);
    }
  }
  if (const yaml::Node* output = node.get("max_output")) {
    if (const auto count = read_count(diagnostics, *output, "max_output", kMaxOutput)) {
      agent.agent.max_output = static_cast<std::uint64_t>(*count);
    }
  }
  if (const yaml::Node* temperature = node.get("temperature")) {
    const auto number = temperature->as_number();
    if (number && *number >= 0 && *number <= kTemperatureMax) {
      agent.agent.temperature = *number;
    } else {
      diagnostics.error(temperature->mark, "count",
                        fmt::format("temperature must be a number from 0 to {}", kTemperatureMax));
    }
  }
  refuse_later(diagnostics, node, {"memory", "unsure", "thinking", "compact"});
}

void read_defaults(Draft& draft, const yaml::Node& top) {
  const yaml::Node* node = top.get("defaults");
  if (!node) return;
  if (!node->is_map()) return expected(draft.diagnostics, *node, "defaults", "a map");
  read_agent_keys(draft, *node, draft.base);
  if (const yaml::Node* retry = node->get("retry")) {
    Retry base;
    base.attempts = kSafeAttempts;
    draft.retry = read_retry(draft, *retry, base);
  }
  if (const yaml::Node* timeout = node->get("timeout"))
    draft.timeout = read_duration(draft.diagnostics, *timeout, "timeout");
  refuse_later(draft.diagnostics, *node, {"private", "budget", "deadline", "cache"});
  yaml::refuse_unused(*node, "defaults",
                      {"model", "system", "context", "tools", "turns", "max_output", "temperature", "retry", "timeout"},
                      draft.diagnostics);
}

void read_agents(Draft& draft, const yaml::Node& top) {
  const yaml::Node* agents = top.get("agents");
  if (!agents) return;
  if (!agents->is_map()) return expected(draft.diagnostics, *agents, "agents", "a map of agents");
  for (const auto& [name, mark, value, used] : agents->members) {
    check_name(draft.diagnostics, mark, "an agent", name);
    AgentDraft agent = draft.base;
    agent.agent.name = name;
    if (value->is_map()) {
      read_agent_keys(draft, *value, agent);
      refuse_later(draft.diagnostics, *value, {"private"});
      yaml::refuse_unused(*value, "an agent",
                          {"model", "system", "context", "tools", "turns", "max_output", "temperature"},
                          draft.diagnostics);
    } else if (!value->is_null()) {
      expected(draft.diagnostics, *value, fmt::format("the agent \"{}\"", name), "a map");
    }
    draft.agents.emplace(name, std::move(agent));
  }
}

Agent finished(Draft& draft, const AgentDraft& agent, Mark mark) {
  Agent whole = agent.agent;
  const bool had_room = draft.system_bytes <= kSystemBytesMax;
  for (const std::vector<std::string>* texts : {&std::as_const(draft.context), &agent.context, &agent.system}) {
    for (const std::string& text : *texts) {
      draft.system_bytes += text.size();
      if (draft.system_bytes <= kSystemBytesMax) whole.system.push_back(text);
    }
  }
  if (had_room && draft.system_bytes > kSystemBytesMax) {
    draft.diagnostics.error(
        mark, "limit", fmt::format("the system texts of all steps together are larger than {} bytes", kSystemBytesMax));
  }
  return whole;
}

void collect_files(const yaml::Node* texts, std::vector<std::string>& paths) {
  if (!texts) return;
  for (const yaml::NodePtr& item : texts->items) collect_files(item.get(), paths);
  const yaml::Node* file = texts->is_map() ? texts->get("file") : nullptr;
  if (file && file->is_string() && is_beneath(file->text)) paths.push_back(file->text);
}

}  // namespace weft::workflows
