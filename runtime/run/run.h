// One run: the fold of its events, and what follows from it. The pure core of weft.
//
//   engine: append(event) ──► apply(event) ──► decide() … until nothing follows ──► next() … the commands
//
// Invariants:
//  1. apply() is the only way a run changes. The same events give the same state, commands and digests, today and in a
//     replay: nothing here reads a clock, a random source, the environment or a file.
//  2. Every decision is an event: decide() drafts it from the state alone, and the engine appends and applies it like
//     any other. A later version of weft reads old decisions instead of taking them anew.
//  3. Every step ends exactly once a round; a run that has not ended always has an outstanding command.
//  4. The order in which independent steps end never changes a value.
//
// Shard only. `contents` and `tools` outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/budget.h"
#include "base/result.h"
#include "runtime/run/command.h"
#include "runtime/run/contents.h"
#include "runtime/run/tool_table.h"
#include "weft/v1/event.pb.h"
#include "workflows/workflow.h"

namespace weft::run {

// The rules by which runs are read. A run pins the number; the core keeps the last two.
inline constexpr std::uint32_t kSemantics = 1;
// Elements of one for_each. Their keys fit one event.
inline constexpr std::size_t kElementsMax = 100'000;
inline constexpr std::size_t kElementKeyBytesMax = std::size_t{512} << 10;
// Elements and rounds that one run begins, of all its for_each and repeat together, one in another or not.
inline constexpr std::uint64_t kSlotsMax = 1'000'000;
// What its state holds, about: elements, values and paths.
inline constexpr std::uint64_t kStateBytesMax = std::uint64_t{512} << 20;
// A server that asks for a longer pause than this is not waited for.
inline constexpr std::int64_t kRetryAfterUsMax = 600'000'000;
// How long a cancelled run waits for calls that may change the world; then they are in doubt.
inline constexpr std::int64_t kCancelGraceUs = 30'000'000;

// A call that waits for somebody who knows whether it was done.
struct Doubt {
  CallKey key;
  std::string tool;
  bool closing = false;  // Nobody waits for its result any more, so it cannot leave again.
};

// Units of a Budget that one decision may cost, all that is evaluated and read for it together.
inline constexpr std::uint64_t kDecisionCostMax = 200'000'000;

// Signals that a run keeps while no step takes them.
inline constexpr std::size_t kSignalsMax = 1'000;

// What somebody says of a `repeat` whose rounds are used up: as many again, the last round counts, the step fails.
inline constexpr std::string_view kMoreRounds = "more";
inline constexpr std::string_view kKeepRound = "keep";
inline constexpr std::string_view kFailRounds = "fail";
// Rounds of one `repeat`, however often somebody lets it go on.
inline constexpr std::uint32_t kRoundsMax = 10'000;
// Of a label that a workflow words; what is longer is cut.
inline constexpr std::size_t kLabelBytesMax = 200;

// How much one run may be. Beyond it, the step that would make it more fails.
struct Limits {
  std::uint64_t slots_max = kSlotsMax;
  std::uint64_t state_bytes_max = kStateBytesMax;
};

// A step that waits for a time, a signal or an answer.
struct OpenWait {
  CallKey key;
  const workflows::Step* step = nullptr;
  bool asks = false;  // Somebody; of a step that asks, or whose rounds are used up.
  v1::Waiting waiting;
};

// Whether an error says that a content could not be read: nothing may follow from it.
bool is_unread(const Error& error);

// What a run waits for, in short.
struct Rest {
  std::size_t waits = 0;          // Steps that wait for a time, a signal or an answer.
  bool time_moves = false;        // One of them for a time.
  std::optional<OpenWait> shown;  // The first that waits for somebody's word; where none does, the first.
};

class Run {
 public:
  Run(std::shared_ptr<const workflows::Workflow> workflow, const ToolTable& tools, Contents& contents,
      const Limits& limits = {});
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // Records what happened. DATA_LOSS where the event does not fit the history (the journal is then not this run's). An
  // error of a content (is_unread) changes nothing: the event can be applied when the content can be read.
  Status apply(const v1::Event& event);

