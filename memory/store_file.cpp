#include "memory/store_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace weft::memory {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kApplicationId = 0x77656674;  // "weft"
constexpr std::int64_t kSynchronousFull = 2;
constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;

// Batches are appended to a table in the order of their commits, so that one commit fills few pages however many runs
// it holds; the one index on them is the only part that is ordered by run. What lists show is ordered by time of
// submission; an index ends with the row's key, so (submitted_at, key) is a whole position.
constexpr const char* kTables = R"sql(
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

Error system_error(std::string_view what, int error) {
  const std::string sentence = fmt::format("{}: {}", what, std::strerror(error));
  switch (error) {
    case ENOENT: return not_found(sentence);
    case EACCES:
    case EPERM:
    case EROFS: return permission_denied(sentence);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE: return resource_exhausted(sentence);
    case EIO: return data_loss(sentence);
    default: return failed_precondition(sentence);
  }
}

// A new name in a folder is durable only when the folder is.
Status sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_error(folder.string(), errno);
  const int code = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  if (code != 0) return system_error(folder.string(), error);
  return {};
}

Status make_folder(const fs::path& folder) {
  std::error_code ignored;
  if (folder.empty() || fs::exists(folder, ignored)) return {};
  WEFT_RETURN_IF_ERROR(make_folder(folder.parent_path()));
  if (::mkdir(folder.c_str(), kFolderMode) != 0) {
    if (errno == EEXIST) return {};
    return system_error(fmt::format("cannot make the folder {}", folder.string()), errno);
  }
  // The process's umask may have taken bits away.
  if (::chmod(folder.c_str(), kFolderMode) != 0) return system_error(folder.string(), errno);
  return sync_folder(folder.parent_path());
}

Result<fs::path> absolute(const std::string& path) {
  if (path.empty()) return invalid_argument("the store's path is empty");
  std::error_code error;
  const fs::path whole = fs::absolute(path, error);
  if (error) return system_error(path, error.value());
  return whole.lexically_normal();
}

enum class Content : std::uint8_t { kEmpty, kStore };

Result<Content> check_format(const Connection& connection, const std::string& path) {
  WEFT_TRY(const std::int64_t application, connection.integer("PRAGMA application_id"));
  WEFT_TRY(const std::int64_t format, connection.integer("PRAGMA user_version"));
  if (application == kApplicationId) {
    if (format > kStoreFormat) {
      return failed_precondition(fmt::format(
          "{} has store format {}, and this weft knows formats up to {}: use a newer one", path, format, kStoreFormat));
    }
    return Content::kStore;
  }
  WEFT_TRY(const std::int64_t tables, connection.integer("SELECT count(*) FROM sqlite_schema"));
  if (application != 0 || tables != 0) {
    return failed_precondition(fmt::format("{} is a database of another program, not a weft store", path));
  }
  return Content::kEmpty;
}

Status create_tables(const Connection& connection) {
  WEFT_TRY(const Statement mode, connection.prepare("PRAGMA journal_mode=WAL"));
  {
    Use use(mode);
    WEFT_TRY(const bool row, use.step());
    if (!row || use.bytes_at(0) != "wal") return failed_precondition("the store's disk does not allow a WAL");
  }
  const std::string script =
      fmt::format("BEGIN IMMEDIATE; {} PRAGMA application_id={}; PRAGMA user_version={}; COMMIT;", kTables,
                  kApplicationId, kStoreFormat);
  return connection.execute(script.c_str());
}

}  // namespace

Result<StoreLock> StoreLock::take(const std::string& path) {
  const std::string name = path + ".lock";
  const int descriptor = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kFileMode);
  if (descriptor < 0) return system_error(name, errno);
  StoreLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error(name, errno);
    char owner[24] = {};
    const ssize_t size = ::pread(descriptor, owner, sizeof owner - 1, 0);
    // An owner that has just started may not have written its number yet.
    const std::string process = size > 0 ? fmt::format("process {}", owner) : "another process";
    return failed_precondition(fmt::format("{} is in use by {}", path, process));
  }
  const std::string owner = std::to_string(::getpid());
  // On a full disk the number is not written: the lock holds all the same, and opening goes on so that reading can.
  if (::fchmod(descriptor, kFileMode) != 0 || ::ftruncate(descriptor, 0) != 0) return system_error(name, errno);
  [[maybe_unused]] const ssize_t written = ::pwrite(descriptor, owner.data(), owner.size(), 0);
  return lock;
}

StoreLock::~StoreLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::string> find_store(const std::string& path) {
  WEFT_TRY(const fs::path whole, absolute(path));
  struct stat status = {};
  if (::stat(whole.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return not_found(fmt::format("there is no store at {}", whole.string()));
    return system_error(whole.string(), errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return failed_precondition(fmt::format("{} is not a regular file, so it is no weft store", whole.string()));
  }
  std::error_code error;
  const fs::path real = fs::canonical(whole, error);
  if (error) return system_error(whole.string(), error.value());
  return real.string();
}

Result<std::string> find_or_create_store(const std::string& path) {
  auto found = find_store(path);
  if (found || found.error().code != Code::kNotFound) return found;
  WEFT_TRY(const fs::path whole, absolute(path));
  WEFT_RETURN_IF_ERROR(make_folder(whole.parent_path()));
  // SQLite gives the files beside it the mode of this one.
  const int descriptor = ::open(whole.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, kFileMode);
  if (descriptor < 0) return system_error(whole.string(), errno);
  const int code = ::fchmod(descriptor, kFileMode);
  const int error = errno;
  ::close(descriptor);
  if (code != 0) return system_error(whole.string(), error);
  WEFT_RETURN_IF_ERROR(sync_folder(whole.parent_path()));
  return find_store(path);
}

Result<Connection> open_store(const std::string& path, Connection::Mode mode) {
  WEFT_TRY(Connection connection, Connection::open(path, mode));
  WEFT_TRY(const Content content, check_format(connection, path));
  if (mode == Connection::Mode::kWrite) {
    // Acknowledged means durable: every commit waits for the disk. Read back, since an unknown word is ignored.
    WEFT_RETURN_IF_ERROR(connection.execute("PRAGMA synchronous=FULL"));
    WEFT_TRY(const std::int64_t synchronous, connection.integer("PRAGMA synchronous"));
    if (synchronous != kSynchronousFull) return internal("SQLite does not take synchronous=FULL");
  }
  if (content == Content::kEmpty) {
    if (mode == Connection::Mode::kRead) return not_found(fmt::format("{} is empty: there is no store yet", path));
    WEFT_RETURN_IF_ERROR(create_tables(connection));
  }
  return connection;
}

}  // namespace weft::memory
