// The journal: what happened, durably and in order. Events are opaque bytes here; runs, workflows and blobs are rows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace weft::memory {

inline constexpr std::uint32_t kPartitions = 256;
using Epoch = std::uint64_t;

// One run as lists show it. `summary` is opaque (a serialised message of proto/weft/v1).
struct RunRow {
  std::string id;
  std::uint32_t partition = 0;
  std::string workflow;       // Its name.
  std::string workflow_hash;  // Hex.
  int status = 0;
  bool ended = false;
  Time submitted_at;
  std::optional<Time> ended_at;
  std::uint64_t last_seq = 0;  // Of its last durable event; set by the journal.
  std::vector<std::pair<std::string, std::string>> labels;
  std::string request_id;      // Empty: none.
  std::string request_digest;  // Of the submission's payload; compared where a request id comes again.
  std::string summary;
};

struct WorkflowRow {
  std::string hash;  // Hex.
  std::string name;
  std::uint64_t version = 0;  // Rises by one for each new content under a name; set by the journal.
  Time applied_at;
  std::string bundle;   // Opaque: the files as they were sent.
  std::string summary;  // Opaque.
};

// What is kept of a schedule; `state` is opaque.
struct ScheduleRow {
  std::string name;
  std::string state;
  Epoch epoch = 0;  // Of partition 0, whose owner keeps schedules; for put_schedule().
};

struct Blob {
  Digest digest;
  std::shared_ptr<const std::string> bytes;
};

struct EventBatch {
  std::uint64_t first_seq = 0;
  std::uint64_t last_seq = 0;
  std::string events;  // Opaque: the events in their order.
};

// A run as of one of its events; opaque. It saves reading what came before, and no more: where it is lost or cannot be
// read, the events say the same.
struct Snapshot {
  std::uint64_t seq = 0;
  std::string bytes;
};

// Events of one run that become durable together, with the blobs they name and the run's row as of their end.
struct Append {
  std::string run;
  std::uint32_t partition = 0;
  Epoch epoch = 0;
  std::uint64_t first_seq = 0;  // Of a run's first event: 1.
  std::uint64_t last_seq = 0;
  std::string events;  // Opaque: the events in their order.
  std::vector<EventBatch>
      before;                    // Of these, the ones that come first; where a run begins with more than fit one batch.
  std::vector<Blob> blobs;       // Written before them, in the same transaction; those that exist are kept.
  std::vector<Digest> shared;    // Blobs that are there already, with another run: kept for this one too.
  std::optional<RunRow> create;  // With the first events: the run's row.
  std::optional<RunRow> update;  // The row's new status, ended, ended_at and summary. One that ended has no snapshot.
  std::string snapshot;          // As of last_seq, in place of the one before; empty: none.

  std::uint64_t begins_at() const { return before.empty() ? first_seq : before.front().first_seq; }
};

// What became of an append.
struct Appended {
  // Set where `create` named a request id that exists with the same digest: nothing was written, this is the run.
  std::string existing_run;
};
// Whether an append that failed so may succeed later as it is: then the store is at fault and not the append. One whose
// history is wrong (a gap, other events in its place) says so by the detail `history`.
bool may_heal(const Error& error);
using OnDurable = std::move_only_function<void(Result<Appended>)>;

struct RunFilter {
  std::string workflow{};                                     // Empty: any.
  std::vector<int> statuses{};                                // Empty: any.
  std::vector<std::pair<std::string, std::string>> labels{};  // All must match.
  std::optional<Time> since{};                                // Submitted at or after.
  std::optional<bool> ended{};
};

struct RunPage {
  std::vector<RunRow> rows;  // Newest first.
  std::string next;          // A position for `after`; empty at the end.
};

