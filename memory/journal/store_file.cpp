#include "memory/journal/store_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include "base/ownership.h"

namespace weft::memory {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSynchronousFull = 2;
constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr const char* kOwnFolder = ".weft";  // Holds nothing but a store.

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

// The format, or nothing where the file is empty.
Result<std::optional<std::int64_t>> check_format(const Connection& connection, const std::string& path) {
  WEFT_TRY(const std::int64_t application, connection.integer("PRAGMA application_id"));
  WEFT_TRY(const std::int64_t format, connection.integer("PRAGMA user_version"));
  if (application == kApplicationId) {
    if (format > kStoreFormat) {
      return failed_precondition(fmt::format(
          "{} has store format {}, and this weft knows formats up to {}: use a newer one", path, format, kStoreFormat));
    }
    if (format < 1) {
      return failed_precondition(
          fmt::format("{} has store format {}, and no weft wrote one: restore a backup", path, format));
    }
    return format;
  }
  WEFT_TRY(const std::int64_t tables, connection.integer("SELECT count(*) FROM sqlite_schema"));
  if (application != 0 || tables != 0) {
    return failed_precondition(fmt::format("{} is a database of another program, not a weft store", path));
  }
  return std::nullopt;
}

// What SQLite and the lock keep beside a store.
constexpr std::array<const char*, 4> kCompanions{"-wal", "-shm", "-journal", ".lock"};

Status require_own_companions(const std::string& path) {
  for (const char* companion : kCompanions) WEFT_RETURN_IF_ERROR(require_own_companion(path + companion));
  return {};
}

// Of SQLite's file format (sqlite.org/fileformat2.html): where the first page says what kind of file it is.
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr std::size_t kApplicationAt = 68;
constexpr std::size_t kSchemaEntriesAt = 103;
constexpr std::size_t kHeaderBytes = 105;

// Whether the file may be a store, by its first bytes. What they leave open SQLite decides: a database whose first
// pages are still in its WAL, or one without a table.
Status check_header(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return system_error(path, errno);
  std::array<unsigned char, kHeaderBytes> header{};
  const ssize_t size = ::pread(descriptor, header.data(), header.size(), 0);
  const int error = errno;
  ::close(descriptor);
  if (size < 0) return system_error(path, error);
  if (size == 0) return {};
  const std::string_view begin(reinterpret_cast<const char*>(header.data()), static_cast<std::size_t>(size));
  if (!begin.starts_with(kMagic)) {
    return failed_precondition(fmt::format("{}: the file is not a weft store", path));
  }
  const auto byte = [&](std::size_t at) { return static_cast<std::int64_t>(header[at]); };
  const std::int64_t application = byte(kApplicationAt) << 24 | byte(kApplicationAt + 1) << 16 |
                                   byte(kApplicationAt + 2) << 8 | byte(kApplicationAt + 3);
  const bool has_entries = (byte(kSchemaEntriesAt) << 8 | byte(kSchemaEntriesAt + 1)) != 0;
  struct stat wal = {};
  const bool has_wal = ::stat((path + "-wal").c_str(), &wal) == 0 && wal.st_size > 0;
  if (application == kApplicationId || (application == 0 && (has_wal || !has_entries))) return {};
  return failed_precondition(fmt::format("{} is a database of another program, not a weft store", path));
}

// A store of an earlier version, a copy or a careless chmod may have left it open to others.
void tighten(const std::string& path) {
  const auto close_to_others = [](const std::string& name, mode_t mode) {
    struct stat found = {};
    if (::lstat(name.c_str(), &found) != 0 || S_ISLNK(found.st_mode) || found.st_uid != ::geteuid()) return;
    if ((found.st_mode & 077) != 0) (void)::chmod(name.c_str(), mode);
  };
  close_to_others(path, kFileMode);
  for (const char* companion : kCompanions) close_to_others(path + companion, kFileMode);
  const fs::path folder = fs::path(path).parent_path();
  if (folder.filename() == kOwnFolder) close_to_others(folder.string(), kFolderMode);
}

// The writer appends to a WAL. A copy of a store, or one that another tool rewrote, may have lost the setting.
Status use_wal(const Connection& connection) {
  WEFT_TRY(const Statement mode, connection.prepare("PRAGMA journal_mode=WAL"));
  Use use(mode);
  WEFT_TRY(const bool row, use.step());
  if (!row || use.bytes_at(0) != "wal") return failed_precondition("the store's disk does not allow a WAL");
  return {};
}

}  // namespace

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

