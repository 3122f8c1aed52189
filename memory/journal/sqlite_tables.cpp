#include "memory/journal/sqlite_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace weft::memory {
namespace {

// Batches are appended to a table in the order of their commits, so that one commit fills few pages however many runs
// it holds; the one index on them is the only part that is ordered by run. What lists show is ordered by time of
// submission; an index ends with the row's key, so (submitted_at, key) is a whole position.
constexpr const char* kFormat1 = R"sql(
CREATE TABLE partitions (id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL);
CREATE TABLE runs (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  partition INTEGER NOT NULL,
  workflow TEXT NOT NULL,
  workflow_hash TEXT NOT NULL,
  status INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  submitted_at INTEGER NOT NULL,
  ended_at INTEGER,
  request_id TEXT,
  request_digest TEXT NOT NULL,
  summary BLOB NOT NULL
);
CREATE UNIQUE INDEX runs_by_request ON runs (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX runs_by_time ON runs (submitted_at);
CREATE INDEX runs_by_status ON runs (status, submitted_at);
CREATE INDEX runs_by_workflow ON runs (workflow, submitted_at);
CREATE INDEX runs_unfinished ON runs (submitted_at) WHERE ended = 0;
CREATE TABLE labels (
  run INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (run, position)
) WITHOUT ROWID;
CREATE INDEX labels_by_value ON labels (name, value, run);
CREATE TABLE batches (
  key INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  seq_first INTEGER NOT NULL,
  seq_last INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  events BLOB NOT NULL
);
CREATE UNIQUE INDEX batches_by_run ON batches (run, seq_first);
CREATE TABLE blobs (key INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL);
CREATE TABLE workflows (
  key INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  applied INTEGER NOT NULL,
  applied_at INTEGER NOT NULL,
  summary BLOB NOT NULL,
  bundle BLOB NOT NULL
);
CREATE UNIQUE INDEX workflows_by_name ON workflows (name, applied);
)sql";

// What runs have in common is kept by use: a blob goes with the last run that was written with it. Of the runs before
// this format it is not known which blobs are theirs, so those blobs stay until all of those runs are gone.
constexpr const char* kFormat2 = R"sql(
CREATE TABLE blob_uses (blob INTEGER NOT NULL, run INTEGER NOT NULL, PRIMARY KEY (blob, run)) WITHOUT ROWID;
CREATE INDEX blob_uses_by_run ON blob_uses (run);
CREATE TABLE removals (run INTEGER PRIMARY KEY);
CREATE TABLE crashes (run INTEGER PRIMARY KEY, seq INTEGER NOT NULL, count INTEGER NOT NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO facts SELECT 'blobs_without_uses', max(key) FROM blobs HAVING count(*) > 0;
INSERT INTO facts SELECT 'runs_without_uses', max(key) FROM runs WHERE EXISTS (SELECT 1 FROM blobs) HAVING count(*) > 0;
)sql";

constexpr const char* kFormat3 = R"sql(
CREATE TABLE schedules (name TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
)sql";

constexpr const char* kFormat4 = R"sql(
CREATE TABLE snapshots (run INTEGER PRIMARY KEY, seq INTEGER NOT NULL, bytes BLOB NOT NULL);
)sql";

// Rows beside events. `run` is that of a row which goes with its run, else null. Values are long, so the table is by
// number and the keys are an index.
constexpr const char* kFormat5 = R"sql(
CREATE TABLE rows_beside (
  number INTEGER PRIMARY KEY, kind TEXT NOT NULL, key BLOB NOT NULL, run INTEGER, value BLOB NOT NULL
);
CREATE UNIQUE INDEX rows_beside_by_key ON rows_beside (kind, key);
CREATE INDEX rows_beside_by_run ON rows_beside (run) WHERE run IS NOT NULL;
)sql";

