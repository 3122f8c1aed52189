// What would go wrong outside: effects that nothing holds back, arguments that a tool does not take, steps that can
// never run.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "workflows/draft.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

// Of the budget of the check: for an argument that is looked for, and for a case that is compared.
constexpr std::uint64_t kArgumentUnits = 20;
constexpr std::uint64_t kCaseUnits = 4;

bool tool_changes_world(const Draft& draft, const std::string& name) {
  const KnownTool* tool = draft.find_tool(name);
  return tool && changes_world(tool->effect);
}

bool body_changes_world(const Draft& draft, const Step& step) {
  if (const auto* tool = std::get_if<ToolBody>(&step.body)) return tool_changes_world(draft, tool->tool);
  if (const auto* prompt = std::get_if<PromptBody>(&step.body)) {
    return std::ranges::any_of(prompt->agent.tools, [&](const auto& tool) { return tool_changes_world(draft, tool); });
  }
  const auto* group = std::get_if<GroupBody>(&step.body);
  return group && std::ranges::any_of(draft.scope(group->scope).steps,
                                      [&](StepId inner) { return draft.notes[inner].changes_world; });
}

// Whether anything holds the step or a group around it back, or the file says that nothing shall.
bool is_held_back(const Draft& draft, StepId id) {
  for (;;) {
    const Step& step = draft.workflow->steps[id];
    if (step.is_finally || !step.waits_for.empty() || draft.notes[id].needs_written) return true;
    if (step.scope == 0) return false;
    id = draft.scope(step.scope).owner;
  }
}

void check_effects(Draft& draft, StepId id) {
  const Step& step = draft.step(id);
  StepNote& note = draft.note(id);
  note.changes_world = body_changes_world(draft, step);
  if (!note.changes_world) return;
  if (step.kind != StepKind::kGroup && !is_held_back(draft, id)) {
    draft.diagnostics.error(step.mark, "effect-at-start",
                            fmt::format("the step \"{}\" may change the world and waits for nothing", step.name),
                            "say needs: [] where that is meant", step.name);
  }
  if (step.for_each && !step.for_each->key) {
    draft.diagnostics.error(
        step.mark, "for-each-key",
        fmt::format("an element of \"{}\" may change the world, so it must have a key of its own", step.name),
        "write for_each: {in: EXPRESSION, key: item.id}", step.name);
  }
}

// Named only by what its switches can never come to. Cases that never match are named themselves; this is the rest.
bool is_never_chosen(Draft& draft, const Step& step) {
  const auto names = [&](const std::vector<NameAt>& targets) {
    return std::ranges::find(targets, step.name, &NameAt::name) != targets.end();
  };
  bool by_default = false;
  for (const StepId id : step.switches) {
    const StepNote& note = draft.notes[id];
    if (!draft.diagnostics.work().spend(kCaseUnits * (note.cases.size() + 1))) return false;
    if (std::ranges::any_of(note.cases, [&](const CaseNote& one) { return names(one.targets); })) return false;
    if (!note.default_never_chosen) return false;
    by_default = by_default || (note.otherwise && names(*note.otherwise));
  }
  return by_default;
}

bool can_choose_both(const SwitchBody& body, StepId a, StepId b) {
  const auto has_both = [&](const std::vector<StepId>& targets) {
    return std::ranges::binary_search(targets, a) && std::ranges::binary_search(targets, b);
  };
  return std::ranges::any_of(body.cases, [&](const SwitchCase& one) { return has_both(one.targets); }) ||
         (body.otherwise && has_both(*body.otherwise));
}

// Two steps whose results it must have, of which one switch chooses only one.
void check_exclusive(Draft& draft, const Step& step) {
  constexpr std::size_t kComparedMax = 64;
  std::vector<StepId> chosen;
  for (const StrictChain& chain : step.strict) {
    const bool by_one_switch = chain.size() == 1 && draft.step(chain[0]).switches.size() == 1;
    if (by_one_switch && chosen.size() < kComparedMax) chosen.push_back(chain[0]);
  }
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    for (std::size_t j = i + 1; j < chosen.size(); ++j) {
      const Step& a = draft.step(chosen[i]);
      const Step& b = draft.step(chosen[j]);
      if (a.switches != b.switches) continue;
      const Step& choice = draft.step(a.switches[0]);
      const std::size_t cases = std::get<SwitchBody>(choice.body).cases.size();
      if (!draft.diagnostics.work().spend(kCaseUnits * (cases + 1))) return;
      if (can_choose_both(std::get<SwitchBody>(choice.body), a.id, b.id)) continue;
      draft.diagnostics.error(
          step.mark, "unreachable",
          fmt::format("the step \"{}\" can never start: it reads \"{}\" and \"{}\", and the switch \"{}\" "
                      "never chooses both",
                      step.name, a.name, b.name, choice.name),
          fmt::format("read whichever there is: steps.{}.output ?? steps.{}.output", a.name, b.name), step.name);
      return;
    }
  }
}