Status sync_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_error(folder, errno);
  const int code = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  if (code != 0) return system_error(folder, error);
  return {};
}

Result<StoreLock> StoreLock::take(const std::string& path) {
  const std::string name = path + ".lock";
  int descriptor = ::open(name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0 && errno == ENOENT) {
    // No engine has this store, so reading the file drops no lock of this process; and no file is made beside one that
    // is no store.
    WEFT_RETURN_IF_ERROR(check_header(path));
    descriptor = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kFileMode);
  }
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
  lock.left_ = WorkMarks::left(descriptor);
  const std::string owner = std::to_string(::getpid());
  // On a full disk the number is not written: the lock holds all the same, and opening goes on so that reading can.
  if (::fchmod(descriptor, kFileMode) != 0 || ::ftruncate(descriptor, 0) != 0) return system_error(name, errno);
  [[maybe_unused]] const ssize_t written = ::pwrite(descriptor, owner.data(), owner.size(), 0);
  if (auto marks = WorkMarks::map(descriptor)) lock.marks_ = *std::move(marks);
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
  WEFT_RETURN_IF_ERROR(require_own_file(whole.string()));
  std::error_code error;
  const fs::path real = fs::canonical(whole, error);
  if (error) return system_error(whole.string(), error.value());
  WEFT_RETURN_IF_ERROR(require_own_companions(real.string()));
  return real.string();
}

Result<std::string> find_or_create_store(const std::string& path) {
  auto found = find_store(path);
  if (found || found.error().code != Code::kNotFound) return found;
  WEFT_TRY(const fs::path whole, absolute(path));
  WEFT_RETURN_IF_ERROR(make_folder(whole.parent_path()));
  WEFT_RETURN_IF_ERROR(require_own_folder(whole.parent_path().string()));
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

Result<std::string> own_store(const std::string& path) {
  WEFT_TRY(const std::string found, find_or_create_store(path));
  tighten(found);
  return found;
}

Result<Connection> open_store(const std::string& path, Connection::Mode mode) {
  WEFT_TRY(Connection connection, Connection::open(path, mode));
  std::optional<std::int64_t> format;
  {
    // What stands in the file is not known yet.
    const StepLimit limit(connection, kOpeningStepsMax);
    WEFT_TRY(format, check_format(connection, path));
    if (format) WEFT_RETURN_IF_ERROR(check_tables(connection, path, *format));
  }
  if (mode == Connection::Mode::kWrite) {
    // Acknowledged means durable: every commit waits for the disk. Read back, since an unknown word is ignored.
    WEFT_RETURN_IF_ERROR(connection.execute("PRAGMA synchronous=FULL"));
    WEFT_TRY(const std::int64_t synchronous, connection.integer("PRAGMA synchronous"));
    if (synchronous != kSynchronousFull) return internal("SQLite does not take synchronous=FULL");
  }
  if (mode == Connection::Mode::kRead) {
    if (!format) return not_found(fmt::format("{} is empty: there is no store yet", path));
    return connection;
  }
  WEFT_RETURN_IF_ERROR(use_wal(connection));
  if (!format) WEFT_RETURN_IF_ERROR(create_tables(connection));
  if (format && *format < kStoreFormat) WEFT_RETURN_IF_ERROR(migrate_tables(connection, *format));
  WEFT_RETURN_IF_ERROR(make_identity(connection));
  // In a folder that others may write, one of them could have made a WAL before SQLite did.
  WEFT_RETURN_IF_ERROR(require_own_companions(path));
  return connection;
}

}  // namespace weft::memory
