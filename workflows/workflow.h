// The checked graph: what a workflow file means, with every name resolved. Built by load(), never changed after.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"
#include "workflows/cron.h"
#include "workflows/diagnostic.h"
#include "workflows/expression/expression.h"
#include "workflows/shape.h"
#include "workflows/tool.h"

namespace weft::workflows {

using StepId = std::uint32_t;   // Index into Workflow::steps; file order, outer before inner.
using ScopeId = std::uint32_t;  // Index into Workflow::scopes; 0 is the workflow itself.
inline constexpr StepId kNoStep = 0xFFFFFFFF;

// What an agent is: constant over its calls, so that its prefix is. Defaults are already filled in.
struct Agent {
  std::string name;  // Of `agents`; empty where a step is its own agent.
  std::string model = "deepseek-flash";
  std::vector<std::string> system;  // Texts: the workflow's context first, then the agent's own.
  std::vector<std::string> tools;   // Names, sorted, each once.
  std::uint32_t turns = 32;
  std::uint64_t max_output = 8192;  // Tokens.
  std::optional<double> temperature;
  bool operator==(const Agent&) const = default;
};

struct PromptBody {
  Agent agent;
  Template prompt;
};
struct ToolBody {
  std::string tool;
  Template args;  // An object; empty where the step gives none.
};
struct SetBody {
  Template value;
};
struct SwitchCase {
  std::string match;            // The JSON text of a scalar, strings without quotes.
  std::vector<StepId> targets;  // Empty: `none`.
};
struct SwitchBody {
  Expression value;
  std::vector<SwitchCase> cases;
  std::optional<std::vector<StepId>> otherwise;  // `default`
};
struct GroupBody {
  ScopeId scope = 0;
};

// Exactly one of the first three says what it waits for.
struct WaitBody {
  std::optional<Duration> span;
  std::optional<Template> until;  // RFC 3339.
  std::string signal;
  std::optional<Expression> match;  // Over the signal's payload, as `signal`; none: any.
  std::optional<Template> on_timeout;
};
struct AskBody {
  Template question;
  std::vector<std::string> choices;  // Empty: the step's `output` is the form, or a text where there is none.
  std::optional<Template> to;
  std::optional<Template> show;
  std::optional<Template> prefill;
  std::optional<Template> on_timeout;
};

struct ForEach {
  Expression in;
  std::optional<Expression> key;
  std::string as = "item";  // The element's name in expressions.
  std::uint32_t max_parallel = 16;
  enum class OnError : std::uint8_t { kFail, kKeep, kDrop } on_item_error = OnError::kFail;
};
struct Repeat {
  Expression until;
  std::uint32_t at_most = 1;
  enum class Else : std::uint8_t { kFail, kKeep, kAsk } otherwise = Else::kFail;
};
struct Retry {
  std::uint32_t attempts = 1;
  Duration backoff_min{500'000};
  Duration backoff_max{10'000'000};
  std::vector<std::string> on;  // Error kinds; empty: every kind that can be retried.
};
// How long to wait before attempt `used` + 1: doubled from `backoff_min` up to `backoff_max`, then spread over its
// upper half by a hash of `seed`, so that many runs do not come back at one instant and a replay waits the same.
Duration backoff(const Retry& retry, std::uint32_t used, std::string_view seed);

// How many of `needs` must have succeeded.
struct Join {
  std::uint32_t count = 1;
  bool cancel_rest = false;
};

// "2026-12-24T18:00:00Z" (RFC 3339).
Result<Time> parse_instant(std::string_view text);

struct OnError {
  enum class Kind : std::uint8_t { kFail, kContinue, kUse } kind = Kind::kFail;
  std::optional<Template> use;
};

enum class StepKind : std::uint8_t { kPrompt, kTool, kSet, kSwitch, kGroup, kWait, kAsk };
inline constexpr bool is_waiting(StepKind kind) { return kind == StepKind::kWait || kind == StepKind::kAsk; }

// A strict requirement: one of these steps must have a result (b). More than one: a chain `a ?? b`.
using StrictChain = std::vector<StepId>;

struct Step {
  std::string name;
  StepId id = 0;
  ScopeId scope = 0;
  Mark mark;
  bool is_finally = false;        // Stands in the `finally` of its scope.
  std::optional<Template> label;  // In traces; read tolerantly.
  StepKind kind = StepKind::kSet;
  std::variant<PromptBody, ToolBody, SetBody, SwitchBody, GroupBody, WaitBody, AskBody> body;

