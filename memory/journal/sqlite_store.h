// The SQLite store, as the rest of weft opens and copies it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/result.h"
#include "memory/journal/journal.h"

namespace weft::memory {

struct SqliteOptions {
  std::string path;
  std::size_t queue_bytes_max = std::size_t{512} << 20;
  std::size_t batch_bytes_max = std::size_t{64} << 20;  // One transaction.
  std::size_t checkpoint_pages = 4'000;                 // The size of the WAL from which the idle writer checkpoints.
};

// Opens or creates a store for the one engine that owns it. FAILED_PRECONDITION names the process that holds it.
// The folder gets 0700, the files 0600. A store of a newer format is refused with both numbers.
//
// The store knows one owner: a claim of any partition claims all 256 at once, under one epoch and without a lease. A
// claim waits for two milliseconds, since an earlier owner looks at the epoch at least once in one.
Result<std::unique_ptr<Journal>> open_sqlite(const SqliteOptions& options);
// Opens an existing store for reading only; takes no lock, creates nothing. NOT_FOUND: there is none.
Result<std::unique_ptr<Reader>> open_sqlite_reader(const std::string& path);

// A consistent copy of a store, whether an engine runs on it or not. Errors as those of Maintenance::backup().
Status backup_sqlite(const std::string& store, const std::string& to);

// The SQLite library that this program runs with.
struct SqliteBuild {
  std::string version;
  // Two connections that reset the WAL at once may corrupt the file (sqlite.org/wal.html#walresetbug).
  bool has_wal_reset_fault = false;
};
SqliteBuild sqlite_build();

}  // namespace weft::memory
