// The state of a run, as its events fold into it. Private to this room.
//
//   Run::State ─► Scope (the workflow) ─► StepState ─► Slot (one, or one an element) ─► Execution (the attempt at work)
//                                                                                        └─► Scope (of a group) …
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "runtime/run/command.h"
#include "runtime/run/effect_ledger.h"
#include "runtime/run/reads.h"
#include "runtime/run/run.h"

namespace weft::run {

struct Scope;
struct Slot;
struct StepState;

// One call of a tool within a turn, or the one call of a `tool` step.
struct ToolCallState {
  std::string tool;  // Empty: the agent has no such tool.
  std::string wire_name;
  const workflows::ToolPolicy* policy = nullptr;  // Null where the call is refused.
  tools::Effect effect = tools::Effect::kRead;
  std::string identity;       // The key of its first generation: what makes two calls of one instance the same.
  std::string key;            // Idempotency key; empty where the call is refused.
  std::uint64_t payload = 0;  // Hash of tool and arguments, where the workflow forms its key.
  v1::Content arguments;      // Canonical.
  std::string refusal;        // Why it will not run; empty: it may.
  bool commanded = false;
  bool started = false;
  bool ended = false;
  std::uint32_t sendings = 0;
  std::int64_t resend_due_us = 0;  // 0: not put off.
  v1::ToolOutcome outcome = v1::TOOL_OUTCOME_UNSPECIFIED;
  bool nothing_done = false;

  // Between intent and result, where it is not known what was done:
  bool in_doubt = false;
  bool lost = false;   // Weft itself stopped.
  bool asked = false;  // It has not left: the fork asks first.
  bool verifying = false;
  std::uint32_t verifications = 0;
  std::string doubt;                                       // Why.
  v1::Resolution resolution = v1::RESOLUTION_UNSPECIFIED;  // Decided; the end that follows from it is due.
  v1::Content resolved;

  bool open_effect() const { return started && !ended && tools::changes_world(effect); }
};

// One attempt at one instance of a step.
struct Execution {
  enum class Phase : std::uint8_t {
    kModelWanted,
    kModelInFlight,
    kModelFailed,  // A decision is due: again, or give up.
    kModelBackoff,
    kTools,
    kTurnsSpent,
    kAnswered,
    kToolDone,  // Of a `tool` step: it has its result.
    kGroup,
    kWaiting,  // For a time, a signal or an answer.
    kMet,      // It has come; `tool_output` is what it brought.
    kExpired,  // It has not come in time.
    kFailed,   // `failure` says why; a decision is due.
  };
  const workflows::Step* step = nullptr;
  std::string path;
  std::uint32_t attempt = 1;
  Phase phase = Phase::kModelWanted;
  std::int64_t timeout_due_us = 0;   // 0: none.
  std::int64_t deadline_due_us = 0;  // 0: none.

  // Agents:
  std::uint32_t turn = 1;
  std::uint32_t sending = 1;  // Of the turn's model call.
  std::int64_t repeat_due_us = 0;
  v1::ModelCallFailed model_failure;
  std::vector<ToolCallState> calls;  // Of the turn under way.
  v1::Content text;
  bool cut = false;
  bool effect_started = false;  // A call that may change the world has begun: no fresh start after that.
  v1::Content tool_output;      // Of a `tool` step; of a step that waited.
  v1::Waiting waiting;          // Of a step that waits.
  std::string answered_by;
  // What is only kept for speed: under which key it waits for a signal, and up to which one it has looked at them.
  std::optional<std::string> signal_key;
  std::uint64_t signals_seen = 0;

  v1::Failure failure;
  std::shared_ptr<Scope> inner;  // Of a group.
  bool closing = false;          // Settles what is in flight, then ends.

