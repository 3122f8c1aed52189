#include "memory/journal/sqlite_prune.h"

#include <fmt/format.h>

#include <vector>

namespace weft::memory {
namespace {

// Of one step: rows, and bytes of what they hold, since freeing a long value touches all of its pages.
constexpr std::size_t kRowsAtOnce = 256;
constexpr std::int64_t kBytesAtOnce = std::int64_t{4} << 20;

Status run_with(const Connection& connection, std::string_view sql, std::int64_t value) {
  WEFT_TRY(const Statement statement, connection.prepare(sql));
  Use use(statement);
  return use.integer(value).run();
}

Result<std::int64_t> fact(const Connection& connection, std::string_view name) {
  return connection.integer(fmt::format("SELECT coalesce((SELECT value FROM facts WHERE name = '{}'), 0)", name));
}

// Keys of a query over (key, bytes) with one parameter, as many as one step may take. `more`: some were left.
struct Keys {
  std::vector<std::int64_t> keys;
  bool more = false;
};
Result<Keys> some_keys(const Connection& connection, std::string_view sql, std::int64_t parameter) {
  WEFT_TRY(const Statement statement, connection.prepare(sql));
  Use use(statement);
  use.integer(parameter);
  Keys found;
  std::int64_t bytes = 0;
  for (;;) {
    WEFT_TRY(const bool row, use.step());
    if (!row) return found;
    if (found.keys.size() == kRowsAtOnce || bytes >= kBytesAtOnce) {
      found.more = true;
      return found;
    }
    found.keys.push_back(use.integer_at(0));
    bytes += use.integer_at(1);
  }
}

}  // namespace

Result<std::int64_t> begin_removal(const Connection& connection, const std::string& run) {
  std::int64_t key = 0;
  {
    WEFT_TRY(const Statement statement, connection.prepare("SELECT key, ended FROM runs WHERE id = ?"));
    Use use(statement);
    WEFT_TRY(const bool found, use.text(run).step());
    if (!found) return not_found(fmt::format("there is no run '{}'", run));
    if (use.integer_at(1) == 0) return failed_precondition(fmt::format("run {} has not ended, so it stays", run));
    key = use.integer_at(0);
  }
  WEFT_RETURN_IF_ERROR(run_with(connection, "INSERT INTO removals (run) VALUES (?)", key));
  WEFT_RETURN_IF_ERROR(run_with(connection, "DELETE FROM labels WHERE run = ?", key));
  WEFT_RETURN_IF_ERROR(run_with(connection, "DELETE FROM crashes WHERE run = ?", key));
  WEFT_RETURN_IF_ERROR(run_with(connection, "DELETE FROM runs WHERE key = ?", key));
  return key;
}

Result<std::optional<std::int64_t>> unfinished_removal(const Connection& connection) {
  WEFT_TRY(const std::int64_t key, connection.integer("SELECT coalesce((SELECT min(run) FROM removals), 0)"));
  return key == 0 ? std::optional<std::int64_t>() : key;
}

Result<bool> remove_some(const Connection& connection, std::int64_t run, Removed& removed) {
  WEFT_TRY(const Keys batches,
           some_keys(connection, "SELECT key, length(events) FROM batches WHERE run = ? ORDER BY seq_first", run));
  for (const std::int64_t key : batches.keys) {
    WEFT_RETURN_IF_ERROR(run_with(connection, "DELETE FROM batches WHERE key = ?", key));
  }
  removed.batches += batches.keys.size();
  if (batches.more) return true;
  WEFT_TRY(const std::int64_t old_blobs, fact(connection, "blobs_without_uses"));
  WEFT_TRY(const Keys blobs, some_keys(connection,
                                       "SELECT u.blob, length(b.bytes) FROM blob_uses u JOIN blobs b ON b.key = u.blob "
                                       "WHERE u.run = ? ORDER BY u.blob",
                                       run));
  for (const std::int64_t key : blobs.keys) {
    {
      WEFT_TRY(const Statement statement, connection.prepare("DELETE FROM blob_uses WHERE blob = ? AND run = ?"));
      Use use(statement);
      WEFT_RETURN_IF_ERROR(use.integer(key).integer(run).run());
    }
    if (key <= old_blobs) continue;
    WEFT_RETURN_IF_ERROR(run_with(
        connection, "DELETE FROM blobs WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM blob_uses WHERE blob = ?1)", key));
    removed.blobs += static_cast<std::uint64_t>(connection.changed());
  }
  if (blobs.more) return true;
  WEFT_TRY(const Keys rows,
           some_keys(connection, "SELECT number, length(value) FROM rows_beside WHERE run = ? ORDER BY number", run));
  for (const std::int64_t number : rows.keys) {
    WEFT_RETURN_IF_ERROR(run_with(connection, "DELETE FROM rows_beside WHERE number = ?", number));
  }
  removed.rows += rows.keys.size();
  if (rows.more) return true;
  WEFT_RETURN_IF_ERROR(run_with(connection, "DELETE FROM removals WHERE run = ?", run));
  ++removed.runs;
  return false;
}

Result<bool> remove_some_old_blobs(const Connection& connection, Removed& removed) {
  WEFT_TRY(const std::int64_t old_blobs, fact(connection, "blobs_without_uses"));
  if (old_blobs == 0) return false;
  WEFT_TRY(const std::int64_t old_runs, fact(connection, "runs_without_uses"));
  WEFT_TRY(const std::int64_t left, connection.integer(fmt::format(
                                        "SELECT EXISTS (SELECT 1 FROM runs WHERE key <= {0}) OR EXISTS (SELECT 1 FROM "
                                        "removals WHERE run <= {0})",
                                        old_runs)));
  if (left != 0) return false;
  WEFT_TRY(const Keys blobs, some_keys(connection,
                                       "SELECT key, length(bytes) FROM blobs b WHERE key <= ? AND NOT EXISTS (SELECT 1 "
                                       "FROM blob_uses WHERE blob = b.key)",
                                       old_blobs));
  for (const std::int64_t key : blobs.keys) {
    WEFT_RETURN_IF_ERROR(run_with(connection, "DELETE FROM blobs WHERE key = ?", key));
  }
  removed.blobs += blobs.keys.size();
  if (blobs.more) return true;
  WEFT_RETURN_IF_ERROR(
      connection.execute("DELETE FROM facts WHERE name IN ('blobs_without_uses', 'runs_without_uses')"));
  return false;
}

}  // namespace weft::memory
