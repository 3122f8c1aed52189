// What of one run waits for its turn: the run itself before it begins, its calls before they leave, and, while the run
// is paused, the commands that go in line again when it is resumed.
//
// Invariants:
//  1. A call that waits has no intent yet, so it is not in doubt after a crash.
//  2. While the run is paused, nothing of it stands in line.
// Loop only, but for hold_all(), which belongs to the thread that has the run.
#pragma once

#include <list>
#include <map>
#include <optional>

#include "runtime/admission/admission.h"
#include "runtime/engine/shard/load_run.h"
#include "runtime/engine/shard/shard_world.h"
#include "runtime/run/command.h"

namespace weft::engine {

class CallQueue {
 public:
  // A call and its permit.
  struct Admitted {
    admission::Permit permit;
    run::Command command;
  };

  // Both outlive it.
  CallQueue(const ShardWorld& world, LoadedRun& loaded) : world_(world), loaded_(loaded) {}

  // Whether the run has begun, or may: asks for its permit where it has none. `on_granted` is told on any thread.
  bool may_begin(admission::Admission::OnGranted on_granted);
  void wait_with(admission::Permit permit) { permit_ = std::move(permit); }  // The run's own.
  admission::Permit take_permit() { return std::exchange(permit_, {}); }
  void enter();                   // The run has begun before: it takes its place, also where there is no room.
  void leave() { permit_ = {}; }  // The run rests; others may work meanwhile.

  // The permit of the call, where there is room; otherwise the call waits, and `on_granted` is told on any thread.
  std::optional<admission::Permit> ask(const run::CallKey& key, const run::Command& command, admission::Limits limits,
                                       std::uint64_t tokens, admission::Admission::OnGranted on_granted);
  // Takes out a call whose permit has come; nothing where it was dropped since.
  std::optional<Admitted> take(const run::CallKey& key);
  bool contains(const run::CallKey& key) const { return queued_.contains(key); }
  bool empty() const { return queued_.empty(); }
  void drop(const run::CallKey& key);  // Calls of the attempt; an empty path is the whole run.

  void hold_all();  // The run was paused.
  void hold(run::Command command) { held_.push_back(std::move(command)); }
  std::optional<run::Command> take_held();  // The first that was held, once the run goes on.

 private:
  const ShardWorld& world_;
  LoadedRun& loaded_;
  admission::Permit permit_;  // Of the run itself.
  std::map<run::CallKey, Admitted> queued_;
  std::list<run::Command> held_;
};

}  // namespace weft::engine
