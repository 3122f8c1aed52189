// How a store lays out batches of events, contents and checkpoints: what memory/ does, beside what it does not.
//
// store_layout --scratch FOLDER --seconds N [--results FILE]
//
// Each case writes for N seconds on a database of its own, WAL and synchronous=FULL, one thread that commits: so many
// batches of 600 bytes a transaction, of 500 runs in turn. Latencies are those of whole transactions, checkpoints that
// fall into them included. With `LD_PRELOAD=bench_slow_sync.so` every sync takes 2 ms longer.
#include <fmt/format.h>
#include <sqlite3.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "base/json.h"
#include "bench/arguments.h"
#include "bench/load.h"
#include "bench/scratch.h"

namespace weft::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kRuns = 500;
constexpr std::size_t kBatchBytes = 600;
constexpr std::size_t kContentBytes = 24 << 10;
constexpr int kContentsShared = 2;  // One content in so many was written before, as a system prompt or a document is.

enum class Rows : std::uint8_t { kAppended, kClustered };
enum class Contents : std::uint8_t { kNone, kBeside, kInline };
enum class Checkpoints : std::uint8_t { kBounded, kAutomatic };

struct Case {
  const char* name;
  Rows rows = Rows::kAppended;
  Contents contents = Contents::kNone;
  Checkpoints checkpoints = Checkpoints::kBounded;
  int per_commit = 1;
};

