// The file of an SQLite store: where it is, who owns it, what its format is.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "memory/sqlite.h"
#include "memory/sqlite_tables.h"

namespace weft::memory {

// The kernel's lock on `PATH.lock`, which holds the owner's process id. Released when destroyed or when the process
// dies; the file stays, since removing it would let two owners lock two files of one name.
class StoreLock {
 public:
  // FAILED_PRECONDITION names the process that holds it. `path` is the store's.
  static Result<StoreLock> take(const std::string& path);
  StoreLock(StoreLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  StoreLock& operator=(StoreLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~StoreLock();

 private:
  explicit StoreLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

// The absolute path with links resolved, so that a store has one lock whatever it is called by. NOT_FOUND where there
// is no file, FAILED_PRECONDITION where it is no regular file.
Result<std::string> find_store(const std::string& path);
// The same, but makes the folder (0700) and an empty file (0600) where there is none, both durably.
Result<std::string> find_or_create_store(const std::string& path);

// A connection to a store. Writing: an empty file becomes a store first, an older format this one. Errors:
// FAILED_PRECONDITION where the file is something else or of a newer format, and nothing is written; reading, NOT_FOUND
// where the file is still empty.
Result<Connection> open_store(const std::string& path, Connection::Mode mode);

// An errno as an error whose sentence begins with `what`.
Error system_error(std::string_view what, int error);
// A new name in a folder is durable only when the folder is.
Status sync_folder(const std::string& folder);

}  // namespace weft::memory
