// Records the events of one run: stamps and applies each, collects them into appends, and keeps what the journal has
// not confirmed. What may not leave before its event is durable waits at the run's output gate (output_gate.h), which
// the recorder opens.
//
//   record(event): stamp, apply, batch ──► flush(): one append ──► the journal ── append_ended() ──► the gate opens
//
//                    an append fails and may succeed later          the store can be written
//          writing ──────────────────────────────────────► stalled ──────────────────────────► writing
//             └───── the store has another owner, or the run is let go ─────► closed ◄────┘
//
// Invariants:
//  1. Events of the run are appended in the order of their sequence numbers, without gaps; those of one cause in one
//     append.
//  2. While an append is not known to be durable, the recorder keeps a copy. Where one fails that may succeed later,
//  the
//     run is stalled: nothing leaves, and the same appends are made again in the same order, within frozen_bytes_max.
//  3. The gate opens only while this process owns the store.
//  4. Closed, nothing is recorded and nothing leaves; the next start goes on from what is durable.
//
// record() belongs to the thread that has the run; all else to the loop. Knows no thread: its owner hands the appends
// to the journal.
#pragma once

#include <cstdint>
#include <list>
#include <string>

#include "base/loop.h"
#include "memory/journal/journal.h"
#include "runtime/engine/shard/append_batch.h"
#include "runtime/engine/shard/load_run.h"
#include "runtime/engine/shard/output_gate.h"
#include "runtime/engine/shard/shard_world.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

class StalledRuns;

class RunRecorder {
 public:
  // The run that is recorded.
  class Owner {
   public:
    // Hands it to the journal. append_ended() is told on the loop, unless the run is gone by then.
    virtual void send(memory::Append append) = 0;
    virtual bool is_lent() const = 0;
    virtual void when_not_lent(Task task) = 0;     // Before anything else of the run, and soon.
    virtual void post(Task task) = 0;              // When the loop turns again, unless the run is gone by then.
    virtual const v1::Run& summary_to_tell() = 0;  // Also while the run is lent.
    virtual std::string snapshot() = 0;            // Empty where none can be taken now.
    virtual bool owns() = 0;                       // Whether anything may leave. Gives the run up where it may not.
    virtual void became_durable() = 0;             // More of it, and what waited has left. The run may go.
    virtual void stall_changed() = 0;              // stalled() did.
    virtual void let_go() = 0;                     // The store has no such run, or has it under another id.
    virtual void lost(const Error& why) = 0;       // The recorder was closed by give_up().

   protected:
    ~Owner() = default;
  };

  // All of them outlive it.
  RunRecorder(const ShardWorld& world, StalledRuns& stalls, LoadedRun& loaded, AppendBatch::Row row, Owner& owner);
  ~RunRecorder();
  RunRecorder(const RunRecorder&) = delete;
  RunRecorder& operator=(const RunRecorder&) = delete;

  // Stamps and applies the event, and adds it to the batch. Nothing happens where a content that it needs cannot be
  // read: the error says so (run::is_unread).
  Status record(v1::Event& event, std::int64_t at_us);
  void flush();
  // Tells `reply` the run when all that was recorded is durable, at once where it is.
  void answer_when_all_durable(Reply<v1::Run> reply);
  AppendBatch& batch() { return batch_; }
  OutputGate& gate() { return gate_; }
  const OutputGate& gate() const { return gate_; }

  void append_ended(std::uint64_t seq, Result<memory::Appended> appended);  // What became of an append.
  // Of a stalled run: tries whether the store can be written. False where nothing can be tried now.
  bool append_first_again();
  void go_on();  // The store can be written: makes all unsettled appends again. REQUIRES: stalled.

  void close(const Error& why);    // Who waits is told the reason.
  void give_up(const Error& why);  // The same, since the store will not take the run's events; tells the owner.

  std::uint64_t durable_seq() const { return durable_seq_; }
  bool all_durable() const { return durable_seq_ == loaded_.run->last_seq(); }
  bool stalled() const { return stalled_; }
  bool closed() const { return closed_; }
  bool has_appends_in_flight() const { return appends_in_flight_ > 0; }
  const std::string& run_id() const { return loaded_.id; }

 private:
  void hand_in(memory::Append append);
  void send(memory::Append append);
  void settle(std::uint64_t seq, Result<memory::Appended> appended);
  void failed(std::uint64_t seq, const Error& cause);
  void never_written(const Error& cause);
  void existing(const std::string& run_id);
  void open_gate();
  void tell_durable();
  bool keep(std::size_t bytes);
  void leave_stall();
  Error no_room_to_wait() const;

  const ShardWorld& world_;
  StalledRuns& stalls_;
  LoadedRun& loaded_;
  Owner& owner_;
  AppendBatch batch_;
  OutputGate gate_;
  bool stalled_ = false;
  bool closed_ = false;
  std::uint64_t durable_seq_ = 0;
  std::list<memory::Append> unsettled_;  // Not known to be durable, in order.
  std::size_t appends_in_flight_ = 0;    // Of these, with the journal.
  std::size_t stalled_bytes_ = 0;        // Taken of frozen_bytes_max.
};

}  // namespace weft::engine
