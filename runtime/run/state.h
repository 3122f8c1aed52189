// The state of a run, as its events fold into it. Private to this room.
//
//   Run::State ─► Scope: the tree of steps (scope.h) · EffectLedger · signals · agenda (agenda.h) ─► decisions
//                                                                          outbox ─► commands
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "runtime/run/agenda.h"
#include "runtime/run/command.h"
#include "runtime/run/effect_ledger.h"
#include "runtime/run/reads.h"
#include "runtime/run/results.h"
#include "runtime/run/run.h"
#include "runtime/run/scope.h"

namespace weft::run {

struct Run::State {
  State(std::shared_ptr<const workflows::Workflow> workflow_in, const ToolTable& tools_in, Contents& contents_in,
        const Limits& limits_in)
      : workflow(std::move(workflow_in)), tools(tools_in), contents(contents_in), limits(limits_in) {}

  std::shared_ptr<const workflows::Workflow> workflow;
  const ToolTable& tools;
  Reads contents;
  const Limits limits;

  v1::RunIdentity identity;
  std::uint64_t seq = 0;
  std::int64_t at_us = 0;
  std::string digest;
  v1::Content input_json;
  std::shared_ptr<const Json> input;
  std::shared_ptr<const Json> run_names;  // `run.*` in expressions.
  std::shared_ptr<Scope> top;
  bool paused = false;
  bool cancelling = false;
  bool killing = false;
  bool grace_over = false;
  std::int64_t deadline_due_us = 0;  // Of the run; 0: none, or over.
  bool ended = false;
  bool limited = false;

  struct Signal {
    std::uint64_t seq = 0;
    std::string name;
    v1::Content payload;
    std::map<workflows::StepId, std::string> keys;  // For speed: those under which steps would wait for it.
  };
  std::set<std::string> signal_ids;
  std::vector<Signal> signals;  // That no step has taken, in the order in which they came.
  EffectLedger effects;
  std::optional<Undo> undo;  // Null where none has begun.
  v1::RunStatus end_status = v1::RUN_STATUS_UNSPECIFIED;

  std::vector<std::uint32_t> position;  // Of a step in its scope, by StepId.
  std::uint64_t slots_begun = 0;
  std::uint64_t held_bytes = 0;

  std::deque<AgendaItem> agenda;
  std::unique_ptr<Sweep> sweep;  // The one on the agenda; null: none.
  bool all_is_due = false;       // In place of an agenda.
  std::map<workflows::StepId, Waiters> waiters;
  std::deque<Command> outbox;
  Budget* budget = nullptr;  // Of the decision that is being taken; null where none is.
  Budget* within = nullptr;  // What decide() was given, around it.

  // reads.cpp: what apply() will read of the event and of the attempt that it is of; null: of none.
  Status hold_contents(const v1::Event& event, const Execution* execution);

  // fold.cpp
  Status apply(const v1::Event& event);
  Status fold(const v1::Event& event, const EventTarget& place);
  Status apply_to_run(const v1::Event& event, std::int64_t previous_at_us);
  Status begin_run(const v1::Event& event);
  void cancel(const v1::CancelRequested& request);
  bool fits(const v1::Event& event, const EventTarget& place) const;

  // fold_step.cpp
  void apply_to_step(const v1::Event& event, const EventTarget& place);
  void apply_to_attempt(const v1::Event& event, const EventTarget& place);
  enum class Keep : std::uint8_t { kNothing, kResumePoint };
  void end_execution(Slot& slot, Keep keep = Keep::kNothing);

  // scope.cpp
  std::optional<EventTarget> locate(std::string_view path) const;
  const Execution* execution_of(const CallKey& key) const;  // Also of an undo; null: it is not at work.
  std::string slot_path(const SlotRef& at) const;
  void open_scope(const std::shared_ptr<Scope>& scope, workflows::ScopeId id, std::string prefix);
  void close_scope(Scope& scope);
  void start_finally(Scope& scope, const v1::StepResult& result);
  void close_step(Scope& scope, std::uint32_t position);
  void close_execution(Execution& execution);
  bool settled(const Execution& execution) const;
  bool settled(const StepState& step) const;

