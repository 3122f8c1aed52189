// The file of an SQLite store: where it is, who owns it, what its format is.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "memory/journal/sqlite.h"
#include "memory/journal/sqlite_tables.h"
#include "memory/journal/work_marks.h"

namespace weft::memory {

// The kernel's lock on `PATH.lock`, a file with the owner's process id and the marks of its threads' work. The lock is
// released by the destructor or by the end of the process. The file stays: removing it would let two owners lock two
// files of one name.
class StoreLock {
 public:
  // `path` is the store's. FAILED_PRECONDITION names the process that holds the lock, or says that the file at `path`
  // is no store: then no file is made.
  static Result<StoreLock> take(const std::string& path);
  StoreLock(StoreLock&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)),
        left_(std::move(other.left_)),
        marks_(std::move(other.marks_)) {}
  StoreLock& operator=(StoreLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(left_, other.left_);
    std::swap(marks_, other.marks_);
    return *this;
  }
  ~StoreLock();

  const std::vector<std::string>& left_at_work() const { return left_; }  // Runs that the last owner was at.
  WorkMarks* marks() const { return marks_.get(); }                       // Null where the disk has no room for them.

 private:
  explicit StoreLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
  std::vector<std::string> left_;
  std::unique_ptr<WorkMarks> marks_;
};

// The absolute path with links resolved, so that a store has one lock under all of its names. NOT_FOUND: there is no
// file. FAILED_PRECONDITION: it is no regular file. PERMISSION_DENIED: the file, its folder, or a file that SQLite or
// the lock keeps beside it belongs to another user or can be written by others (base/ownership.h).
Result<std::string> find_store(const std::string& path);
// The same, but makes the folder (0700) and an empty file (0600) where there is none, both durably.
Result<std::string> find_or_create_store(const std::string& path);

// The same for an engine: if the store, the files beside it or a folder called `.weft` belong to this user and are open
// to others, it closes them.
Result<std::string> own_store(const std::string& path);

// A connection to a store. A writing connection first makes a store of an empty file, and this format of an older one.
// FAILED_PRECONDITION: the file is something else, has a newer format, or holds a table, view, index or trigger that is
// not weft's (check_tables); then nothing is written. NOT_FOUND, for a reading connection: the file is still empty.
Result<Connection> open_store(const std::string& path, Connection::Mode mode);

// An errno as an error whose sentence begins with `what`.
Error system_error(std::string_view what, int error);
// A new name in a folder is durable only when the folder is.
Status sync_folder(const std::string& folder);

}  // namespace weft::memory
