// What a reader of an SQLite store finds beside the rows of runs: events, blobs, workflows, schedules, snapshots, rows
// beside events.
#include <fmt/format.h>

#include <algorithm>

#include "memory/journal/sqlite_reader.h"

namespace weft::memory {
namespace {

constexpr const char* kSelectWorkflow = "SELECT hash, name, version, applied_at, summary, bundle FROM workflows ";
constexpr const char* kSelectRowsBeside = "SELECT b.key, b.value FROM rows_beside b ";
// A row that goes with its run is gone with the first step of the run's removal.
constexpr const char* kRunIsThere = "(b.run IS NULL OR EXISTS (SELECT 1 FROM runs r WHERE r.key = b.run))";

WorkflowRow read_workflow(const Use& use) {
  WorkflowRow row;
  row.hash = use.string_at(0);
  row.name = use.string_at(1);
  row.version = use.unsigned_at(2);
  row.applied_at = Time(Duration(use.integer_at(3)));
  row.summary = use.string_at(4);
  row.bundle = use.string_at(5);
  return row;
}

}  // namespace

Result<std::vector<EventBatch>> SqliteReader::events(std::string_view run, std::uint64_t from_seq,
                                                     std::size_t bytes_max) const {
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const std::int64_t key, (*connection)->key_of_run(run));
  // The batch that holds `from_seq` may begin before it.
  WEFT_TRY(const Statement* statement,
           (*connection)
               ->statement("SELECT seq_first, seq_last, events FROM batches WHERE run = ?1 AND seq_first >= "
                           "coalesce((SELECT max(seq_first) FROM batches WHERE run = ?1 AND seq_first <= ?2), 0) "
                           "AND seq_last >= ?2 ORDER BY seq_first"));
  Use use(*statement);
  use.integer(key).unsigned_integer(from_seq);
  std::vector<EventBatch> batches;
  for (std::size_t bytes = 0; batches.empty() || bytes < bytes_max;) {
    WEFT_TRY(const bool more, use.step());
    if (!more) break;
    const std::string_view events = use.bytes_at(2);
    if (!batches.empty() && bytes + events.size() > bytes_max) break;
    bytes += events.size();
    batches.push_back({use.unsigned_at(0), use.unsigned_at(1), std::string(events)});
  }
  return batches;
}

Result<std::shared_ptr<const std::string>> SqliteReader::blob(const Digest& digest) const {
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const Statement* statement, (*connection)->statement("SELECT bytes FROM blobs WHERE digest = ?"));
  Use use(*statement);
  WEFT_TRY(const bool found, use.blob(view(digest)).step());
  if (!found) return not_found(fmt::format("there is no blob {}", to_hex(view(digest))));
  return std::make_shared<const std::string>(use.bytes_at(0));
}

Result<BlobPiece> SqliteReader::blob_piece(std::string_view run, const Digest& digest, std::uint64_t offset,
                                           std::size_t bytes_max) const {
  WEFT_TRY(const auto connection, pool_.lease());
  // Of runs from before uses were noted it is not known which blobs of that time are theirs: all of them.
  WEFT_TRY(const Statement* statement,
           (*connection)
               ->statement("SELECT b.key, length(b.bytes) FROM blobs b JOIN runs r ON r.id = ? WHERE b.digest = ? AND "
                           "(EXISTS (SELECT 1 FROM blob_uses u WHERE u.blob = b.key AND u.run = r.key) OR "
                           "(b.key <= coalesce((SELECT value FROM facts WHERE name = 'blobs_without_uses'), 0) AND "
                           "r.key <= coalesce((SELECT value FROM facts WHERE name = 'runs_without_uses'), 0)))"));
  Use use(*statement);
  WEFT_TRY(const bool found, use.text(run).blob(view(digest)).step());
  if (!found) return not_found(fmt::format("the run {} has no content {}", run, to_hex(view(digest))));
  BlobPiece piece;
  piece.size = use.unsigned_at(1);
  if (offset >= piece.size) return piece;
  WEFT_TRY(
      piece.bytes,
      (*connection)->part_of_blob(use.integer_at(0), offset, std::min<std::uint64_t>(bytes_max, piece.size - offset)));
  return piece;
}

Result<WorkflowRow> SqliteReader::workflow_by_hash(std::string_view hash) const {
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const Statement* statement, (*connection)->statement(std::string(kSelectWorkflow) + "WHERE hash = ?"));
  Use use(*statement);
  WEFT_TRY(const bool found, use.text(hash).step());
  if (!found) return not_found(fmt::format("there is no workflow of the hash '{}'", hash));
  return read_workflow(use);
}

