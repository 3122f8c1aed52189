#include "memory/journal/sqlite_writer.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "memory/journal/store_file.h"

namespace weft::memory {
namespace {

constexpr std::size_t kRunsKnownMax = 65'536;
constexpr std::size_t kRunsFailedMax = 65'536;
// Keeps the WAL's file within this once it begins anew; until then it grows as far as readers make it.
constexpr const char* kWriterPragmas = "PRAGMA journal_size_limit=268435456; PRAGMA cache_size=-16384;";

// The WAL's file format: https://sqlite.org/fileformat2.html#the_write_ahead_log
constexpr std::size_t kWalHeadBytes = 32;
constexpr std::size_t kFrameBytes = 24 + 4'096;  // Of a page of the usual size.
// The WAL's file has room for so many frames more before a commit. It grows by as much as it has, within these.
constexpr std::size_t kFramesAhead = 8;
constexpr std::size_t kGrowthMin = std::size_t{64} << 10;
constexpr std::size_t kGrowthMax = std::size_t{1} << 20;

std::int64_t microseconds(Time time) { return time.time_since_epoch().count(); }

Error stale(const Append& append) {
  return aborted(fmt::format("partition {} has another owner than that of epoch {}: run {} is no longer served here",
                             append.partition, append.epoch, append.run));
}

Status run_once(const Statement& statement) {
  Use use(statement);
  return use.run();
}

}  // namespace

Result<SqliteWriter> SqliteWriter::open(const std::string& path) {
  WEFT_TRY(Connection connection, open_store(path, Connection::Mode::kWrite));
  SqliteWriter writer(path, std::move(connection));
  WEFT_RETURN_IF_ERROR(writer.prepare());
  return writer;
}

Status SqliteWriter::prepare() {
  WEFT_RETURN_IF_ERROR(connection_.execute(kWriterPragmas));
  sqlite3_wal_hook(connection_.handle(), note_wal, wal_.get());
  const std::pair<Statement*, std::string_view> all[] = {
      {&statements_.begin, "BEGIN IMMEDIATE"},
      {&statements_.commit, "COMMIT"},
      {&statements_.rollback, "ROLLBACK"},
      {&statements_.find_run, "SELECT key, partition FROM runs WHERE id = ?"},
      {&statements_.last_seq, "SELECT seq_last FROM batches WHERE run = ? ORDER BY seq_first DESC LIMIT 1"},
      {&statements_.batch, "SELECT seq_last, events FROM batches WHERE run = ? AND seq_first = ?"},
      {&statements_.epoch, "SELECT epoch FROM partitions WHERE id = ?"},
      {&statements_.find_request, "SELECT id, request_digest FROM runs WHERE request_id = ?"},
      // The epoch is checked in the statement that writes, whatever was read before it. FAIL, since the one row is
      // there or not, and the transaction is rolled back whole: nothing is kept to undo the statement alone.
      {&statements_.insert_batch,
       "INSERT OR FAIL INTO batches (run, seq_first, seq_last, epoch, events) SELECT ?1, ?2, ?3, ?4, ?5 "
       "WHERE (SELECT epoch FROM partitions WHERE id = ?6) = ?4"},
      {&statements_.insert_run,
       "INSERT INTO runs (key, id, partition, workflow, workflow_hash, status, ended, submitted_at, ended_at, "
       "request_id, request_digest, summary) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
      {&statements_.insert_label, "INSERT INTO labels (run, position, name, value) VALUES (?, ?, ?, ?)"},
      {&statements_.insert_blob, "INSERT INTO blobs (digest, bytes) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"},
      {&statements_.insert_blob_use,
       "INSERT OR IGNORE INTO blob_uses (blob, run) SELECT key, ?2 FROM blobs WHERE digest = ?1"},
      {&statements_.update_run, "UPDATE runs SET status = ?, ended = ?, ended_at = ?, summary = ? WHERE key = ?"},
      {&statements_.put_snapshot, "INSERT OR REPLACE INTO snapshots (run, seq, bytes) VALUES (?, ?, ?)"},
      {&statements_.remove_snapshot, "DELETE FROM snapshots WHERE run = ?"},
      {&statements_.put_row,
       "INSERT INTO rows_beside (kind, key, run, value) VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET "
       "run = excluded.run, value = excluded.value"},
      {&statements_.erase_row, "DELETE FROM rows_beside WHERE kind = ? AND key = ?"},
  };
  for (const auto& [statement, sql] : all) {
    WEFT_TRY(*statement, connection_.prepare(sql));
  }
  WEFT_TRY(catalog_, SqliteCatalog::prepare(connection_));
  return {};
}

int SqliteWriter::note_wal(void* wal, sqlite3*, const char*, int pages) {
  Wal& state = *static_cast<Wal*>(wal);
  const std::size_t before = std::exchange(state.pages, static_cast<std::size_t>(pages));
  if (state.pages < before) state.bytes = 0;       // The WAL began anew, and its file may have been cut.
  if (state.pages < state.moved) state.moved = 0;  // Likewise.
  return SQLITE_OK;
}

// A sync of a file that has grown writes where its blocks are, too, which takes as long again. So the file grows many
// frames at once: zeros behind the last frame, which are no frame. Where there is no room, the commit finds out itself.
void SqliteWriter::make_room_in_wal() {
  const std::size_t wanted = kWalHeadBytes + (wal_->pages + kFramesAhead) * kFrameBytes;
  if (wanted <= wal_->bytes) return;
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection_.handle(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
  sqlite3_int64 size = 0;
  if (file == nullptr || file->pMethods == nullptr || file->pMethods->xFileSize(file, &size) != SQLITE_OK) return;
  static constexpr std::array<char, kGrowthMin> kZeros = {};
  std::size_t bytes = static_cast<std::size_t>(size);
  const std::size_t end = wanted <= bytes ? bytes : bytes + std::clamp(bytes, kGrowthMin, kGrowthMax);
  while (bytes < end &&
         file->pMethods->xWrite(file, kZeros.data(), kZeros.size(), static_cast<sqlite3_int64>(bytes)) == SQLITE_OK) {
    bytes += kZeros.size();
  }
  wal_->bytes = bytes;
}

Status SqliteWriter::reopen() {
  usable_ = false;
  wal_->bytes = 0;
  statements_ = Statements();
  catalog_ = SqliteCatalog();
  WEFT_TRY(connection_, open_store(path_, Connection::Mode::kWrite));
  WEFT_RETURN_IF_ERROR(prepare());
  usable_ = true;
  return {};
}

Status SqliteWriter::begin() {
  if (!usable_) WEFT_RETURN_IF_ERROR(reopen());
  return run_once(statements_.begin);
}

Status SqliteWriter::commit() {
  make_room_in_wal();
  return run_once(statements_.commit);
}

void SqliteWriter::roll_back(const Error& cause) {
  runs_.clear();
  next_run_key_ = 0;
  // SQLite has rolled back already after some failures.
  if (usable_ && connection_.in_transaction() && !run_once(statements_.rollback)) usable_ = false;
  // A file whose sync failed is not synced again: the next transaction opens it anew and reads from it where it stands.
  if (cause.code == Code::kDataLoss || cause.code == Code::kInternal) usable_ = false;
}

Result<std::optional<SqliteWriter::Run>> SqliteWriter::find_run(const std::string& id) {
  if (const auto known = runs_.find(id); known != runs_.end()) return known->second;
  Run run;
  {
    Use use(statements_.find_run);
    WEFT_TRY(const bool found, use.text(id).step());
    if (!found) return std::optional<Run>();
    run.key = use.integer_at(0);
    run.partition = static_cast<std::uint32_t>(use.integer_at(1));
  }
  Use use(statements_.last_seq);
  WEFT_TRY(const bool found, use.integer(run.key).step());
  run.last_seq = found ? use.unsigned_at(0) : 0;
  if (runs_.size() >= kRunsKnownMax) runs_.clear();
  runs_.emplace(id, run);
  return run;
}

Result<bool> SqliteWriter::epoch_is_current(const Append& append) {
  Use use(statements_.epoch);
  WEFT_TRY(const bool found, use.integer(append.partition).step());
  return found && use.unsigned_at(0) == append.epoch;
}

Error SqliteWriter::gap(const Append& append, std::uint64_t last_seq) const {
  if (const auto failed = failed_.find(append.run); failed != failed_.end()) {
    Error error = failed->second;
    error.message = fmt::format("events before these of run {} were not written: {}", append.run, error.message);
    return error;
  }
  return data_loss(fmt::format("events {} to {} of run {} do not follow {}, its last", append.first_seq,
                               append.last_seq, append.run, last_seq))
      .with("history", "gap");
}

// The append begins where events are already: a success where it is what is there.
Applied SqliteWriter::repeated(const Append& append, const Run& run) {
  Use use(statements_.batch);
  WEFT_TRY(const bool found, use.integer(run.key).unsigned_integer(append.first_seq).step());
  if (found && use.unsigned_at(0) == append.last_seq && use.bytes_at(1) == append.events) {
    return Result<Appended>(Appended{});
  }
  return Result<Appended>(data_loss(fmt::format("run {} has other events than these at {} to {}", append.run,
                                                append.first_seq, append.last_seq))
                              .with("history", "other"));
}

Result<SqliteWriter::Decision> SqliteWriter::decide(const Append& append) {
  const auto answer = [](Result<Appended> result) { return Decision{std::move(result), {}}; };
  WEFT_TRY(const std::optional<Run> known, find_run(append.run));
  if (known) {
    if (append.begins_at() == known->last_seq + 1) return Decision{std::nullopt, *known};
    WEFT_TRY(const bool current, epoch_is_current(append));
    if (!current) return answer(stale(append));
    if (append.begins_at() > known->last_seq) return answer(gap(append, known->last_seq));
    WEFT_TRY(Result<Appended> same, repeated(append, *known));
    return answer(std::move(same));
  }
  WEFT_TRY(const bool current, epoch_is_current(append));
  if (!current) return answer(stale(append));
  if (!append.create || append.begins_at() != 1) return answer(gap(append, 0));
  if (!append.create->request_id.empty()) {
    Use use(statements_.find_request);
    WEFT_TRY(const bool taken, use.text(append.create->request_id).step());
    if (taken && use.bytes_at(1) == append.create->request_digest) return answer(Appended{use.string_at(0)});
    if (taken) {
      return answer(already_exists(fmt::format("request id '{}' was used for another submission, run {}",
                                               append.create->request_id, use.string_at(0))));
    }
  }
  if (next_run_key_ == 0) {
    // Not that of a run of which something is still to be removed, or of which it is not known which blobs it uses.
    WEFT_TRY(next_run_key_,
             connection_.integer("SELECT max(coalesce((SELECT max(key) FROM runs), 0), coalesce((SELECT max(run) FROM "
                                 "removals), 0), coalesce((SELECT value FROM facts WHERE name = 'runs_without_uses'), "
                                 "0)) + 1"));
  }
  return Decision{std::nullopt, Run{next_run_key_, append.partition, 0}};
}

Applied SqliteWriter::append(const Append& append) {
  WEFT_CHECK(append.first_seq > 0 && append.first_seq <= append.last_seq, "an append has events, counted from 1");
  WEFT_CHECK(!append.create || append.create->id == append.run, "an append creates its own run");
  if (Status allowed = check_rows(append.rows); !allowed) return Result<Appended>(std::move(allowed).error());
  WEFT_TRY(Decision decision, decide(append));
  if (decision.answer) return *std::move(decision.answer);
  Run& run = decision.run;
  WEFT_CHECK(run.partition == append.partition, "a run belongs to one partition for ever");
  for (const EventBatch& batch : append.before) {
    WEFT_TRY(const bool written, write_batch(append, run.key, batch.first_seq, batch.last_seq, batch.events));
    if (!written) return Result<Appended>(stale(append));
  }
  WEFT_TRY(const bool written, write_batch(append, run.key, append.first_seq, append.last_seq, append.events));
  if (!written) return Result<Appended>(stale(append));
  WEFT_RETURN_IF_ERROR(write_rest(append, run.key));
  if (append.create) next_run_key_ = run.key + 1;
  run.last_seq = append.last_seq;
  if (runs_.size() >= kRunsKnownMax) runs_.clear();
  runs_.insert_or_assign(append.run, run);
  if (append.update && append.update->ended) runs_.erase(append.run);
  if (!failed_.empty()) failed_.erase(append.run);
  return Result<Appended>(Appended{});
}

// False where another owner has the partition.
Result<bool> SqliteWriter::write_batch(const Append& append, std::int64_t key, std::uint64_t first_seq,
                                       std::uint64_t last_seq, std::string_view events) {
  Use use(statements_.insert_batch);
  use.integer(key).unsigned_integer(first_seq).unsigned_integer(last_seq);
  WEFT_RETURN_IF_ERROR(use.unsigned_integer(append.epoch).blob(events).integer(append.partition).run());
  return connection_.changed() != 0;
}

Status SqliteWriter::write_rest(const Append& append, std::int64_t key) {
  for (const Blob& blob : append.blobs) {
    Use use(statements_.insert_blob);
    WEFT_RETURN_IF_ERROR(use.blob(view(blob.digest)).blob(*blob.bytes).run());
    Use uses(statements_.insert_blob_use);
    WEFT_RETURN_IF_ERROR(uses.blob(view(blob.digest)).integer(key).run());
  }
  for (const Digest& digest : append.shared) {
    Use uses(statements_.insert_blob_use);
    WEFT_RETURN_IF_ERROR(uses.blob(view(digest)).integer(key).run());
  }
  for (const RowChange& change : append.rows) WEFT_RETURN_IF_ERROR(write_row(change, key));
  if (append.create) WEFT_RETURN_IF_ERROR(write_run(*append.create, key));
  if (append.update) {
    const RunRow& row = *append.update;
    Use use(statements_.update_run);
    use.integer(row.status).integer(row.ended ? 1 : 0);
    row.ended_at ? use.integer(microseconds(*row.ended_at)) : use.null();
    WEFT_RETURN_IF_ERROR(use.blob(row.summary).integer(key).run());
  }
  if (append.update && append.update->ended) {
    Use use(statements_.remove_snapshot);
    WEFT_RETURN_IF_ERROR(use.integer(key).run());
  } else if (!append.snapshot.empty()) {
    Use use(statements_.put_snapshot);
    WEFT_RETURN_IF_ERROR(use.integer(key).unsigned_integer(append.last_seq).blob(append.snapshot).run());
  }
  return {};
}

Status SqliteWriter::write_row(const RowChange& change, std::int64_t run_key) {
  if (!change.value) {
    Use use(statements_.erase_row);
    return use.text(change.kind).blob(change.key).run();
  }
  Use use(statements_.put_row);
  use.text(change.kind).blob(change.key);
  change.life == RowLife::kRun ? use.integer(run_key) : use.null();
  return use.blob(*change.value).run();
}

Status SqliteWriter::write_run(const RunRow& row, std::int64_t key) {
  {
    Use use(statements_.insert_run);
    use.integer(key).text(row.id).integer(row.partition).text(row.workflow).text(row.workflow_hash);
    use.integer(row.status).integer(row.ended ? 1 : 0).integer(microseconds(row.submitted_at));
    row.ended_at ? use.integer(microseconds(*row.ended_at)) : use.null();
    row.request_id.empty() ? use.null() : use.text(row.request_id);
    WEFT_RETURN_IF_ERROR(use.text(row.request_digest).blob(row.summary).run());
  }
  std::int64_t position = 0;
  for (const auto& [name, value] : row.labels) {
    Use use(statements_.insert_label);
    WEFT_RETURN_IF_ERROR(use.integer(key).integer(position++).text(name).text(value).run());
  }
  return {};
}

void SqliteWriter::note_failed(const std::string& run, const Error& cause) {
  if (failed_.size() >= kRunsFailedMax) failed_.clear();
  failed_.emplace(run, cause);
}

void SqliteWriter::checkpoint() {
  if (!usable_) return;
  int in_wal = 0;
  int moved = 0;
  const int code = sqlite3_wal_checkpoint_v2(connection_.handle(), "main", SQLITE_CHECKPOINT_PASSIVE, &in_wal, &moved);
  // One that failed (a full disk) has lost nothing: the WAL holds what it did not move.
  if (code != SQLITE_OK || moved < 0) return;
  wal_->pages = static_cast<std::size_t>(in_wal);
  wal_->moved = static_cast<std::size_t>(moved);
}

}  // namespace weft::memory