class Database {
 public:
  explicit Database(const std::string& path) { sqlite3_open(path.c_str(), &handle_); }
  ~Database() {
    for (sqlite3_stmt* statement : statements_) sqlite3_finalize(statement);
    sqlite3_close(handle_);
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  Status execute(const char* sql) {
    return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? Status() : failed();
  }
  Status prepare(const char* sql, sqlite3_stmt*& into) {
    if (sqlite3_prepare_v2(handle_, sql, -1, &into, nullptr) != SQLITE_OK) return failed();
    statements_.push_back(into);
    return {};
  }
  Status run(sqlite3_stmt* statement) {
    const int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? Status() : failed();
  }
  Status failed() const { return internal(sqlite3_errmsg(handle_)); }
  sqlite3* handle() const { return handle_; }

 private:
  sqlite3* handle_ = nullptr;
  std::vector<sqlite3_stmt*> statements_;
};

// What the writer of memory/ does: nothing by itself, a checkpoint of its own from so many pages on.
constexpr int kPagesBounded = 32'000;
int note_pages(void* pages, sqlite3*, const char*, int in_wal) {
  *static_cast<int*>(pages) = in_wal;
  return SQLITE_OK;
}

Status measure(const Case& the_case, const std::string& path, double seconds, Json& row) {
  Database database(path);
  WEFT_RETURN_IF_ERROR(database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384;"));
  int wal_pages = 0;
  if (the_case.checkpoints == Checkpoints::kBounded) {
    sqlite3_wal_autocheckpoint(database.handle(), 0);
    sqlite3_wal_hook(database.handle(), note_pages, &wal_pages);
  }
  const bool clustered = the_case.rows == Rows::kClustered;
  WEFT_RETURN_IF_ERROR(database.execute(
      clustered
          ? "CREATE TABLE batches (run INTEGER, seq_first INTEGER, seq_last INTEGER, epoch INTEGER, events BLOB, "
            "PRIMARY KEY (run, seq_first)) WITHOUT ROWID"
          : "CREATE TABLE batches (key INTEGER PRIMARY KEY, run INTEGER, seq_first INTEGER, seq_last INTEGER, epoch "
            "INTEGER, events BLOB); CREATE UNIQUE INDEX batches_by_run ON batches (run, seq_first)"));
  WEFT_RETURN_IF_ERROR(database.execute(
      "CREATE TABLE blobs (key INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL)"));
  sqlite3_stmt* insert = nullptr;
  sqlite3_stmt* content = nullptr;
  WEFT_RETURN_IF_ERROR(
      database.prepare("INSERT INTO batches (run, seq_first, seq_last, epoch, events) VALUES (?, ?, ?, 1, ?)", insert));
  WEFT_RETURN_IF_ERROR(
      database.prepare("INSERT INTO blobs (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING", content));

  std::vector<std::int64_t> seqs(kRuns, 0);
  std::minstd_rand random(3);
  std::vector<double> latencies_ms;
  std::size_t rows = 0;
  std::int64_t fresh = 0;
  std::string events(kBatchBytes, 'e');
  std::string bytes(kContentBytes, 'c');
  std::string digest(32, '\0');
  const auto begun = SteadyClock::now();
  const auto until = begun + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
  while (SteadyClock::now() < until) {
    const auto commit_begun = SteadyClock::now();
    WEFT_RETURN_IF_ERROR(database.execute("BEGIN IMMEDIATE"));
    for (int i = 0; i < the_case.per_commit; ++i) {
      const auto run = static_cast<std::size_t>(random() % kRuns);
      const std::int64_t seq = ++seqs[run];
      if (the_case.contents != Contents::kNone) {
        const std::int64_t number =
            random() % kContentsShared == 0 || fresh == 0 ? ++fresh : static_cast<std::int64_t>(random()) % fresh + 1;
        std::copy_n(reinterpret_cast<const char*>(&number), sizeof number, digest.data());
        std::copy_n(reinterpret_cast<const char*>(&number), sizeof number, bytes.data());
        if (the_case.contents == Contents::kBeside) {
          sqlite3_bind_blob(content, 1, digest.data(), static_cast<int>(digest.size()), SQLITE_STATIC);
          sqlite3_bind_blob(content, 2, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
          WEFT_RETURN_IF_ERROR(database.run(content));
        } else {
          events.resize(kBatchBytes);
          events += bytes;
        }
      }
      sqlite3_bind_int64(insert, 1, static_cast<std::int64_t>(run));
      sqlite3_bind_int64(insert, 2, seq);
      sqlite3_bind_int64(insert, 3, seq);
      sqlite3_bind_blob(insert, 4, events.data(), static_cast<int>(events.size()), SQLITE_STATIC);
      WEFT_RETURN_IF_ERROR(database.run(insert));
      ++rows;
    }
    WEFT_RETURN_IF_ERROR(database.execute("COMMIT"));
    if (wal_pages >= kPagesBounded) {
      sqlite3_wal_checkpoint_v2(database.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
      wal_pages = 0;
    }
    latencies_ms.push_back(std::chrono::duration<double, std::milli>(SteadyClock::now() - commit_begun).count());
  }
  const double took = std::chrono::duration<double>(SteadyClock::now() - begun).count();
  const double wal_mib = file_bytes(path + "-wal") / (1 << 20);
  sqlite3_wal_checkpoint_v2(database.handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  // What a recovery or a trace does: one run's events in their order.
  sqlite3_stmt* read = nullptr;
  WEFT_RETURN_IF_ERROR(database.prepare("SELECT events FROM batches WHERE run = ? ORDER BY seq_first", read));
  const auto read_begun = SteadyClock::now();
  std::size_t read_rows = 0;
  for (int run = 0; run < 50; ++run) {
    sqlite3_bind_int64(read, 1, run);
    while (sqlite3_step(read) == SQLITE_ROW) read_rows += sqlite3_column_bytes(read, 0) > 0 ? 1 : 0;
    sqlite3_reset(read);
  }
  const double read_us = std::chrono::duration<double, std::micro>(SteadyClock::now() - read_begun).count();
  row["rows_s"] = std::round(static_cast<double>(rows) / took);
  row["p50"] = std::round(percentile(latencies_ms, 50) * 1e3) / 1e3;
  row["p99"] = std::round(percentile(latencies_ms, 99) * 1e3) / 1e3;
  row["max"] = std::round(percentile(latencies_ms, 100) * 1e2) / 1e2;
  row["b_per_row"] = std::round(file_bytes(path) / static_cast<double>(rows));
  row["wal_mb"] = std::round(wal_mib * 10) / 10;
  row["read_us_per_row"] = std::round(read_us / static_cast<double>(std::max<std::size_t>(read_rows, 1)) * 100) / 100;
  return {};
}

Status run(const Arguments& arguments) {
  const auto seconds = static_cast<double>(arguments.number("seconds", 3));
  WEFT_TRY(const Scratch scratch, Scratch::make(arguments.text("scratch", ".")));
  const std::string slow = std::getenv("LD_PRELOAD") == nullptr ? "" : ", sync + 2 ms";
  constexpr Case kCases[] = {
      {"weft: rows appended, checkpoints of its own", Rows::kAppended, Contents::kNone, Checkpoints::kBounded, 1},
      {"layout: rows clustered by run", Rows::kClustered, Contents::kNone, Checkpoints::kBounded, 1},
      {"weft: rows appended, checkpoints of its own", Rows::kAppended, Contents::kNone, Checkpoints::kBounded, 16},
      {"layout: rows clustered by run", Rows::kClustered, Contents::kNone, Checkpoints::kBounded, 16},
      {"weft: rows appended, checkpoints of its own", Rows::kAppended, Contents::kNone, Checkpoints::kBounded, 256},
      {"layout: rows clustered by run", Rows::kClustered, Contents::kNone, Checkpoints::kBounded, 256},
      {"layout: SQLite's own checkpoints", Rows::kAppended, Contents::kNone, Checkpoints::kAutomatic, 1},
      {"layout: SQLite's own checkpoints", Rows::kAppended, Contents::kNone, Checkpoints::kAutomatic, 16},
      {"layout: SQLite's own checkpoints", Rows::kAppended, Contents::kNone, Checkpoints::kAutomatic, 256},
      {"weft: contents beside", Rows::kAppended, Contents::kBeside, Checkpoints::kBounded, 8},
      {"layout: contents inline", Rows::kAppended, Contents::kInline, Checkpoints::kBounded, 8},
  };
  for (const Case& the_case : kCases) {
    const std::string path = scratch.file("layout.db");
    Json row = Json::object();
    row["engine"] = the_case.name;
    row["variant"] = "FULL" + slow;
    row["n"] = 0;
    row["c"] = the_case.per_commit;
    WEFT_RETURN_IF_ERROR(measure(the_case, path, seconds, row));
    WEFT_RETURN_IF_ERROR(report(row, arguments));
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end);
  }
  return {};
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) { return weft::bench::bench_main(count, arguments, weft::bench::run); }