  // The start rule (docs/language.md, "When a step starts"), resolved:
  std::vector<StepId> waits_for;    // needs ∪ mentions ∪ switches that name it, of this scope; sorted.
  std::vector<StepId> needs;        // As written; of this or an enclosing scope.
  std::vector<StepId> switches;     // Those that name it (same scope).
  std::vector<StrictChain> strict;  // Mentions that must have a result; of this or an enclosing scope.
  std::vector<StepId> dependants;   // Steps of this scope that wait for it; sorted.

  std::optional<Expression> when;
  std::optional<ForEach> for_each;
  std::optional<Repeat> repeat;
  Retry retry;
  std::optional<Duration> timeout;   // Of one attempt's work; of a step that waits or asks: how long it does.
  std::optional<Duration> deadline;  // Of one attempt, in wall time.
  std::optional<Join> join;          // None: all.
  OnError on_error;
  Shape output;
  Type type;  // Of `steps.NAME.output`, read strictly.

  // Whether an agent is told to answer in JSON: any shape but none and plain text.
  bool asks_for_json() const;
};

struct Scope {
  ScopeId id = 0;
  StepId owner = kNoStep;        // The group; kNoStep for the workflow.
  ScopeId parent = 0;            // Of the owner; 0 for the workflow itself.
  std::vector<StepId> steps;     // In file order; never empty. Those of `finally` stand last:
  std::size_t finally_from = 0;  // Where they begin; never 0.
  std::optional<Template> returns;

  bool has_finally() const { return finally_from < steps.size(); }
  StepId last() const { return steps[finally_from - 1]; }  // Of those that are no steps of `finally`.
};

struct Input {
  std::string name;
  std::string description;
  Shape shape;
  std::shared_ptr<const Json> otherwise;  // Its default; null: none, the input is required unless its type is T?.
};

// What starts runs by itself.
struct Schedule {
  Cron cron;
  std::string zone = "UTC";
  // Where a time comes and the run of the one before it has not ended.
  enum class Overlap : std::uint8_t { kSkip, kQueue, kAllow, kCancelPrevious } overlap = Overlap::kSkip;
  // Of the times at which nothing served the schedule.
  enum class CatchUp : std::uint8_t { kNone, kLast, kAll, kWithin } catch_up = CatchUp::kLast;
  Duration within{0};  // Of kWithin: not older than this.
};

// Immutable.
struct Workflow {
  std::uint32_t language = 1;
  std::string name;
  std::string description;
  std::vector<Input> inputs;  // In file order.
  std::vector<Tool> tools;    // Its own, in file order.
  std::optional<Duration> deadline;
  std::optional<Schedule> schedule;
  std::vector<Step> steps;
  std::vector<Scope> scopes;
  std::string canonical;  // The emitted form: loading it gives the same hash.
  std::string hash;       // Hex SHA-256 of `canonical` and of every file it names.

  const Step& step(StepId id) const { return steps[id]; }
  const Scope& top() const { return scopes[0]; }
  const Tool* tool(std::string_view tool_name) const;  // Of its own; null where it declares none of that name.
  // The step that `name` means when it is read in `scope`: of that scope or of an enclosing one.
  const Step* find(ScopeId scope, std::string_view name) const;
  // Whether the step, or a group around it, stands in a `finally`.
  bool in_finally(StepId id) const;
};

}  // namespace weft::workflows