// What makes format N of format N - 1, from 1.
constexpr const char* kSteps[] = {kFormat1, kFormat2, kFormat3, kFormat4, kFormat5};
static_assert(std::size(kSteps) == kStoreFormat);

constexpr const char* kMakeIdentity =
    "INSERT OR IGNORE INTO facts SELECT 'identity', (random() & 9223372036854775807) | 1;";

constexpr std::string_view kAutomaticIndex = "sqlite_autoindex_";
constexpr std::string_view kStatistics = "CREATE TABLE sqlite_stat";

// With one space for each run of spaces and line breaks. SQLite keeps a statement as it was written.
std::string in_one_line(std::string_view sql) {
  std::string line;
  for (const char c : sql) {
    const bool is_space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!is_space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (line.ends_with(' ')) line.pop_back();
  return line;
}

// What the schema of a store of `format` holds.
std::set<std::string> statements_of(std::int64_t format) {
  std::set<std::string> statements;
  for (std::int64_t step = 0; step < format; ++step) {
    std::string_view script = kSteps[step];
    while (!script.empty()) {
      const std::size_t end = std::min(script.find(';'), script.size());
      std::string statement = in_one_line(script.substr(0, end));
      if (statement.starts_with("CREATE ")) statements.insert(std::move(statement));
      script.remove_prefix(std::min(end + 1, script.size()));
    }
  }
  return statements;
}

}  // namespace

Status create_tables(const Connection& connection) { return migrate_tables(connection, 0); }

Status migrate_tables(const Connection& connection, std::int64_t from) {
  std::string script = "BEGIN IMMEDIATE;";
  for (std::int64_t format = from; format < kStoreFormat; ++format) script += kSteps[format];
  script += kMakeIdentity;
  script += fmt::format("PRAGMA application_id={}; PRAGMA user_version={}; COMMIT;", kApplicationId, kStoreFormat);
  Status done = connection.execute(script.c_str());
  if (!done && connection.in_transaction()) (void)connection.execute("ROLLBACK");
  return done;
}

Status check_tables(const Connection& connection, const std::string& path, std::int64_t format) {
  std::set<std::string> wanted = statements_of(format);
  WEFT_TRY(const Statement statement, connection.prepare("SELECT type, name, sql FROM sqlite_schema"));
  Use use(statement);
  for (;;) {
    WEFT_TRY(const bool row, use.step());
    if (!row) break;
    const bool is_automatic =
        use.null_at(2) && use.bytes_at(0) == "index" && use.bytes_at(1).starts_with(kAutomaticIndex);
    if (is_automatic || use.bytes_at(2).starts_with(kStatistics)) continue;
    if (wanted.erase(in_one_line(use.bytes_at(2))) == 1) continue;
    return failed_precondition(fmt::format(
        "{} has the {} {}, which is not as weft makes its stores, so it is not opened: restore a backup, or "
        "take out with the sqlite3 tool what was put in with it",
        path, printable(use.bytes_at(0)), printable(use.bytes_at(1))));
  }
  if (wanted.empty()) return {};
  return failed_precondition(fmt::format("{} is no whole store, since it lacks what `{}` makes: restore a backup", path,
                                         wanted.begin()->substr(0, wanted.begin()->find(" ("))));
}

Result<std::uint64_t> read_identity(const Connection& connection, std::int64_t format) {
  if (format < 2) return std::uint64_t{0};  // It has no facts.
  WEFT_TRY(const std::int64_t id,
           connection.integer("SELECT coalesce((SELECT value FROM facts WHERE name = 'identity'), 0)"));
  return static_cast<std::uint64_t>(id);
}

Status make_identity(const Connection& connection) {
  WEFT_TRY(const std::uint64_t id, read_identity(connection, kStoreFormat));
  if (id != 0) return {};
  const Status made = connection.execute(kMakeIdentity);
  // Opening goes on where nothing can be written, so that reading can.
  if (made || made.error().code == Code::kResourceExhausted) return {};
  return made;
}

}  // namespace weft::memory