  CallKey key(std::uint32_t of_turn = 0, std::uint32_t call = 0) const { return {path, attempt, of_turn, call}; }
};

// What a retry of the run goes on from, where an instance failed or was cut off.
struct ResumePoint {
  std::unique_ptr<Execution> execution;
  v1::StepResult before;  // Of the round before, for `previous`.
  std::vector<v1::StepResult> inner_before;
};

// One element of a step, or the step itself where it has no elements.
struct Slot {
  enum class Phase : std::uint8_t { kIdle, kBackoff, kWorking, kAsking, kRoundOver, kDone };
  Phase phase = Phase::kIdle;
  std::uint32_t round = 1;
  std::uint32_t allowances = 1;  // How often `at_most` rounds were allowed.
  bool told_to_fail = false;     // When they were used up.
  std::uint32_t attempt = 1;
  std::uint32_t used = 1;  // Attempts and repeated model calls together, against `retry.attempts`.
  std::int64_t retry_due_us = 0;
  v1::RoundVerdict verdict = v1::ROUND_VERDICT_UNSPECIFIED;
  v1::StepResult result;                      // Of the last round that ended; of the element once it is done.
  std::vector<v1::StepResult> inner_results;  // Of a group: its steps in that round, for `previous` and `until`.
  bool yields = false;                        // It waits, and so takes no place of its fan-out.
  std::uint64_t begun_seq = 0;                // The event with which it began; 0: before what is remembered.
  std::unique_ptr<Execution> execution;
  std::unique_ptr<ResumePoint> resume_point;
};

struct StepState {
  enum class Phase : std::uint8_t { kPending, kRunning, kEnded };
  Phase phase = Phase::kPending;
  v1::StepResult result;
  std::vector<std::string> targets;                // Of a switch.
  std::optional<std::vector<std::string>> joined;  // The needs that met its `join`.
  std::vector<Slot> slots;
  v1::Content items;  // Of a fan-out.
  mutable std::shared_ptr<const Json> items_json;
  std::vector<std::string> keys;                               // As they stand in paths; empty: the index is the key.
  std::unordered_map<std::string, std::uint32_t> slot_of_key;  // Looked up, never iterated.
  std::uint32_t next_slot = 0;
  std::uint32_t working = 0;
  std::uint32_t done = 0;
  std::uint32_t first_attempt = 1;  // Higher where it has been at work in an earlier life of its scope.
  std::uint32_t last_attempt = 0;
  bool closing = false;
  std::optional<v1::Failure> failing;  // An element failed, and the step fails with it.
  mutable std::shared_ptr<const Json> output_json;
};

struct Scope : std::enable_shared_from_this<Scope> {  // Agenda items hold it weakly.
  const workflows::Scope* definition = nullptr;
  Scope* parent = nullptr;
  std::uint32_t owner_position = 0;
  std::uint32_t owner_slot = 0;
  std::string prefix;            // "reply#2/", or empty.
  std::uint64_t opened_seq = 0;  // As a slot's begun_seq.
  std::vector<StepState> steps;  // As in the definition.
  std::uint32_t ended = 0;       // But those of `finally`.
  std::uint32_t ended_last = 0;  // Of `finally`.
  bool closing = false;
  std::optional<v1::Failure> failure;
  std::optional<v1::StepResult> body_result;   // What its steps did, decided before those of `finally` begin.
  std::optional<v1::Failure> finally_failure;  // The first of a step of `finally`.
  bool is_finally(std::uint32_t at) const { return at >= definition->finally_from; }
  bool steps_ended() const { return ended == definition->finally_from; }
  bool all_ended() const { return ended + ended_last == steps.size(); }
};

// The step that undoes the last effect which has not been undone: EffectLedger::next_undo().
struct Undo {
  std::uint32_t attempt = 1;
  std::int64_t retry_due_us = 0;         // 0: none waits.
  std::unique_ptr<Execution> execution;  // Null between attempts.
};

// A place where something may be decidable, or the sweep that a signal makes.
struct AgendaItem {
  std::weak_ptr<Scope> scope;
  std::uint32_t position = 0;
  std::uint32_t slot = 0;
  bool is_sweep = false;
};

// Position and slot of each level, from the outermost: in the order of the definition, a group before what is in it.
using OrderKey = std::vector<std::uint32_t>;

struct Sweep {
  std::uint64_t seq = 0;  // Of the signal.
  bool keys_found = false;
  std::map<workflows::StepId, std::string> keys;  // The signal's, for each step that waits for one of its name.
  OrderKey at;                                    // The place that it has reached.
  std::optional<AgendaItem> current;              // The same; nothing before the first.
  std::map<OrderKey, AgendaItem> marked;          // Became due behind it.
};

// Keys under which a step waits for a signal, where no value gives one.
inline const std::string kAnyKey;       // Each signal has to be asked about.
inline const std::string kNoKey = "!";  // Of a signal that is for no step which waits under a key.

// The places at which one step waits for a signal.
struct Waiters {
  static constexpr std::size_t kTidyMin = 1'024;
  std::vector<AgendaItem> fresh;  // Whose key is not looked at yet; some wait no more.
  std::size_t tidy_at = kTidyMin;
  std::map<std::string, std::map<OrderKey, AgendaItem>> by_key;
  std::map<OrderKey, std::string> key_of_place;
  void add(OrderKey place, const std::string& key, const AgendaItem& item);
};

// One slot of one step of one scope: the place that a decision is about.
struct SlotRef {
  Scope& scope;
  std::uint32_t position = 0;
  std::uint32_t index = 0;
  StepState& step() const { return scope.steps[position]; }
  Slot& slot() const { return step().slots[index]; }
};

// Where an event's path leads.
struct EventTarget {
  Scope* scope = nullptr;
  StepState* step = nullptr;
  const workflows::Step* definition = nullptr;
  std::uint32_t position = 0;
  std::uint32_t slot_index = 0;
  Slot* slot = nullptr;            // Null where the step has no slots yet, or the path names the whole fan-out.
  Execution* execution = nullptr;  // Where an attempt is at work.
};

// Whether the step waits for a time of the wall clock's, and not for a span.
inline bool waits_until(const workflows::Step& step) {
  const auto* wait = std::get_if<workflows::WaitBody>(&step.body);
  return wait != nullptr && wait->until.has_value();
}

// What an undo is a step of; it retries, and no workflow defines it.
const workflows::Step& undo_step();

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
  void apply_to_step(const v1::Event& event, EventTarget place);
  void apply_to_attempt(const v1::Event& event, const EventTarget& place);
  bool fits(const v1::Event& event, const EventTarget& place) const;
  void start_execution(const v1::Event& event, const EventTarget& place);
  enum class Keep : std::uint8_t { kNothing, kResumePoint };
  void end_execution(Slot& slot, Keep keep = Keep::kNothing);
  Slot& open_slot(EventTarget& place);
  std::optional<EventTarget> locate(std::string_view path) const;
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
  // The result of an identical call of this instance, which is therefore not made again; null: none.
  const v1::Content* recorded(const ToolCallState& call) const;
  bool has_recorded(const Execution& execution) const;
  // An identical call of this instance is in doubt for good: this one might do the same a second time, so it stays.
  bool was_abandoned(const ToolCallState& call) const;
  ToolCallState plan_call(const Execution& execution, const std::vector<std::string>* allowed, std::string_view tool,
                          std::string_view wire_name, const v1::Content& arguments);
  std::optional<v1::Event> decide_execution(const SlotRef& at);
  std::optional<v1::Event> decide_model_failure(const SlotRef& at);
  std::optional<v1::Event> decide_tools(Execution& execution);
  v1::StepResult answer_result(const Execution& execution);