  // The next decision that follows from the state: an event without seq, time and digest. Nothing where the run waits
  // for the world or has ended. The caller applies it before it asks again. An error where it cannot be taken now
  // (is_unread: a content that it rests on cannot be read): nothing has changed, and the same is decided later.
  Result<std::optional<v1::Event>> decide();
  // The same within a budget. Where that is over() afterwards, nothing is drafted and nothing is changed that counts:
  // the same decision is due, and may be taken with more.
  Result<std::optional<v1::Event>> decide(Budget& budget);

  // The arguments of the question that a VerifyCall asks about the call. An error that is not is_unread() says that it
  // cannot be put.
  Result<v1::Content> question(const CallKey& call);

  // Drains the outbox: commands that became due with the events applied so far.
  std::optional<Command> next();
  // Every command without a result, for recovery: what next() has handed out in an earlier life.
  std::vector<Command> outstanding() const;

  // After folding a run that an earlier life left. What may be due is then decided in the order of the definition: so
  // it makes no difference from where it was folded, and a replay knows the order. What is not due yet is put aside, as
  // far as that costs no more than `units` (base/budget.h); the rest is when the run goes on.
  void reseed_agenda(std::uint64_t units = Budget::kEndless);
  // After folding a run that this life had put aside with nothing due.
  void clear_agenda();

  // The state as bytes, for this build and this workflow; empty where decisions or commands are due (or the run has
  // ended): then it cannot be taken.
  std::string snapshot() const;
  // In place of all events up to the snapshot's. DATA_LOSS where it is not of this build or this workflow, or damaged;
  // the run is then of no use.
  Status restore(std::string_view snapshot);

  std::vector<Doubt> doubts() const;
  std::vector<OpenWait> open_waits() const;
  Rest rest() const;                             // The same without a list: cheap, however many there are.
  bool has_signal(const std::string& id) const;  // Whether a signal with the sender's id has come.
  std::size_t signals_kept() const;              // Signals that no step has taken.
  bool finishing() const;                        // Not cancelled, its result decided, its `finally` at work.
  bool paused() const;                           // Nothing new is decided; commands stay in the outbox.
  // Whether the attempt waits for nothing but somebody's word, a signal, a time or the turn of calls that are `queued`,
  // or the run is paused: its timeout then stands still.
  using Queued = std::function<bool(const CallKey& call)>;
  bool waits(const CallKey& attempt, const Queued& queued = [](const CallKey&) { return false; }) const;

  // Whether an answer from outside is still waited for; late ones are not applied.
  bool expects(const v1::Event& event) const;
  // Whether a command may still be carried out: a decision after it may have closed the attempt that wanted the call.
  // Of timers, questions and drops always.
  bool wants(const Command& command) const;
  // Whether the result of this call of a tool is still waited for.
  bool awaits_result(const CallKey& tool_call) const;
  // Whether this attempt is at work.
  bool works(const CallKey& attempt) const;
  // Of equal calls under one of whose keys nothing stands: under which one the next of them leaves.
  std::vector<v1::KeyGeneration> generations() const;
  // FAILED_PRECONDITION, and why, where a run that has ended cannot be begun again where it failed.
  Status may_retry() const;

  std::uint64_t slots_begun() const;  // What counts against Limits.
  std::uint64_t state_bytes() const;
  bool ended() const;
  std::uint64_t last_seq() const;
  std::int64_t last_at_us() const;
  const std::string& digest() const;  // 16 bytes.
  const v1::RunIdentity& identity() const;
  const workflows::Workflow& workflow() const;
  std::shared_ptr<const workflows::Workflow> shared_workflow() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

// The kind of a step as its events name it: the two enumerations have one order.
constexpr v1::StepKind kind_on_wire(workflows::StepKind kind) {
  return static_cast<v1::StepKind>(static_cast<int>(kind) + 1);
}
static_assert(kind_on_wire(workflows::StepKind::kAsk) == v1::STEP_KIND_ASK);

// Completes a draft: seq, time (never before the previous one), epoch and running digest.
void stamp(v1::Event& event, std::uint64_t previous_seq, std::int64_t previous_at_us,
           const std::string& previous_digest, std::int64_t now_us, std::uint64_t epoch);

}  // namespace weft::run