void check_reachable(Draft& draft, StepId id) {
  const Step& step = draft.step(id);
  if (step.when && step.when->text() == "false") {
    draft.diagnostics.error(step.when->mark(), "unreachable", fmt::format("the step \"{}\" can never start", step.name),
                            {}, step.name);
  } else if (is_never_chosen(draft, step)) {
    draft.diagnostics.error(
        step.mark, "unreachable",
        fmt::format("the step \"{}\" can never start: no switch that names it can choose it", step.name), {},
        step.name);
  } else {
    check_exclusive(draft, step);
  }
}

// A run that is over or cancelled does not wait for ever for its own cleaning up.
void check_finally(Draft& draft, StepId id) {
  const Step& step = draft.step(id);
  const auto* wait = std::get_if<WaitBody>(&step.body);
  const bool waits_for_somebody = step.kind == StepKind::kAsk || (wait && !wait->signal.empty());
  const bool asks_on = step.repeat && step.repeat->otherwise == Repeat::Else::kAsk;
  if (asks_on && draft.workflow->in_finally(id)) {
    draft.diagnostics.error(
        step.mark, "finally-bound",
        fmt::format("the step \"{}\" stands in finally and might ask for ever whether to go on", step.name),
        "say else: keep or else: fail", step.name);
  }
  if (!waits_for_somebody || step.timeout || !draft.workflow->in_finally(id)) return;
  draft.diagnostics.error(step.mark, "finally-bound",
                          fmt::format("the step \"{}\" stands in finally and might wait for ever", step.name),
                          "say how long it waits: timeout: 1h", step.name);
}

}  // namespace

const KnownTool* Draft::find_tool(const std::string& name) const {
  for (; tools_placed < tools.size(); ++tools_placed) place_of_tool.emplace(tools[tools_placed].name, tools_placed);
  const auto known = place_of_tool.find(name);
  return known == place_of_tool.end() ? nullptr : &tools[known->second];
}

void say_unknown_tool(Draft& draft, const NameAt& tool) {
  std::vector<std::string> known;
  if (!draft.diagnostics.full()) {
    for (const KnownTool& one : draft.tools) known.push_back(one.name);
  }
  unknown_name(draft.diagnostics, tool.mark, "unknown-tool", "tool", tool.name, known);
}

namespace {

// What a tool takes, read once.
const Draft::ToolArguments& arguments_of(Draft& draft, const KnownTool& tool) {
  const auto [place, is_new] = draft.arguments_of_tool.try_emplace(tool.name);
  Draft::ToolArguments& arguments = place->second;
  const auto schema = is_new ? parse_untrusted(tool.input_schema) : Result<Json>(Json());
  if (!schema || !schema->is_object()) return arguments;
  const Json none = Json::object();
  const auto member = [&](const char* key) -> const Json& { return schema->contains(key) ? schema->at(key) : none; };
  const Json& properties = member("properties");
  for (const auto& [name, property] : properties.items()) arguments.known.push_back(name);
  arguments.names = {arguments.known.begin(), arguments.known.end()};
  arguments.closed = properties.is_object() && member("additionalProperties") == Json(false);
  for (const Json& required : member("required")) {
    if (required.is_string()) arguments.required.push_back(required.get<std::string>());
  }
  return arguments;
}

}  // namespace

void check_arg_names(Draft& draft, const KnownTool& tool, const yaml::Node* args, Mark otherwise) {
  if (args && !args->is_map()) return;
  const Draft::ToolArguments& taken = arguments_of(draft, tool);
  std::unordered_set<std::string_view> given;
  for (std::size_t i = 0; args && i < args->members.size(); ++i) {
    const auto& arg = args->members[i];
    given.insert(arg.key);
    if (!taken.closed || taken.names.contains(arg.key)) continue;
    unknown_name(draft.diagnostics, arg.key_mark, "args", fmt::format("argument of the tool {},", tool.name), arg.key,
                 taken.known);
  }
  if (!draft.diagnostics.work().spend(taken.required.size() * kArgumentUnits)) return;
  for (const std::string& required : taken.required) {
    if (given.contains(required)) continue;
    draft.diagnostics.error(args ? args->mark : otherwise, "args",
                            fmt::format("the tool {} needs the argument \"{}\"", tool.name, required));
  }
}

void check_world(Draft& draft) {
  // Inner steps have larger numbers than the groups around them, and say first what they may do.
  for (StepId id = static_cast<StepId>(draft.workflow->steps.size()); id-- > 0;) {
    check_effects(draft, id);
    check_reachable(draft, id);
    check_finally(draft, id);
    const auto* body = std::get_if<ToolBody>(&draft.step(id).body);
    const KnownTool* tool = body ? draft.find_tool(body->tool) : nullptr;
    const yaml::Node* node = draft.note(id).node;
    // Their values are checked when they are known.
    if (tool && node) check_arg_names(draft, *tool, node->get("args"), draft.step(id).mark);
  }
}

}  // namespace weft::workflows
