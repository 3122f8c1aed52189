// Steps: which kind each is, and the keys of that kind.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "workflows/draft.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

using std::chrono_literals::operator""min;

constexpr Duration kPromptTimeout = 10min;
constexpr Duration kToolTimeout = 1min;
constexpr std::size_t kGroupsDeepMax = 16;  // Groups inside groups.

const std::vector<std::string> kKinds{"prompt", "tool", "steps", "switch", "ask", "wait", "set"};
const std::vector<std::string> kLaterKinds{"workflow"};
const std::vector<std::string> kControlKeys{"needs",  "when",  "for_each",    "max_parallel", "on_item_error",
                                            "repeat", "retry", "timeout",     "on_error",     "output",
                                            "label",  "join",  "cancel_rest", "deadline"};

const std::vector<std::string> kAgentKeys{"prompt", "agent", "model",      "system",     "context",
                                          "tools",  "turns", "max_output", "temperature"};

// Whether a call may be made again: it changes nothing, or goes out under the same key.
bool is_safe_to_repeat(const Draft& draft, const std::string& name) {
  const KnownTool* tool = draft.find_tool(name);
  return tool != nullptr && tool->effect != Effect::kWrite;
}

std::vector<std::string> with_control(std::vector<std::string> keys) {
  keys.insert(keys.end(), kControlKeys.begin(), kControlKeys.end());
  return keys;
}

PromptBody read_prompt(Draft& draft, const yaml::Node& node) {
  AgentDraft agent = draft.base;
  if (const yaml::Node* named = node.get("agent")) {
    const auto name = read_text(draft.diagnostics, *named, "agent");
    const auto found = draft.agents.find(name.value_or(""));
    if (found != draft.agents.end()) {
      agent = found->second;
    } else if (name) {
      std::vector<std::string> known;
      for (const auto& [known_name, known_agent] : draft.agents) known.push_back(known_name);
      unknown_name(draft.diagnostics, named->mark, "unknown-agent", "agent", *name, known);
    }
  }
  read_agent_keys(draft, node, agent);
  const yaml::Node& prompt = *node.get("prompt");
  if (!prompt.is_scalar() || prompt.text.empty()) expected(draft.diagnostics, prompt, "prompt", "a text");
  refuse_later(draft.diagnostics, node, {"continue", "session", "files", "accept", "remember"});
  return {finished(draft, agent, node.mark), read_template(draft, prompt)};
}

ToolBody read_tool(Draft& draft, const yaml::Node& node) {
  const yaml::Node& named = *node.get("tool");
  const auto name = read_text(draft.diagnostics, named, "tool");
  if (name && !draft.find_tool(*name)) say_unknown_tool(draft, {*name, named.mark});
  refuse_later(draft.diagnostics, node, {"approved"});
  yaml::Node none;
  none.kind = yaml::Kind::kMap;
  const yaml::Node* args = node.get("args");
  if (args && !args->is_map() && !(args->is_string() && has_template(args->text))) {
    expected(draft.diagnostics, *args, "args", "a map");
    args = nullptr;
  }
  return {name.value_or(""), read_template(draft, args ? *args : none)};
}

std::vector<NameAt> read_targets(Draft& draft, const yaml::Node& node) {
  std::vector<NameAt> targets = read_names(draft, node, "a target");
  if (!node.is_sequence() && targets.size() == 1 && targets[0].name == "none") targets.clear();
  return targets;
}

SwitchBody read_switch(Draft& draft, const yaml::Node& node, StepNote& note) {
  SwitchBody body{read_expression(draft, *node.get("switch"), "switch", "''"), {}, {}};
  const yaml::Node* cases = node.get("cases");
  if (cases && cases->is_map()) {
    for (const auto& member : cases->members) {
      member.used = true;
      note.cases.push_back({{member.key, member.key_mark}, read_targets(draft, *member.value)});
    }
  } else if (cases) {
    expected(draft.diagnostics, *cases, "cases", "a map of values to the steps that they choose");
  } else {
    draft.diagnostics.error(node.mark, "missing-key", "the switch has no cases", "write cases: {VALUE: STEP}");
  }
  if (const yaml::Node* otherwise = node.get("default")) note.otherwise = read_targets(draft, *otherwise);
  return body;
}

// The steps of `node`, and of its `finally`.
void read_scope(Draft& draft, const yaml::Node& node, ScopeId scope);