// Reading, from any thread; a reader sees what is durable. Implementations keep a small pool of read-only connections.
class Reader {
 public:
  virtual ~Reader() = default;
  // NOT_FOUND where there is no such run. `key` is a whole id, a unique prefix of one (INVALID_ARGUMENT where several
  // match, naming two), or "@latest".
  virtual Result<RunRow> run(std::string_view key) const = 0;
  virtual Result<RunPage> runs(const RunFilter& filter, std::size_t limit, std::string_view after) const = 0;
  // Batches that hold events from `from_seq` on, at most about `bytes_max` (at least one batch where there is one).
  virtual Result<std::vector<EventBatch>> events(std::string_view run, std::uint64_t from_seq,
                                                 std::size_t bytes_max) const = 0;
  virtual Result<std::shared_ptr<const std::string>> blob(const Digest& digest) const = 0;
  virtual Result<WorkflowRow> workflow_by_hash(std::string_view hash) const = 0;
  virtual Result<WorkflowRow> workflow_by_name(std::string_view name) const = 0;  // The last applied.
  // The last applied of each name, by name; without their bundles.
  virtual Result<std::vector<WorkflowRow>> workflows(std::size_t limit, std::string_view after_name) const = 0;
  virtual Result<std::vector<ScheduleRow>> schedules() const = 0;  // All of them, by name.
};

class Care;

// Invariants:
//  1. Events of one run are durable in the order of their sequence numbers, without gaps or repetition: an append that
//     is already there (same run, same seqs, same bytes) succeeds again; one that leaves a gap fails with DATA_LOSS.
//  2. Callbacks come once for each append, in the order of the calls, on the writer's thread, after the commit
//     (synchronous=FULL) that holds it. Whatever queued while the last commit ran goes into the next transaction.
//  3. An append whose epoch is not the partition's current one fails with ABORTED and writes nothing.
//  4. A failed transaction fails its appends one by one: those that are not at fault are tried again alone.
//  5. Only the writer's connection runs checkpoints; closing any other connection runs none.
//  6. Once a claim has succeeded, owns() of an earlier epoch is false.
// Thread-safe.
class Journal : public Reader {
 public:
  // Claims every partition for a new owner: raises their epochs and returns the new one. Called once, before appends.
  virtual Result<Epoch> claim_all() = 0;
  // RESOURCE_EXHAUSTED through the callback where `queue_bytes_max` is reached.
  virtual void append(Append append, OnDurable on_durable) = 0;
  // Registers a version; the row that is now there (an equal hash keeps its version, and becomes the last applied).
  virtual void put_workflow(WorkflowRow row, std::move_only_function<void(Result<WorkflowRow>)> done) = 0;
  // Takes the place of what was kept under this name; an empty `state` removes it. ABORTED
  // where the epoch is not the current one.
  virtual void put_schedule(ScheduleRow row, std::move_only_function<void(Status)> done) = 0;
  // Unfinished runs, oldest first, for recovery.
  virtual Result<std::vector<RunRow>> unfinished() const = 0;
  // Whether nobody has claimed the store since that epoch. Cheap: asked before anything leaves the process.
  virtual bool owns(Epoch epoch) const = 0;
  // The last one of the run, where it has one.
  virtual Result<std::optional<Snapshot>> snapshot(std::string_view run) const = 0;
  // Waits until everything queued before is durable and called back. Not from a callback.
  virtual void drain() = 0;
  // What keeps the store in order (memory/care.h); null where nothing has to.
  virtual Care* care() { return nullptr; }
};

struct SqliteOptions {
  std::string path;
  std::size_t queue_bytes_max = std::size_t{512} << 20;
  std::size_t batch_bytes_max = std::size_t{64} << 20;  // One transaction.
  std::size_t checkpoint_pages = 4'000;                 // WAL size from which the idle writer checkpoints.
};

// Opens or creates a store for the one engine that owns it. FAILED_PRECONDITION names the process that holds it.
// The folder gets 0700, the files 0600. A store of a newer format is refused with both numbers.
Result<std::unique_ptr<Journal>> open_sqlite(const SqliteOptions& options);
// Opens an existing store for reading only; takes no lock, creates nothing. NOT_FOUND where there is none.
Result<std::unique_ptr<Reader>> open_sqlite_reader(const std::string& path);
// A journal in memory, for tests: the same promises but durability.
std::unique_ptr<Journal> make_memory_journal();

}  // namespace weft::memory
