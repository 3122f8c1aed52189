// A copy of a store while it is written: SQLite's backup, page by page, out of one read transaction. The writer goes
// on; its WAL only cannot begin anew until the copy is made.
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "memory/journal/sqlite_store.h"
#include "memory/journal/store_file.h"

namespace weft::memory {
namespace {

namespace fs = std::filesystem;

constexpr int kPagesAtOnce = 1'024;

// The copy while it grows; gone with this unless it was kept.
class Partial {
 public:
  static Result<Partial> make(const std::string& target) {
    Partial partial(target + ".partial");
    const int descriptor = ::open(partial.path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
      const int error = errno;
      const std::string path = std::exchange(partial.path_, {});
      if (error == EEXIST) {
        return failed_precondition(
            fmt::format("{} exists: another backup is writing it, or one was cut off; remove it", path));
      }
      return system_error(path, error);
    }
    ::close(descriptor);
    return partial;
  }
  Partial(Partial&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Partial& operator=(Partial&&) = delete;
  ~Partial() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }

  // Durably under its name, which nobody else has taken in the meantime.
  Status keep_as(const std::string& target) {
    const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return system_error(path_, errno);
    const int code = ::fsync(descriptor);
    const int error = errno;
    ::close(descriptor);
    if (code != 0) return system_error(path_, error);
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0) {
      return system_error(target, errno);
    }
    path_.clear();
    return sync_folder(fs::path(target).parent_path().string());
  }

 private:
  explicit Partial(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

Status copy_pages(const Connection& from, const Connection& to, const std::string& target) {
  sqlite3_backup* backup = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (backup == nullptr) return sqlite_error(sqlite3_errcode(to.handle()), target, sqlite3_errmsg(to.handle()));
  int code = SQLITE_OK;
  while (code == SQLITE_OK) code = sqlite3_backup_step(backup, kPagesAtOnce);
  const int finished = sqlite3_backup_finish(backup);
  if (code != SQLITE_DONE) return sqlite_error(code, target, sqlite3_errstr(code));
  if (finished != SQLITE_OK) return sqlite_error(finished, target, sqlite3_errstr(finished));
  return {};
}

}  // namespace

Status backup_sqlite(const std::string& store, const std::string& to) {
  WEFT_TRY(const std::string from, find_store(store));
  if (to.empty()) return invalid_argument("a backup needs a path");
  std::error_code failed;
  const std::string target = fs::absolute(to, failed).lexically_normal().string();
  if (failed) return system_error(to, failed.value());
  struct stat status = {};
  if (::lstat(target.c_str(), &status) == 0) {
    return failed_precondition(fmt::format("{} exists; a backup overwrites nothing: name another file", target));
  }
  WEFT_TRY(const Connection source, open_store(from, Connection::Mode::kRead));
  WEFT_TRY(Partial partial, Partial::make(target));
  {
    WEFT_TRY(const Connection copy, Connection::open(partial.path(), Connection::Mode::kWrite));
    // Synced once, when it is whole. (A defensive connection does not go without a journal altogether.)
    WEFT_RETURN_IF_ERROR(copy.execute("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;"));
    // The transaction keeps the moment: without it each write of the store would begin the copy anew.
    WEFT_RETURN_IF_ERROR(source.execute("BEGIN; SELECT count(*) FROM sqlite_schema;"));
    WEFT_RETURN_IF_ERROR(copy_pages(source, copy, target));
  }
  return partial.keep_as(target);
}

}  // namespace weft::memory