Result<WorkflowRow> SqliteReader::workflow_by_name(std::string_view name) const {
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const Statement* statement,
           (*connection)->statement(std::string(kSelectWorkflow) + "WHERE name = ? ORDER BY applied DESC LIMIT 1"));
  Use use(*statement);
  WEFT_TRY(const bool found, use.text(name).step());
  if (!found) return not_found(fmt::format("there is no workflow '{}'", name));
  return read_workflow(use);
}

Result<std::vector<WorkflowRow>> SqliteReader::workflows(std::size_t limit, std::string_view after_name) const {
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const Statement* statement,
           (*connection)
               ->statement("SELECT hash, name, version, applied_at, summary, '' FROM workflows w WHERE name > ? AND "
                           "applied = (SELECT max(applied) FROM workflows WHERE name = w.name) ORDER BY name LIMIT ?"));
  Use use(*statement);
  use.text(after_name).unsigned_integer(limit);
  std::vector<WorkflowRow> rows;
  for (;;) {
    WEFT_TRY(const bool more, use.step());
    if (!more) return rows;
    rows.push_back(read_workflow(use));
  }
}

Result<std::vector<ScheduleRow>> SqliteReader::schedules() const {
  WEFT_TRY(const auto connection, pool_.lease());
  std::vector<ScheduleRow> rows;
  WEFT_TRY(const bool exists, (*connection)->has_table("schedules"));
  if (!exists) return rows;
  WEFT_TRY(const Statement* statement, (*connection)->statement("SELECT name, state FROM schedules ORDER BY name"));
  Use use(*statement);
  for (;;) {
    WEFT_TRY(const bool more, use.step());
    if (!more) return rows;
    rows.push_back({use.string_at(0), use.string_at(1), 0});
  }
}

Result<std::optional<Snapshot>> SqliteReader::snapshot(std::string_view run) const {
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(
      const Statement* statement,
      (*connection)->statement("SELECT seq, bytes FROM snapshots WHERE run = (SELECT key FROM runs WHERE id = ?)"));
  Use use(*statement);
  WEFT_TRY(const bool found, use.text(run).step());
  if (!found) return std::optional<Snapshot>();
  return Snapshot{use.unsigned_at(0), use.string_at(1)};
}

Result<std::optional<std::string>> SqliteReader::row(std::string_view kind, std::string_view key) const {
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const bool exists, (*connection)->has_table("rows_beside"));
  if (!exists) return std::optional<std::string>();
  WEFT_TRY(
      const Statement* statement,
      (*connection)->statement(std::string(kSelectRowsBeside) + "WHERE b.kind = ? AND b.key = ? AND " + kRunIsThere));
  Use use(*statement);
  WEFT_TRY(const bool found, use.text(kind).blob(key).step());
  if (!found) return std::optional<std::string>();
  return use.string_at(1);
}

Result<RowPage> SqliteReader::rows(std::string_view kind, std::string_view key_prefix, std::size_t limit,
                                   std::string_view after) const {
  limit = std::min(limit, kRowsPageMax);
  RowPage page;
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const bool exists, (*connection)->has_table("rows_beside"));
  if (!exists) return page;
  // The keys behind the prefix follow those that begin with it, so the first of them is the end.
  const bool from_prefix = after < key_prefix;
  WEFT_TRY(const Statement* statement,
           (*connection)
               ->statement(std::string(kSelectRowsBeside) + "WHERE b.kind = ? AND b.key " + (from_prefix ? ">=" : ">") +
                           " ? AND " + kRunIsThere + " ORDER BY b.key"));
  Use use(*statement);
  use.text(kind).blob(from_prefix ? key_prefix : after);
  for (std::size_t bytes = 0;;) {
    WEFT_TRY(const bool more, use.step());
    if (!more || !use.bytes_at(0).starts_with(key_prefix)) return page;
    if (page.rows.size() >= limit || bytes >= kRowsPageBytesMax) {
      if (!page.rows.empty()) page.next = page.rows.back().key;
      return page;
    }
    page.rows.push_back({std::string(kind), use.string_at(0), use.string_at(1)});
    bytes += page.rows.back().key.size() + page.rows.back().value.size();
  }
}

}  // namespace weft::memory
