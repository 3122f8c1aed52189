// The tree of a run's steps, as their events fold into it: it mirrors the graph. Private to this room.
//
//   Scope (the workflow) ─► StepState ─► Slot (one, or one an element) ─► Execution (the attempt at work)
//                                                                          └─► its calls, or the Scope of a group …
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/json.h"
#include "runtime/run/call_state.h"
#include "runtime/run/command.h"
#include "weft/v1/event.pb.h"
#include "workflows/workflow.h"

namespace weft::run {

struct Scope;

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
  // Of a call under way: its number within the turn, from 1.
  std::uint32_t number_of(const ToolCallState& call) const {
    return static_cast<std::uint32_t>(&call - calls.data()) + 1;
  }
  // The call with this number of the turn under way; null: there is none.
  const ToolCallState* call_at(std::uint32_t of_turn, std::uint32_t number) const {
    return of_turn == turn && number > 0 && number <= calls.size() ? &calls[number - 1] : nullptr;
  }
  bool wants_model(std::uint32_t of_turn, std::uint32_t of_sending) const {
    return of_turn == turn && of_sending == sending && phase == Phase::kModelWanted && !closing;
  }
  // Runs of older versions sent what was verified as not done again without a decision.
  bool may_leave(const ToolCallState& call) const {
    return !call.ended && (!call.in_doubt || call.resolution == v1::RESOLUTION_RETRY) &&
           (!call.open_effect() || call.in_doubt) && !closing;
  }
  // A late answer settles a doubt, and what a fork asks may be answered when nobody waits for it any more.
  bool awaits_result(const ToolCallState& call) const {
    return !call.ended && (!closing || call.open_effect() || (call.in_doubt && call.asked));
  }
  // A tool step whose time is over is not given up while it can be told what it did: the call leaves again.
  bool may_reopen() const {
    return step->kind == workflows::StepKind::kTool && failure.kind() == v1::ERROR_KIND_TIMED_OUT;
  }
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

bool has_result(const StepState& step);  // Succeeded, or failed with `on_error: {use}`.
// Whether a retry of the run begins the step again: it failed its scope, or was cut off.
bool begins_again(const StepState& step, const workflows::Step& definition);
// What is held, about, in bytes.
std::size_t held(const Slot& slot);
std::size_t held(const StepState& step);
std::size_t held(const Scope& scope);

}  // namespace weft::run
