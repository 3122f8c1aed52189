// The workflow while it is being loaded: what is already known of it, and what only the loading needs.
//
// load() takes it through four passes, each of which goes on after faults, so that all of them come in one answer:
//   read    every key of the file once, into workflow and notes          (loader_*.cpp)
//   graph   names into steps: what waits for what                        (graph.cpp)
//   types   expressions and templates against the types of their names   (check_types.cpp)
//   world   what would go wrong outside: tools, effects, secrets         (check_world.cpp)
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "workflows/diagnostic.h"
#include "workflows/loader.h"
#include "workflows/workflow.h"
#include "workflows/yaml.h"

namespace weft::workflows {

inline constexpr std::size_t kStepsMax = 10'000;
inline constexpr std::uint32_t kSafeAttempts = 3;  // Where repeating is safe.
inline constexpr std::size_t kInputsMax = 1'000;
inline constexpr std::size_t kSystemBytesMax = std::size_t{64} << 20;  // Every agent step holds its own copy.

struct NameAt {
  std::string name;
  Mark mark;
};

struct CaseNote {
  NameAt match;
  std::vector<NameAt> targets;
  bool never_chosen = false;  // The checker adds: the value is never this.
};

// What a step's source says beside what Step holds.
struct StepNote {
  const yaml::Node* node = nullptr;  // The step's map, alive while loading.
  std::vector<NameAt> needs;
  bool needs_written = false;
  bool output_written = false;
  bool is_later = false;  // Of a kind that this version does not have: nothing is known of it.
  std::vector<CaseNote> cases;
  std::optional<std::vector<NameAt>> otherwise;

  // The graph adds: outer steps that this group waits for because of inner ones, the innermost inner step as witness.
  std::map<StepId, StepId> inherited;
  bool in_cycle = false;

  // The checker adds.
  bool default_never_chosen = false;
  bool may_be_absent = false;  // Can end without a result while its scope goes on.
  bool changes_world = false;
  Type round_type;  // Of one round of one element, before for_each makes a list of it.
};

// An agent's keys before the workflow's context is put in front.
struct AgentDraft {
  Agent agent;
  std::vector<std::string> context;
  std::vector<std::string> system;
};

struct Draft {
  Draft(const Bundle& the_bundle, const World& the_world, Diagnostics& the_diagnostics)
      : bundle(the_bundle), world(the_world), diagnostics(the_diagnostics), tools(the_world.tools) {}
  // Null where there is none of that name.
  const KnownTool* find_tool(const std::string& name) const;

  const Bundle& bundle;
  const World& world;
  Diagnostics& diagnostics;
  yaml::NodePtr root;
  std::shared_ptr<Workflow> workflow = std::make_shared<Workflow>();
  Type input_type;
  struct ToolArguments {
    std::vector<std::string> known;  // In the order of the schema.
    std::unordered_set<std::string> names;
    bool closed = false;
    std::vector<std::string> required;
  };
  std::unordered_map<std::string, ToolArguments> arguments_of_tool;
  std::vector<KnownTool> tools;  // Of the world and of the workflow; it only grows.
  mutable std::unordered_map<std::string, std::size_t>
      place_of_tool;  // Of those that were there when one was looked for.
  mutable std::size_t tools_placed = 0;
  std::vector<StepNote> notes;  // One for each of workflow->steps.

  std::map<std::string, std::string> routes;  // Of `models`: name to model.
  std::vector<std::string> context;
  AgentDraft base;  // `defaults`, over what the language itself says.
  std::map<std::string, AgentDraft> agents;
  std::optional<Retry> retry;  // Of `defaults`.
  std::optional<Duration> timeout;
  std::map<std::string, std::string> files;                       // Named and found: path to content.
  std::size_t system_bytes = 0;                                   // Of all agents' system texts together.
  std::vector<std::map<std::string, StepId, std::less<>>> names;  // Of each scope's steps.

  Step& step(StepId id) { return workflow->steps[id]; }
  StepNote& note(StepId id) { return notes[id]; }
  const Scope& scope(ScopeId id) const { return workflow->scopes[id]; }
  // The step that `name` means when it is read in `scope`: of that scope or of an enclosing one.
  std::optional<StepId> find(ScopeId scope, std::string_view name) const;
};

// With the nearest name.
void say_unknown_tool(Draft& draft, const NameAt& tool);

// read
void read_models(Draft& draft, const yaml::Node& top);
void read_context(Draft& draft, const yaml::Node& top);
void read_defaults(Draft& draft, const yaml::Node& top);
void read_tools(Draft& draft, const yaml::Node& top);
void read_agents(Draft& draft, const yaml::Node& top);
void read_inputs(Draft& draft, const yaml::Node& top);
void read_steps(Draft& draft, const yaml::Node& top);
// `on`; after the inputs.
void read_schedule(Draft& draft, const yaml::Node& top);
// The keys `model system context tools turns max_output temperature` of `node` over what `agent` has; whole: with the
// refusal of the keys that agents do not have yet.
void read_agent_keys(Draft& draft, const yaml::Node& node, AgentDraft& agent);
Agent finished(Draft& draft, const AgentDraft& agent, Mark mark);
// `needs when for_each max_parallel on_item_error repeat retry timeout on_error output label` of one step.
void read_control(Draft& draft, const yaml::Node& node, Step& step, StepNote& note);
// `wait`, `ask` and `join` with the keys of their own.
WaitBody read_wait(Draft& draft, const yaml::Node& node);
AskBody read_ask(Draft& draft, const yaml::Node& node);
std::optional<Join> read_join(Draft& draft, const yaml::Node& node, const StepNote& note);
Retry read_retry(Draft& draft, const yaml::Node& node, Retry base);
// Always an expression: `fallback` where the text is none, so that the passes after can go on.
Expression read_expression(Draft& draft, const yaml::Node& node, std::string_view what, const char* fallback);
Template read_template(Draft& draft, const yaml::Node& node);
std::vector<NameAt> read_names(Draft& draft, const yaml::Node& node, std::string_view what);
// Paths that the texts under `node` (`context`, `system`) name.
void collect_files(const yaml::Node* texts, std::vector<std::string>& paths);

// graph
void resolve_graph(Draft& draft);
// Every reading in values of the step's own, `until` apart.
std::vector<const std::vector<MentionChain>*> own_mentions(const Step& step);
// Steps of the scope in an order in which each comes after those it waits for; ties and cycles in file order.
std::vector<StepId> waiting_order(const Draft& draft, ScopeId scope);
std::string path_of(const Draft& draft, StepId id);  // "reply/draft"
// Why a name means no step in `scope`: inside a group, or unknown. Its details are the diagnostic's code and
// suggestion.
Error missing_step(const Draft& draft, ScopeId scope, std::string_view name);
void say_missing(Draft& draft, ScopeId scope, const NameAt& name);
Error hidden_in_finally(std::string_view name);

// types
void check_types(Draft& draft);

// world
void check_world(Draft& draft);
// The tools that the workflow declares: their templates, and those that they name.
void check_tools(Draft& draft);
// The names of arguments in `args`, where it is a map, against the tool's schema.
void check_arg_names(Draft& draft, const KnownTool& tool, const yaml::Node* args, Mark otherwise);
void check_texts(Draft& draft);

// The workflow written again: the same meaning gives the same bytes.
std::string canonical(const yaml::Node& top);

}  // namespace weft::workflows
