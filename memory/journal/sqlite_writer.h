// What one transaction on an SQLite store does: the statements behind the journal's promises, without its thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "memory/journal/journal.h"
#include "memory/journal/sqlite.h"
#include "memory/journal/sqlite_catalog.h"

namespace weft::memory {

// Two levels of failure. Outer: the store failed, and the transaction must be rolled back. Inner: the append's own
// answer (a stale epoch, a gap, an existing request id, rows over a limit); it has written nothing, and the transaction
// goes on.
using Applied = Result<Result<Appended>>;

// Owns the only connection that writes. The journal's thread only.
class SqliteWriter {
 public:
  // `path` is a store of this format, as store_file.h makes it.
  static Result<SqliteWriter> open(const std::string& path);

  Status begin();
  Status commit();
  // After any failure. Forgets what was known of the runs. If the connection itself may be at fault, the next begin()
  // opens a new one, so that what is then known comes from the file.
  void roll_back(const Error& cause);

  // Within a transaction:
  Applied append(const Append& append);
  SqliteCatalog& catalog() { return catalog_; }

  // An append of `run` was answered with `cause`: the appends that follow it get the same answer, not that of a gap.
  void note_failed(const std::string& run, const Error& cause);

  // For work that is not of a run, within a transaction.
  const Connection& connection() const { return connection_; }

  // Moves pages from the WAL into the file, as far as readers allow. The WAL may begin anew with the next commit.
  void checkpoint();
  // The pages in the WAL as of the last commit, less those that a checkpoint has moved.
  std::size_t wal_pages() const { return wal_->pages - wal_->moved; }

 private:
  struct Statements {
    Statement begin, commit, rollback;
    Statement find_run, last_seq, batch, epoch, find_request;
    Statement insert_batch, insert_run, insert_label, insert_blob, insert_blob_use, update_run;
    Statement put_snapshot, remove_snapshot;
    Statement put_row, erase_row;
  };
  struct Wal {
    std::size_t pages = 0;
    std::size_t moved = 0;  // At most `pages`.
    std::size_t bytes = 0;  // That its file has at least; 0: not known.
  };
  struct Run {
    std::int64_t key = 0;
    std::uint32_t partition = 0;
    std::uint64_t last_seq = 0;
  };

  SqliteWriter(std::string path, Connection connection)
      : path_(std::move(path)), connection_(std::move(connection)), wal_(std::make_unique<Wal>()) {}
  Status prepare();
  void make_room_in_wal();
  static int note_wal(void* wal, sqlite3*, const char*, int pages);
  Status reopen();
  Result<std::optional<Run>> find_run(const std::string& id);
  Result<bool> epoch_is_current(const Append& append);
  // What to do about an append before anything is written.
  struct Decision {
    std::optional<Result<Appended>> answer;  // Set: nothing is to be written.
    Run run;
  };
  Result<Decision> decide(const Append& append);
  Applied repeated(const Append& append, const Run& run);
  Error gap(const Append& append, std::uint64_t last_seq) const;
  Result<bool> write_batch(const Append& append, std::int64_t key, std::uint64_t first_seq, std::uint64_t last_seq,
                           std::string_view events);
  Status write_rest(const Append& append, std::int64_t key);
  Status write_row(const RowChange& change, std::int64_t run_key);
  Status write_run(const RunRow& row, std::int64_t key);

  std::string path_;
  Connection connection_;
  Statements statements_;                          // After the connection, so that they go first.
  SqliteCatalog catalog_;                          // Likewise.
  std::unique_ptr<Wal> wal_;                       // Behind a pointer, since SQLite holds its address.
  bool usable_ = true;                             // False: the next transaction opens a new connection.
  std::unordered_map<std::string, Run> runs_;      // Of this transaction and earlier ones; bounded, may be cleared.
  std::unordered_map<std::string, Error> failed_;  // Bounded, may be cleared.
  std::int64_t next_run_key_ = 0;                  // 0: not known.
};

}  // namespace weft::memory