GroupBody read_group(Draft& draft, StepId owner, const yaml::Node& node) {
  std::size_t deep = 1;
  for (ScopeId outer = draft.step(owner).scope; outer != 0; outer = draft.scope(outer).parent) ++deep;
  if (deep > kGroupsDeepMax) {
    draft.diagnostics.error(node.mark, "limit", fmt::format("groups are nested deeper than {} here", kGroupsDeepMax));
  }
  const auto scope = static_cast<ScopeId>(draft.workflow->scopes.size());
  draft.workflow->scopes.push_back({scope, owner, draft.step(owner).scope, {}, 0, {}});
  draft.names.emplace_back();
  if (const yaml::Node* returns = node.get("returns")) {
    draft.workflow->scopes[scope].returns = read_template(draft, *returns);
  }
  read_scope(draft, node, scope);
  return {scope};
}

// A step of a kind that comes later: whatever stands in it is not looked at.
void pass_over(Draft& draft, StepId id) {
  draft.step(id).body = SetBody{read_template(draft, yaml::Node())};
  draft.note(id).is_later = true;
}

// The one kind that the step's keys name; otherwise an error.
std::optional<std::string> read_kind(Draft& draft, const std::string& name, const yaml::Node& node) {
  std::vector<std::string> kinds;
  for (const std::string& kind : kKinds) {
    if (node.has(kind)) kinds.push_back(kind);
  }
  for (const std::string& kind : kLaterKinds) {
    if (!node.has(kind)) continue;
    kinds.push_back(kind);
    refuse_later_value(draft.diagnostics, key_mark(node, kind), fmt::format("the step kind \"{}\"", kind));
  }
  if (kinds.size() == 1) return kinds[0];
  if (kinds.empty()) {
    for (const std::string& key : with_control(kAgentKeys)) node.get(key);
    yaml::refuse_unused(node, "a step", with_control(kKinds), draft.diagnostics);
    draft.diagnostics.error(node.mark, "step-kind", fmt::format("the step \"{}\" has no kind", name),
                            fmt::format("exactly one of these keys names it: {}", fmt::join(kKinds, ", ")), name);
  } else {
    draft.diagnostics.error(node.mark, "step-kind",
                            fmt::format("the step \"{}\" has more than one kind: {}", name, fmt::join(kinds, ", ")),
                            "make a step of each", name);
  }
  return std::nullopt;
}

void read_retry_and_timeout(Draft& draft, const yaml::Node& node, Step& step) {
  bool is_safe = false;
  if (const auto* prompt = std::get_if<PromptBody>(&step.body)) {
    is_safe =
        std::ranges::all_of(prompt->agent.tools, [&](const auto& tool) { return is_safe_to_repeat(draft, tool); });
    if (!node.has("timeout")) step.timeout = draft.timeout.value_or(kPromptTimeout);
  } else if (const auto* tool = std::get_if<ToolBody>(&step.body)) {
    is_safe = is_safe_to_repeat(draft, tool->tool);
    if (!node.has("timeout")) step.timeout = draft.timeout.value_or(kToolTimeout);
  }
  if (draft.retry) step.retry = *draft.retry;
  if (!draft.retry) step.retry.attempts = kSafeAttempts;
  if (!is_safe) step.retry.attempts = 1;
  if (const yaml::Node* retry = node.get("retry")) step.retry = read_retry(draft, *retry, step.retry);
}

// Returns the keys that the kind takes.
std::vector<std::string> read_body(Draft& draft, const yaml::Node& node, StepId id, const std::string& kind) {
  if (kind == "prompt") {
    draft.step(id).kind = StepKind::kPrompt;
    draft.step(id).body = read_prompt(draft, node);
    return with_control(
        {"prompt", "agent", "model", "system", "context", "tools", "turns", "max_output", "temperature"});
  }
  if (kind == "tool") {
    draft.step(id).kind = StepKind::kTool;
    draft.step(id).body = read_tool(draft, node);
    return with_control({"tool", "args"});
  }
  if (kind == "switch") {
    draft.step(id).kind = StepKind::kSwitch;
    draft.step(id).body = read_switch(draft, node, draft.note(id));
    return {"switch", "cases", "default", "needs", "join", "when", "label"};
  }
  if (kind == "steps") {
    draft.step(id).kind = StepKind::kGroup;
    const GroupBody body = read_group(draft, id, node);
    draft.step(id).body = body;
    return with_control({"steps", "finally", "returns"});
  }
  if (kind == "wait") {
    draft.step(id).kind = StepKind::kWait;
    draft.step(id).body = read_wait(draft, node);
    return with_control({"wait", "match", "on_timeout"});
  }
  if (kind == "ask") {
    draft.step(id).kind = StepKind::kAsk;
    draft.step(id).body = read_ask(draft, node);
    return with_control({"ask", "choices", "to", "show", "prefill", "on_timeout"});
  }
  draft.step(id).body = SetBody{read_template(draft, *node.get("set"))};
  return with_control({"set"});
}

