// Reading an SQLite store through a small pool of read-only connections.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "memory/journal.h"
#include "memory/sqlite.h"

namespace weft::memory {

// One connection and the statements that it has prepared. One thread at a time.
class ReadConnection {
 public:
  static Result<std::unique_ptr<ReadConnection>> open(const std::string& path);

  // Borrowed; lives until trim().
  Result<const Statement*> statement(const std::string& sql);
  // Lets statements go where they have become many. REQUIRES: none is in use.
  void trim();

 private:
  explicit ReadConnection(Connection connection) : connection_(std::move(connection)) {}

  Connection connection_;
  std::unordered_map<std::string, Statement> statements_;  // By their text.
};

// Thread-safe: a call takes a connection from the pool or waits for one.
class SqliteReader final : public Reader {
 public:
  // `path` is a store that exists, as store_file.h gives it.
  static Result<std::unique_ptr<SqliteReader>> open(const std::string& path);

  Result<RunRow> run(std::string_view key) const override;
  Result<RunPage> runs(const RunFilter& filter, std::size_t limit, std::string_view after) const override;
  Result<std::vector<EventBatch>> events(std::string_view run, std::uint64_t from_seq,
                                         std::size_t bytes_max) const override;
  Result<std::shared_ptr<const std::string>> blob(const Digest& digest) const override;
  Result<WorkflowRow> workflow_by_hash(std::string_view hash) const override;
  Result<WorkflowRow> workflow_by_name(std::string_view name) const override;
  Result<std::vector<WorkflowRow>> workflows(std::size_t limit, std::string_view after_name) const override;
  Result<std::vector<ScheduleRow>> schedules() const override;
  Result<std::vector<RunRow>> unfinished() const;
  Result<std::optional<Snapshot>> snapshot(std::string_view run) const;
  Result<Epoch> epoch() const;  // Of the last claim.
  // As Care::ended().
  Result<RunPage> ended(Time before, std::string_view workflow, std::size_t limit, std::string_view after) const;

 private:
  // A connection out of the pool; the destructor puts it back.
  class Lease {
   public:
    Lease(const SqliteReader& pool, std::unique_ptr<ReadConnection> connection)
        : pool_(pool), connection_(std::move(connection)) {}
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ReadConnection* operator->() const { return connection_.get(); }
    ReadConnection& operator*() const { return *connection_; }

   private:
    const SqliteReader& pool_;
    std::unique_ptr<ReadConnection> connection_;
  };

  explicit SqliteReader(std::string path) : path_(std::move(path)) {}
  Result<std::unique_ptr<Lease>> lease() const;

  const std::string path_;

  mutable std::mutex mutex_;
  mutable std::condition_variable returned_;
  // Guarded by mutex_:
  mutable std::vector<std::unique_ptr<ReadConnection>> idle_;
  mutable std::size_t leased_ = 0;
};

}  // namespace weft::memory