  // held.cpp
  std::size_t held_at(const v1::Event& event, const EventTarget& place) const;
  std::size_t held_in_all() const;
  std::optional<std::string> refuse_more(std::uint64_t elements) const;
  std::optional<std::string> refuse_growth(std::size_t bytes) const;

  // agenda.cpp
  void consider(Scope& scope, std::uint32_t position, std::uint32_t slot = 0);
  void consider_all(Scope& scope);  // With the scopes inside.
  void clear_agenda();
  void reconsider();
  void begin_sweep(std::uint64_t signal_seq);
  std::optional<v1::Event> decide_due();
  std::optional<v1::Event> decide_sweep();
  bool advance_sweep();
  bool find_waiters();
  void await_signal(Scope& scope, std::uint32_t position, std::uint32_t slot);
  void await_signals(Scope& scope);
  const std::string& key_of_waiter(const SlotRef& at);
  const std::string& key_of_signal(Signal& signal, const workflows::Step& step);

  // decide.cpp
  std::optional<v1::Event> decide(Budget& given);
  // What seems to follow is no decision: the budget is spent, or a content cannot be read.
  bool left_off() const { return within->over() || contents.failed(); }
  std::optional<v1::Event> decide_next();
  std::optional<v1::Event> decide_step(const SlotRef& at);
  std::optional<v1::Event> decide_at(const SlotRef& at);
  std::optional<v1::Event> decide_start(const SlotRef& at);
  std::optional<v1::Event> decide_slot(const SlotRef& at);
  std::optional<v1::Event> begin(const SlotRef& at);
  // Of the run, or of the group that this is the attempt of.
  std::optional<v1::Event> decide_finally(Scope& scope, const Execution* group);
  // Fills in the elements' keys; the result where they cannot be told apart.
  std::optional<v1::StepResult> element_keys(const SlotRef& at, const Json& items, v1::FanOutStarted& fan_out);
  v1::Event run_end();

  // finish.cpp: from how an attempt, a round or a fan-out went to the event that says so.
  enum class Again : std::uint8_t { kNever, kMay };
  v1::Event finish(const SlotRef& at, v1::StepResult result, Again again);
  v1::Event end_round(const SlotRef& at, v1::StepResult result);
  v1::Event end_slot(const SlotRef& at, v1::StepResult result);
  v1::Event end_step(const SlotRef& at, v1::StepResult result);
  v1::Event end_fan_out(const SlotRef& at);
  v1::StepResult scope_result(Scope& scope);

  // agent.cpp: model turns and tool calls.
  void want_model(Execution& execution);
  void take_answer(Execution& execution, const v1::ModelCallEnded& answer);
  void issue_tools(Execution& execution);
  std::optional<v1::Event> decide_execution(const SlotRef& at);
  std::optional<v1::Event> decide_model_failure(const SlotRef& at);
  std::optional<v1::Event> decide_tools(Execution& execution);
  v1::StepResult answer_result(const Execution& execution);

  // tool_call.cpp: one call of a tool, from its plan to its end.
  struct Facts {
    const workflows::ToolPolicy& policy;
    const workflows::Shape& input;
  };
  std::optional<Facts> facts_of(std::string_view tool) const;  // Of the workflow's own, else of the server's.
  ToolCallState plan_call(const Execution& execution, const std::vector<std::string>* allowed, std::string_view tool,
                          std::string_view wire_name, const v1::Content& arguments);
  // The result of an identical call of this instance, which is therefore not made again; null: none.
  const v1::Content* recorded(const ToolCallState& call) const;
  bool has_recorded(const Execution& execution) const;
  // An identical call of this instance is in doubt for good: this one might do the same a second time, so it stays.
  bool was_abandoned(const ToolCallState& call) const;
  // Whether a call with effect has to be allowed before it leaves.
  bool is_held_back(const ToolCallState& call) const;
  void command_tool(Execution& execution, ToolCallState& call);
  void apply_to_call(Execution& execution, ToolCallState& call, const v1::Event& event);
  // What makes it the same as another call, from its canonical arguments.
  void identify(const Execution& execution, ToolCallState& call, const Json& arguments) const;
  bool fits_call(const v1::Event& event, const Execution& execution) const;
  static bool is_planned(const ToolCallState& call, const v1::ToolCallStarted& started);