void read_step(Draft& draft, const yaml::Node::Member& member, ScopeId scope) {
  check_name(draft.diagnostics, member.key_mark, "a step", member.key);
  const auto id = static_cast<StepId>(draft.workflow->steps.size());
  draft.workflow->steps.emplace_back();
  draft.notes.emplace_back();
  draft.workflow->scopes[scope].steps.push_back(id);
  draft.names[scope].emplace(member.key, id);
  Step& step = draft.step(id);
  step.name = member.key;
  step.id = id;
  step.scope = scope;
  step.mark = member.key_mark;
  const yaml::Node& node = *member.value;
  draft.note(id).node = &node;
  if (!node.is_map()) {
    expected(draft.diagnostics, node, fmt::format("the step \"{}\"", member.key), "a map such as {prompt: TEXT}");
    return pass_over(draft, id);
  }
  const auto kind = read_kind(draft, member.key, node);
  if (!kind || std::ranges::find(kLaterKinds, *kind) != kLaterKinds.end()) return pass_over(draft, id);
  const std::vector<std::string> known = read_body(draft, node, id, *kind);
  read_control(draft, node, draft.step(id), draft.note(id));
  if (*kind != "switch") read_retry_and_timeout(draft, node, draft.step(id));
  yaml::refuse_unused(node, fmt::format("a {} step", *kind == "steps" ? "group" : *kind), known, draft.diagnostics);
}

void read_members(Draft& draft, const yaml::Node& steps, ScopeId scope, std::string_view what) {
  if (!steps.is_map() || steps.members.empty()) {
    expected(draft.diagnostics, steps, what, "a map of at least one step: {NAME: {prompt: TEXT}}");
    return;
  }
  const auto first = static_cast<StepId>(draft.workflow->steps.size());
  for (const auto& member : steps.members) {
    if (draft.workflow->steps.size() >= kStepsMax) {
      draft.diagnostics.error(member.key_mark, "limit", fmt::format("a workflow has at most {} steps", kStepsMax));
      return;
    }
    member.used = true;
    const auto twice = draft.names[scope].find(member.key);
    if (twice != draft.names[scope].end() && twice->second < first) {
      draft.diagnostics.error(member.key_mark, "name",
                              fmt::format("the step \"{}\" stands in steps too, in line {}", member.key,
                                          draft.step(twice->second).mark.line),
                              "give it a name of its own", member.key);
    }
    read_step(draft, member, scope);
  }
}

void read_scope(Draft& draft, const yaml::Node& node, ScopeId scope) {
  read_members(draft, *node.get("steps"), scope, "steps");
  draft.workflow->scopes[scope].finally_from = draft.scope(scope).steps.size();
  const yaml::Node* last = node.get("finally");
  if (!last) return;
  read_members(draft, *last, scope, "finally");
  const std::vector<StepId>& steps = draft.scope(scope).steps;
  for (std::size_t i = draft.scope(scope).finally_from; i < steps.size(); ++i) draft.step(steps[i]).is_finally = true;
}

}  // namespace

void read_steps(Draft& draft, const yaml::Node& top) {
  draft.workflow->scopes.push_back({0, kNoStep, 0, {}, 0, {}});
  draft.names.emplace_back();
  if (const yaml::Node* returns = top.get("returns"))
    draft.workflow->scopes[0].returns = read_template(draft, *returns);
  if (top.has("steps")) {
    read_scope(draft, top, 0);
  } else {
    draft.diagnostics.error(top.mark, "missing-key", "the workflow has no steps",
                            "write steps: {NAME: {prompt: TEXT}}");
  }
}

std::optional<StepId> Draft::find(ScopeId scope, std::string_view name) const {
  for (;;) {
    if (const auto found = names[scope].find(name); found != names[scope].end()) return found->second;
    if (scope == 0) return std::nullopt;
    scope = workflow->scopes[scope].parent;
  }
}

}  // namespace weft::workflows
