// What takes a run forward: answers from outside are recorded, the decisions that follow are taken, and the commands
// that become due are carried out, a stretch at a time.
//
//   answer ──► recorded ──► decide … ──► commands … ──► decide … ──► nothing follows ──► flush: one append
//
// Invariants:
//  1. The loop does at most a stretch of one run (kStretch); a run that has more to do stands in line, or is lent where
//     one decision is too long for the loop.
//  2. Decisions are taken in the order of the events that caused them, wherever they are taken.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "runtime/engine/shard/run_timers.h"
#include "runtime/engine/shard/shard_world.h"
#include "runtime/run/command.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

struct ShardCore;
class ActiveRun;

// What decisions came to: none follows, more may follow, the next one is too much for the loop, or it rests on a
// content that cannot be read.
enum class Came : std::uint8_t { kToNothing, kToMore, kToTooMuch, kToUnread };

// Loop only, but for what is said to be done by the thread that has the run.
class RunDriver final : public RunTimers::Owner {
 public:
  RunDriver(ShardCore& core, ActiveRun& run) : core_(core), run_(run) {}  // Both outlive it.

  void advance();  // A stretch of it. The run may be away afterwards.
  // Records an answer from outside, if it is still waited for, and everything that follows from it.
  void answer(v1::Event event);
  // By the thread that has the run: the same without what follows. False where it was not recorded.
  bool take_answer(v1::Event event);
  Came decide_on_pool(Stretch& stretch, const std::atomic<bool>& stop);
  // As after each event of a run that does all at once: what is not due now is put aside.
  void set_aside();
  void end_if_endless();  // A run that has computed for longer than limits.decide_max.

  // The run may be away afterwards, where the pool reads first what the command needs.
  void carry_out(const run::Command& command);
  void permit_granted(const run::CallKey& key);  // Of a call that waited.
  void drop(const run::CallKey& key);            // Everything of the attempt; an empty path is the whole run.
  void fire(const run::StartTimer& due);         // REQUIRES: the run is here.
  void adjust_timeouts();                        // All of them; when the run is back, where it is lent.

  bool stands_still() const override;
  bool waits(const run::CallKey& attempt) const override;
  bool is_away() const override;
  void when_back(const run::StartTimer& timer, Task task) override;
  void timer_due(const run::StartTimer& timer) override;

 private:
  enum class Place : std::uint8_t { kLoop, kPool };
  Came decide(Stretch& stretch, Place place, const std::atomic<bool>* stop = nullptr);
  bool go_on_resuming(Stretch& stretch);
  bool carry_out_paused(Stretch& stretch);
  void finish_stretch();
  void others_first();
  void end_stuck();
  bool is_stuck() const;
  bool reads_first(const run::Command& command);
  void carry_out_now(const run::Command& command);
  bool lends_for_snapshot();

  ShardCore& core_;
  ActiveRun& run_;
  Duration decided_{0};  // Off the loop, since something last came from outside.
};

}  // namespace weft::engine
