// One shard: a thread that owns some partitions' runs. It finds or makes the run that something is for, and hands it
// over: what becomes of it there, active_run.h tells.
//
// No run holds the loop. A run's decisions and commands are taken in stretches; one that has more of them stands in
// line with the others (run_line.h). Work that may be long is done on a pool: the run is lent to it (run_presence.h).
// What comes for a run meanwhile waits in its mail, so that the order of its events is the same as if it had done all
// at once; only what a person says to stop it gets between. Nothing reads a history on the loop (evicted_runs.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/loop.h"
#include "memory/journal/journal.h"
#include "runtime/engine/inputs.h"
#include "runtime/engine/maintenance/crash_loop_guard.h"
#include "runtime/engine/shard/shard_core.h"
#include "runtime/history/share_past.h"

namespace weft::engine {

struct Submission {
  std::string run_id;
  std::uint32_t partition = 0;
  history::RunDefinition definition;
  std::string input;              // Canonical JSON.
  v1::RunsSubmitRequest request;  // Labels, request id, traceparent.
  std::string request_digest;
  admission::Permit permit;
  std::int64_t scheduled_for_us = 0;  // Of the workflow's schedule; 0: it did not start it.
  Reply<v1::RunsSubmitResponse> reply;
};

// A fork that is to begin.
struct ForkStart {
  Submission submission;  // Its request names the labels and the request id.
  history::SharedPast past;
  v1::RunForked forked;
  bool own_input = false;  // `submission.input` is given; otherwise the source's stands.
};

class Shard {
 public:
  explicit Shard(const ShardWorld& world) : core_(world) {}
  ~Shard() { stop(); }  // Calls in flight are dropped, to be found by recovery.
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Before start(): loads a run from its journal.
  // FAILED_PRECONDITION where `crashes` say that it is left alone.
  // UNAVAILABLE where it cannot be read now.
  Status recover(const memory::RunRow& row, const history::RunDefinition& definition, CrashLoopGuard& crash_guard);
  // Tries again and again, until the run can be read. Thread-safe.
  using LoadDefinition = std::function<Result<history::RunDefinition>()>;
  void recover_later(memory::RunRow row, LoadDefinition load, const Error& cause, Duration delay = Duration(0));
  void start();  // Begins to serve; recovered runs go on.
  void stop();   // Ends the thread; the journal may call back until it is drained.
  void drop();   // After that: lets go of its runs and of all that was posted. Whoever waits is answered.

  Loop& loop() { return core_.loop; }

  // Thread-safe; they post to the shard.
  void submit(Submission submission);
  void begin(std::string run_id) { core_.begin(std::move(run_id)); }  // Its turn has come.
  void after(Duration delay, Task task);
  void input(std::string run_id, inputs::Request request);  // What a client says to the run.
  // `row` has ended, and is counted among the active runs already, as a fork is.
  void retry(memory::RunRow row, history::RunDefinition definition, std::string reason, Reply<v1::Run> reply);
  void fork(ForkStart start);

 private:
  std::shared_ptr<ActiveRun> add(Submission& submission);
  void begin_submitted(const std::shared_ptr<ActiveRun>& run, Submission submission);
  void take_input(const std::string& run_id, inputs::Request request);
  void begin_again(ActiveRun& run, std::string reason, Reply<v1::Run> reply);

  ShardCore core_;
  std::thread thread_;
};

}  // namespace weft::engine
