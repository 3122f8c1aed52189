// The upkeep of a store, beside what runs do with it: copies, the removal of old runs, what crashes left behind.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "memory/journal/commit_times.h"
#include "memory/journal/reader.h"
#include "memory/journal/work_marks.h"

namespace weft::memory {

struct Removed {
  std::uint64_t runs = 0;
  std::uint64_t batches = 0;
  std::uint64_t blobs = 0;
  std::uint64_t rows = 0;  // Rows beside events that live as long as their run.
};

struct StoreFigures {
  std::string path;
  std::int64_t format = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t unused_bytes = 0;  // Part of file_bytes: what is written next goes there first.
  std::uint64_t wal_bytes = 0;
  std::uint64_t disk_free_bytes = 0;
  std::uint64_t runs = 0;
  std::uint64_t runs_unfinished = 0;
  CommitFigures commits;
};

// How many times in a row an owner crashed while the run was at work and made no progress.
struct CrashCount {
  std::uint64_t seq = 0;  // The run's last event when it was last counted.
  std::uint32_t count = 0;
};

// What the last owner left behind.
struct Left {
  bool in_order = true;                       // It called leave(); false: it crashed.
  std::map<std::string, CrashCount> crashes;  // The runs that were counted, by id.
  std::vector<std::string> at_work;           // Runs that its threads were working on when it ended, of any partition.
};

// Invariants:
//  1. Removal goes in transactions so short that appends between them do not notice. A removal that was cut off leaves
//     no half of a run to be seen, and is finished by finish_removals().
//  2. A blob is removed with the last run that was written with it, a row of RowLife::kRun with the run whose append
//     put it last. Rows of RowLife::kStore stay.
//  3. A copy is the store as of one moment, rows beside events included; making it blocks neither reading nor writing.
// Thread-safe; calls block until they are done. Not from a callback of the journal.
class Maintenance {
 public:
  virtual ~Maintenance() = default;
  // Runs that ended before `before`, oldest first. An empty `workflow` means any. `after` is the `next` of a page.
  virtual Result<RunPage> ended(Time before, std::string_view workflow, std::size_t limit,
                                std::string_view after) const = 0;
  // `run` is a whole id. NOT_FOUND: there is no such run. FAILED_PRECONDITION: it has not ended.
  virtual Result<Removed> remove(const std::string& run) = 0;
  virtual Result<Removed> finish_removals() = 0;
  // FAILED_PRECONDITION: `to` exists. The copy is durable, and its owner's alone (0600), when the call returns.
  virtual Status backup(const std::string& to) const = 0;
  virtual Result<StoreFigures> figures() const = 0;
  // What the last owner of these partitions left. To be asked before their claim, which begins a new owner.
  virtual Result<Left> left(std::span<const std::uint32_t> partitions) const = 0;
  virtual Status count_crashes(const std::map<std::string, CrashCount>& crashes) = 0;
  // Where threads note which run they work on. Null: the store cannot keep that.
  virtual WorkMarks* marks() { return nullptr; }
  // Says that the owner ends in order: its unfinished runs did not bring it down.
  virtual Status leave() = 0;
};

}  // namespace weft::memory
