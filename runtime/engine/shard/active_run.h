// One run at work in its shard: its parts, and the ports through which they reach each other. What each part is for,
// its own header says.
//
//   effects (model_calls, tool_calls) ── RunPort ──► the run ──► driver: decisions and commands
//   recorder (the output gate)  ◄── record, flush ──┘   └──► timers, queue, presence, unread, rest
//
// Loop only, but for what a header says to belong to the thread that has the run.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/engine/effects/model_calls.h"
#include "runtime/engine/effects/run_port.h"
#include "runtime/engine/effects/tool_calls.h"
#include "runtime/engine/shard/call_queue.h"
#include "runtime/engine/shard/load_run.h"
#include "runtime/engine/shard/resumption.h"
#include "runtime/engine/shard/run_driver.h"
#include "runtime/engine/shard/run_journal.h"
#include "runtime/engine/shard/run_presence.h"
#include "runtime/engine/shard/run_recorder.h"
#include "runtime/engine/shard/run_rest.h"
#include "runtime/engine/shard/run_timers.h"
#include "runtime/engine/shard/unread_contents.h"

namespace weft::engine {

struct ShardCore;

// Shared by the map of runs and by whoever is at the run on the loop: so it is there until they are done, though it may
// have left the shard meanwhile (is_gone).
class ActiveRun final : public RunPort, public std::enable_shared_from_this<ActiveRun> {
 public:
  // Whoever makes it has counted it among the active runs; it is counted until it leaves.
  ActiveRun(ShardCore& core, std::unique_ptr<LoadedRun> run, AppendBatch::Row row);

  bool is_gone() const { return gone_; }                         // It has left the shard.
  bool has_left() const { return gone_ || presence.is_away(); }  // Nothing more is done with it now.
  // Whether the run has begun, or may.
  bool may_begin();
  // By the thread that has the run: stamps and applies the event, and adds it to the batch. The error says that a
  // content that it needs cannot be read, and then nothing has happened.
  Status note_recorded(v1::Event& event);
  Status note_recorded(v1::Event& event, std::int64_t at_us);
  // Records the event, if it is expected, and tells `reply` the run when that is durable.
  void say(v1::Event event, Reply<v1::Run> reply);
  // Tells `reply` the run when all that it has become is durable.
  void tell(Reply<v1::Run> reply);
  // Leaves the shard: it has ended, or nothing more can be recorded of it.
  void forget();
  // Leaves memory: its events say everything. The permit of a run that has not begun.
  admission::Permit evict();

  // RunPort.
  LoadedRun& loaded() override { return *loaded_; }
  bool is_away() const override { return presence.is_away(); }
  void when_here(Task task) override;
  void post(Task task) override;
  std::weak_ptr<const void> life() const override { return weak_from_this(); }
  void record(v1::Event event) override;
  Status try_record(v1::Event event) override;
  void answer(Length length, Draft draft) override;
  void book(v1::Event event) override;
  void flush() override { recorder.flush(); }
  void when_durable(const run::CallKey& key, Task leave) override;
  void revoke(const run::CallKey& key) override { recorder.gate().revoke(key); }
  bool may_read_ahead() const override { return recorder.durable_seq() > 0 && !recorder.stalled(); }
  bool owns() override;
  std::optional<admission::Permit> take_permit(const run::CallKey& key, const run::Command& command,
                                               admission::Limits limits, std::uint64_t tokens) override;
  void cannot_carry_out(run::Command command, const Error& cause) override;
  void park(const std::string& waits_for) override;

 private:
  ShardCore& core_;
  std::unique_ptr<LoadedRun> loaded_;
  bool gone_ = false;

 public:
  // The parts. They borrow the run and each other.
  RunDriver driver;
  RunPresence presence;
  RunJournal journal;
  RunRecorder recorder;
  RunTimers timers;
  CallQueue queue;
  ModelCalls models;
  ToolCalls tools;
  UnreadContents unread;
  Resumption resumption;
  RunRest rest;
};

}  // namespace weft::engine