  // doubt.cpp: one call of a tool, from its intent to its end.
  struct Facts {
    const workflows::ToolPolicy& policy;
    const workflows::Shape& input;
  };
  std::optional<Facts> facts_of(std::string_view tool) const;  // Of the workflow's own, else of the server's.
  void command_tool(Execution& execution, ToolCallState& call);
  void apply_to_call(Execution& execution, ToolCallState& call, const v1::Event& event);
  // What makes it the same as another call, from its canonical arguments.
  void identify(const Execution& execution, ToolCallState& call, const Json& arguments) const;
  bool fits_call(const v1::Event& event, const Execution& execution) const;
  // Of a call that left, what is recorded holds, whatever this server offers now and as what.
  void take_recorded(const Execution& execution, ToolCallState& call, const v1::ToolCallStarted& started);
  static bool is_planned(const ToolCallState& call, const v1::ToolCallStarted& started);
  Command verify_call(const Execution& execution, const ToolCallState& call) const;
  Result<v1::Content> question(const CallKey& call);
  static void end_doubt(ToolCallState& call);
  void call_again(Execution& execution, ToolCallState& call, std::int64_t due_us);
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
  // Whether a call with effect has to be allowed before it leaves.
  bool is_held_back(const ToolCallState& call) const;

  // undo.cpp
  bool is_undo(std::string_view path) const;
  bool fits_undo(const v1::Event& event) const;
  void apply_to_undo(const v1::Event& event);
  std::optional<v1::Event> decide_undo();
  void cut_off_undo();

  // Names and drafts.
  std::string slot_path(const SlotRef& at) const;
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
// What is held, about, in bytes.
std::size_t held(const Slot& slot);
std::size_t held(const StepState& step);
std::size_t held(const Scope& scope);
std::size_t held(const v1::SignalReceived& signal);
v1::Event draft(std::string path, std::uint32_t attempt = 0, std::uint32_t turn = 0, std::uint32_t call = 0);
v1::StepResult failed(v1::ErrorKind kind, std::string message, std::uint32_t attempts = 1);
// Succeeded with this output, or failed where it could not be had.
v1::StepResult outcome(Result<v1::Content> output, v1::ErrorKind otherwise = v1::ERROR_KIND_EXPRESSION);
// Of a call that left, of a tool which this server does not offer.
const workflows::ToolPolicy& unknown_policy();
// In doubt, and `verify` has said that it was not done: it leaves again, or has failed.
inline bool is_undone(const ToolCallState& call) {
  return call.in_doubt && !call.ended && call.resolution == v1::RESOLUTION_RETRY;
}
// In doubt no more: what became of it is known, and its end is due.
inline bool is_settled(const ToolCallState& call) {
  return call.resolution != v1::RESOLUTION_UNSPECIFIED && call.resolution != v1::RESOLUTION_RETRY;
}
// Whether a failure of this kind is tried again at all (`retry.on` where it is given).
bool retries(const workflows::Retry& retry, v1::ErrorKind kind);
bool has_result(const StepState& step);  // Succeeded, or failed with `on_error: {use}`.
// Whether a retry of the run begins the step again: it failed its scope, or was cut off.
bool begins_again(const StepState& step, const workflows::Step& definition);
bool has_output(const v1::StepResult& result);
std::string status_name(v1::StepStatus status);
std::string error_name(v1::ErrorKind kind);

}  // namespace weft::run
