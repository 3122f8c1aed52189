// A small pool of read-only connections to an SQLite store.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "memory/journal/sqlite.h"

namespace weft::memory {

// One connection and the statements that it has prepared. One thread at a time.
class ReadConnection {
 public:
  static Result<std::unique_ptr<ReadConnection>> open(const std::string& path);

  // Borrowed; lives until trim().
  Result<const Statement*> statement(const std::string& sql);
  // A part of the blob with this key, without reading the bytes before it. REQUIRES: the blob has as many bytes.
  Result<std::string> part_of_blob(std::int64_t key, std::uint64_t offset, std::size_t bytes) const;
  // The key of a run by its whole id. NOT_FOUND: there is no such run.
  Result<std::int64_t> key_of_run(std::string_view run);
  // A store of an older format, which no engine has opened yet, lacks some tables.
  Result<bool> has_table(std::string_view name);
  // Drops the prepared statements when they have become many. REQUIRES: none is in use.
  void trim();

 private:
  explicit ReadConnection(Connection connection) : connection_(std::move(connection)) {}

  Connection connection_;
  std::unordered_map<std::string, Statement> statements_;  // By their text.
};

// Thread-safe: lease() takes a connection from the pool, or waits for one.
class ReadPool {
 public:
  // A connection out of the pool; the destructor puts it back.
  class Lease {
   public:
    Lease(const ReadPool& pool, std::unique_ptr<ReadConnection> connection)
        : pool_(pool), connection_(std::move(connection)) {}
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ReadConnection* operator->() const { return connection_.get(); }
    ReadConnection& operator*() const { return *connection_; }

   private:
    const ReadPool& pool_;
    std::unique_ptr<ReadConnection> connection_;
  };

  // `first` shows that the store at `path` can be read.
  ReadPool(std::string path, std::unique_ptr<ReadConnection> first);
  Result<std::unique_ptr<Lease>> lease() const;

 private:
  const std::string path_;

  mutable std::mutex mutex_;
  mutable std::condition_variable returned_;
  // Guarded by mutex_:
  mutable std::vector<std::unique_ptr<ReadConnection>> idle_;
  mutable std::size_t leased_ = 0;
};

}  // namespace weft::memory
