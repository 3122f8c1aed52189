// The journal: what happened, durably and in order. Events are opaque bytes here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "memory/journal/claims.h"
#include "memory/journal/reader.h"
#include "memory/journal/rows.h"

namespace weft::memory {

struct Blob {
  Digest digest;
  std::shared_ptr<const std::string> bytes;
};

// Events of one run that become durable together, with the blobs that they name, the rows beside them, and the run's
// row as of their end.
struct Append {
  std::string run;
  std::uint32_t partition = 0;
  Epoch epoch = 0;
  std::uint64_t first_seq = 0;  // A run's first event has the number 1.
  std::uint64_t last_seq = 0;
  std::string events;              // Opaque: the events in their order.
  std::vector<EventBatch> before;  // Batches that come before `events`, where a run begins with more than fit one.
  std::vector<Blob> blobs;         // A blob that exists already is kept as it is.
  std::vector<Digest> shared;      // Blobs that another run was written with: kept for this one too.
  std::optional<RunRow> create;    // With the first events: the run's row.
  std::optional<RunRow> update;    // The row's new status, ended, ended_at and summary. The end removes the snapshot.
  std::string snapshot;            // As of last_seq, in place of the one before; empty: none.
  std::vector<RowChange> rows;     // In their order: of two changes of one row the later one counts.
  // Nothing else is at work: append() may commit it on the caller's thread, which saves two changes of threads, and
  // then calls back before it returns.
  bool alone = false;

  std::uint64_t begins_at() const { return before.empty() ? first_seq : before.front().first_seq; }
};

// What became of an append.
struct Appended {
  // Set if `create` named a request id that another run has, with the same digest: nothing was written, and this is
  // that run.
  std::string existing_run;
};
// Whether an append that failed with this error may succeed later as it is: the store is at fault, not the append. An
// append whose history is wrong (a gap, other events in its place) has the detail `history`.
bool may_heal(const Error& error);
using OnDurable = std::move_only_function<void(Result<Appended>)>;

class Maintenance;

// Invariants:
//  1. Events of one run are durable in the order of their sequence numbers, without gaps or repetition: an append that
//     is already there (same run, same seqs, same bytes) succeeds again and writes nothing; one that leaves a gap, or
//     has other bytes than those that are there, fails with DATA_LOSS.
//  2. An append is one transaction: its events, blobs, rows, snapshot and the run's row are durable and can be read
//     from the same moment on, or none of them is.
//  3. Callbacks come once for each append, in the order of the calls, after the sync of the transaction that holds it:
//     on the writer's thread, or within append() where it is `alone`. Whatever queued while the last transaction was
//     written goes into the next one.
//  4. An append whose epoch is not the partition's current one fails with ABORTED and writes nothing. The statement
//     that inserts the events checks the epoch.
//  5. A transaction that fails is tried again append by append: an append fails for a fault of its own only.
//  6. A claim of a partition raises its epoch. From then on may_send() of an earlier epoch of this partition is false.
// Thread-safe.
class Journal : public Reader {
 public:
  // Makes the caller the owner of partitions, and returns its claims by partition: on success all that are wanted, each
  // with an epoch above all earlier ones of its partition. A store that knows only one owner claims every partition,
  // whatever is wanted. Where an earlier owner may still believe in its claim, the call waits until it cannot.
  // An error: the caller owns no partition by it, and earlier owners may have lost theirs. Not from a callback.
  virtual Result<std::vector<Claim>> claim(std::span<const std::uint32_t> wanted) = 0;
  // Whether a call of a run of this partition may leave the process: `epoch` is the partition's current one and enough
  // of its lease is left. Cheap: asked before each call.
  virtual bool may_send(std::uint32_t partition, Epoch epoch) const = 0;

  // Errors come through the callback. RESOURCE_EXHAUSTED: the queue is full. INVALID_ARGUMENT: the rows break a limit.
  virtual void append(Append append, OnDurable on_durable) = 0;
  // Registers a version. The answer is the row that is now there: a hash that is known keeps its version, and becomes
  // the last applied.
  virtual void put_workflow(WorkflowRow row, std::move_only_function<void(Result<WorkflowRow>)> done) = 0;
  // Replaces what was kept under this name; an empty `state` removes it. ABORTED: the epoch is not the current one of
  // partition 0.
  virtual void put_schedule(ScheduleRow row, std::move_only_function<void(Status)> done) = 0;
  // Waits until everything queued before is durable and called back. Not from a callback.
  virtual void drain() = 0;

  // Runs of these partitions that have not ended, oldest first: what an owner takes up after its claim.
  virtual Result<std::vector<RunRow>> unfinished(std::span<const std::uint32_t> partitions) const = 0;
  // The run's last snapshot. None: it has none, or there is no such run.
  virtual Result<std::optional<Snapshot>> snapshot(std::string_view run) const = 0;
  // A reader for those who move runs: it reads the same, and never waits for those who read long histories.
  virtual const Reader& urgent() const { return *this; }

  // The upkeep of the store (memory/journal/maintenance.h). Null: this store needs none.
  virtual Maintenance* maintenance() { return nullptr; }
};

// A journal in memory, for tests: the same promises but durability.
std::unique_ptr<Journal> make_memory_journal();

}  // namespace weft::memory