  // doubt.cpp
  Command verify_call(const Execution& execution, const ToolCallState& call) const;
  Result<v1::Content> question(const CallKey& call);
  // The arguments for a tool that is called about a call, checked by its shape.
  Result<v1::Content> counterpart_args(const workflows::Counterpart& counterpart, const v1::Content& arguments,
                                       const std::string& key, const std::string& path, const v1::Content* output);
  // `next`: whether another attempt follows where this one is given up.
  enum class Next : std::uint8_t { kNone, kAttempt };
  std::optional<v1::Event> decide_doubts(const Execution& execution, Next next) const;
  // A call under way that is awaited no longer.
  std::optional<v1::Event> give_up_waiting(const Execution& execution) const;

  // waiting.cpp: times, signals, questions, joins.
  Result<v1::Waiting> begin_waiting(const SlotRef& at, v1::Content& question);
  void start_waiting(Execution& execution, const v1::Waiting& waiting);
  bool fits_waiting(const v1::Event& event, const Execution* execution) const;
  void apply_to_waiting(Execution& execution, const v1::Event& event);
  std::optional<v1::Event> decide_waiting(const SlotRef& at);
  // Something in it waits for somebody, for a time or for the turn of a call, and nothing in it works.
  static bool waits(const Execution& execution, const Queued& queued);
  // Gives back, or takes again, the place of each fan-out's element around this slot.
  void weigh(Scope& scope, std::uint32_t position, std::uint32_t slot);
  // Whether what it waits for has ended; a decision where its `join` is met or can be met no more.
  bool is_ready(const SlotRef& at, std::optional<v1::Event>& decision);

  // past.cpp: a run that goes on after its end, and one that goes its own way from another's past.
  // Why nothing of the ended run can begin again; nothing: it can.
  std::optional<std::string> refuse_retry() const;
  std::optional<std::string> refuse_retry(const Scope& scope) const;
  void retry();
  enum class Reopened : std::uint8_t { kNo, kYes };
  Reopened reopen(Scope& scope);
  Reopened reopen_step(Scope& scope, std::uint32_t position);
  void reopen(const SlotRef& at);
  void begin_finally_anew(Scope& scope);
  void restart_clocks(Execution& execution);
  void fork(const v1::RunForked& forked, std::int64_t later_us);
  void put_off(Scope& scope, std::int64_t later_us);

  // undo.cpp
  bool is_undo(std::string_view path) const;
  bool fits_undo(const v1::Event& event) const;
  void apply_to_undo(const v1::Event& event);
  std::optional<v1::Event> decide_undo();
  void cut_off_undo();

  // run.cpp
  Result<std::shared_ptr<const Json>> json(const v1::Content& content);
  // What `steps.X.output` reads: the value, or an agent's text. REQUIRES: has_output(result).
  Result<std::shared_ptr<const Json>> value(const v1::StepResult& result);
  // Canonical JSON of a value, or the fault that it was.
  Result<v1::Content> store(const Result<Json>& value);
};

inline const workflows::Step& definition(const Run::State& state, const Scope& scope, std::uint32_t position) {
  return state.workflow->step(scope.definition->steps[position]);
}
inline const workflows::Step& definition(const Run::State& state, const SlotRef& at) {
  return definition(state, at.scope, at.position);
}

std::size_t held(const v1::SignalReceived& signal);  // As held(Scope): about, in bytes.

}  // namespace weft::run
