#include "memory/sqlite_tables.h"

#include <fmt/format.h>

#include <string>

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

// What makes format N of format N - 1, from 1.
constexpr const char* kSteps[] = {kFormat1, kFormat2, kFormat3, kFormat4};
static_assert(std::size(kSteps) == kStoreFormat);

}  // namespace

Status create_tables(const Connection& connection) { return migrate_tables(connection, 0); }

Status migrate_tables(const Connection& connection, std::int64_t from) {
  std::string script = "BEGIN IMMEDIATE;";
  for (std::int64_t format = from; format < kStoreFormat; ++format) script += kSteps[format];
  script += fmt::format("PRAGMA application_id={}; PRAGMA user_version={}; COMMIT;", kApplicationId, kStoreFormat);
  Status done = connection.execute(script.c_str());
  if (!done && connection.in_transaction()) (void)connection.execute("ROLLBACK");
  return done;
}

}  // namespace weft::memory
