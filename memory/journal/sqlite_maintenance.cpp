#include "memory/journal/sqlite_maintenance.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>

#include "memory/journal/sqlite_prune.h"
#include "memory/journal/sqlite_store.h"
#include "memory/journal/store_file.h"

namespace weft::memory {
namespace {

std::uint64_t size_of(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

}  // namespace

SqliteBuild sqlite_build() {
  constexpr int kMended = 3'051'003;
  return {sqlite3_libversion(), sqlite3_libversion_number() < kMended};
}

Result<RunPage> SqliteMaintenance::ended(Time before, std::string_view workflow, std::size_t limit,
                                         std::string_view after) const {
  return reader_.ended(before, workflow, limit, after);
}

Result<Removed> SqliteMaintenance::in_steps(const Step& step) {
  Removed all;
  for (bool more = true; more;) {
    Removed removed;
    WEFT_RETURN_IF_ERROR(on_writer_([&](const Connection& connection) -> Status {
      removed = {};
      WEFT_TRY(more, step(connection, removed));
      return {};
    }));
    all.runs += removed.runs;
    all.batches += removed.batches;
    all.blobs += removed.blobs;
    all.rows += removed.rows;
  }
  return all;
}

Result<Removed> SqliteMaintenance::remove(const std::string& run) {
  std::int64_t key = 0;
  WEFT_RETURN_IF_ERROR(on_writer_([&](const Connection& connection) -> Status {
    WEFT_TRY(key, begin_removal(connection, run));
    return {};
  }));
  return in_steps(
      [key](const Connection& connection, Removed& removed) { return remove_some(connection, key, removed); });
}

Result<Removed> SqliteMaintenance::finish_removals() {
  return in_steps([](const Connection& connection, Removed& removed) -> Result<bool> {
    WEFT_TRY(const std::optional<std::int64_t> key, unfinished_removal(connection));
    if (!key) return remove_some_old_blobs(connection, removed);
    WEFT_RETURN_IF_ERROR(remove_some(connection, *key, removed));
    return true;
  });
}

Status SqliteMaintenance::backup(const std::string& to) const { return backup_sqlite(path_, to); }

Result<StoreFigures> SqliteMaintenance::figures() const {
  WEFT_TRY(const Connection connection, open_store(path_, Connection::Mode::kRead));
  StoreFigures figures;
  figures.path = path_;
  WEFT_TRY(figures.format, connection.integer("PRAGMA user_version"));
  WEFT_TRY(const std::int64_t page_bytes, connection.integer("PRAGMA page_size"));
  WEFT_TRY(const std::int64_t unused, connection.integer("PRAGMA freelist_count"));
  figures.unused_bytes = static_cast<std::uint64_t>(unused * page_bytes);
  WEFT_TRY(const std::int64_t runs, connection.integer("SELECT count(*) FROM runs"));
  figures.runs = static_cast<std::uint64_t>(runs);
  WEFT_TRY(const std::int64_t unfinished, connection.integer("SELECT count(*) FROM runs WHERE ended = 0"));
  figures.runs_unfinished = static_cast<std::uint64_t>(unfinished);
  figures.file_bytes = size_of(path_);
  figures.wal_bytes = size_of(path_ + "-wal");
  struct statvfs disk = {};
  if (::statvfs(path_.c_str(), &disk) == 0) figures.disk_free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  figures.commits = commits_.figures(SystemClock().monotonic());
  return figures;
}

// The store has one owner at a time, who leaves or crashes with all of its partitions at once.
Result<Left> SqliteMaintenance::left(std::span<const std::uint32_t> partitions) const {
  WEFT_TRY(const Connection connection, open_store(path_, Connection::Mode::kRead));
  Left left;
  left.at_work = lock_.left_at_work();
  WEFT_TRY(const std::int64_t claimed, connection.integer("SELECT coalesce(max(epoch), 0) FROM partitions"));
  WEFT_TRY(const std::int64_t gone,
           connection.integer("SELECT coalesce((SELECT value FROM facts WHERE name = 'left_in_order'), 0)"));
  left.in_order = claimed == gone;
  WEFT_TRY(const Statement statement,
           connection.prepare("SELECT r.id, c.seq, c.count, r.partition FROM crashes c JOIN runs r ON r.key = c.run"));
  Use use(statement);
  for (;;) {
    WEFT_TRY(const bool row, use.step());
    if (!row) return left;
    if (std::ranges::find(partitions, static_cast<std::uint32_t>(use.integer_at(3))) == partitions.end()) continue;
    left.crashes[use.string_at(0)] = {use.unsigned_at(1), static_cast<std::uint32_t>(use.integer_at(2))};
  }
}

Status SqliteMaintenance::count_crashes(const std::map<std::string, CrashCount>& crashes) {
  if (crashes.empty()) return {};
  return on_writer_([&](const Connection& connection) -> Status {
    WEFT_TRY(const Statement statement,
             connection.prepare("INSERT INTO crashes (run, seq, count) SELECT key, ?2, ?3 FROM runs WHERE id = ?1 ON "
                                "CONFLICT (run) DO UPDATE SET seq = excluded.seq, count = excluded.count"));
    for (const auto& [run, crash] : crashes) {
      Use use(statement);
      WEFT_RETURN_IF_ERROR(use.text(run).unsigned_integer(crash.seq).integer(crash.count).run());
    }
    return {};
  });
}

Status SqliteMaintenance::leave() {
  return on_writer_([](const Connection& connection) {
    return connection.execute(
        "INSERT INTO facts SELECT 'left_in_order', coalesce(max(epoch), 0) FROM partitions WHERE 1 "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value");
  });
}

}  // namespace weft::memory
