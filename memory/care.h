// Keeping a store in order, beside what runs do with it: copies, the removal of what is old, what crashes left behind.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "memory/commit_times.h"
#include "memory/journal.h"

namespace weft::memory {

struct Removed {
  std::uint64_t runs = 0;
  std::uint64_t batches = 0;
  std::uint64_t blobs = 0;
};

struct StoreFigures {
  std::string path;
  std::int64_t format = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t unused_bytes = 0;  // Of the file; what is written next goes there first.
  std::uint64_t wal_bytes = 0;
  std::uint64_t disk_free_bytes = 0;
  std::uint64_t runs = 0;
  std::uint64_t runs_unfinished = 0;
  CommitFigures commits;
};

// How often in a row an owner crashed while the run was at work and did not get on.
struct CrashCount {
  std::uint64_t seq = 0;  // Of the run's last event when it was last counted.
  std::uint32_t count = 0;
};

// What the last owner left behind.
struct Left {
  bool in_order = true;                       // It said that it leaves; false: it crashed.
  std::map<std::string, CrashCount> crashes;  // By run: those that were counted.
};

// Invariants:
//  1. Removal goes in transactions so small that appends between them do not notice. A removal that was cut off leaves
//     no half of a run to be seen, and is finished by finish_removals().
//  2. A blob goes with the last run that was written with it.
//  3. A copy is the store as of one moment; making it blocks neither reading nor writing.
// Thread-safe; calls block until they are done. Not from a callback of the journal.
class Care {
 public:
  virtual ~Care() = default;
  // Runs that ended before `before`, oldest first. `workflow` empty: any. `after` is a page's `next`.
  virtual Result<RunPage> ended(Time before, std::string_view workflow, std::size_t limit,
                                std::string_view after) const = 0;
  // `run` is a whole id. NOT_FOUND, or FAILED_PRECONDITION where it has not ended.
  virtual Result<Removed> remove(const std::string& run) = 0;
  virtual Result<Removed> finish_removals() = 0;
  // FAILED_PRECONDITION where `to` exists. The copy is durable, and its owner's alone (0600), when this returns.
  virtual Status backup(const std::string& to) const = 0;
  virtual Result<StoreFigures> figures() const = 0;
  virtual Result<Left> left() const = 0;  // Before claim_all(), since that begins a new owner.
  virtual Status count_crashes(const std::map<std::string, CrashCount>& crashes) = 0;
  virtual Status leave() = 0;  // The owner goes in order; what it has not finished was not its undoing.
};

// The SQLite that this program runs with.
struct SqliteBuild {
  std::string version;
  // Two connections that reset the WAL at once may corrupt the file (sqlite.org/wal.html#walresetbug).
  bool has_wal_reset_fault = false;
};
SqliteBuild sqlite_build();

// A consistent copy of a store, whether an engine runs on it or not.
Status backup_sqlite(const std::string& store, const std::string& to);

}  // namespace weft::memory
