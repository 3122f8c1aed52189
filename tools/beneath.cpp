#include "tools/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <optional>

#include "base/bytes.h"

namespace weft::tools {
namespace {

// O_NONBLOCK, O_NOCTTY: nothing is waited for, and no terminal becomes ours, whatever is opened.
constexpr int kOpenFlags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
// A descriptor that names a file and opens nothing: closing it drops no lock that this process has on the file.
constexpr int kFindFlags = O_PATH | O_CLOEXEC;
constexpr mode_t kNewFileMode = 0644;
// openat2 answers EAGAIN where something above the path was renamed meanwhile.
constexpr int kRenameRetriesMax = 64;

int open_beneath(int folder, const char* path, int flags, mode_t mode = 0) {
  open_how how = {};
  how.flags = static_cast<std::uint64_t>((flags & O_PATH) != 0 ? flags : flags | kOpenFlags);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int tries = 0;; ++tries) {
    const long number = ::syscall(SYS_openat2, folder, path, &how, sizeof how);
    if (number >= 0) return static_cast<int>(number);
    if ((errno != EAGAIN && errno != EINTR) || tries == kRenameRetriesMax) return -1;
  }
}

Error refusal(std::string_view path, int error) {
  const std::string shown = printable(path);
  switch (error) {
    case ENOENT: return not_found(fmt::format("there is no '{}' under the root", shown));
    case ENOTDIR: return failed_precondition(fmt::format("'{}' is not a folder, or lies beneath what is none", shown));
    case EISDIR: return failed_precondition(fmt::format("'{}' is a folder, not a file", shown));
    case EXDEV:
      return permission_denied(
          fmt::format("'{}' leads out of the root: paths are relative to it and stay in it", shown));
    case ELOOP: return failed_precondition(fmt::format("'{}' is a link that leads round in a circle", shown));
    case ENXIO: return failed_precondition(fmt::format("'{}' is not a regular file", shown));
    case EACCES:
    case EPERM:
    case EROFS: return permission_denied(fmt::format("'{}' may not be opened: {}", shown, std::strerror(error)));
    case EMFILE:
    case ENFILE:
    case ENOSPC:
    case EDQUOT: return resource_exhausted(fmt::format("'{}' could not be opened: {}", shown, std::strerror(error)));
    default: return failed_precondition(fmt::format("'{}' could not be opened: {}", shown, std::strerror(error)));
  }
}

Status check_path(std::string_view path) {
  if (path.empty()) return invalid_argument("the path is empty: '.' is the root");
  if (path.size() >= PATH_MAX) return invalid_argument(fmt::format("a path has at most {} bytes", PATH_MAX - 1));
  if (path.find('\0') != std::string_view::npos) return invalid_argument("a path cannot hold a NUL character");
  return {};
}

// Where the kernel says that an open file lies. Empty: it does not say (no /proc).
std::string place_of(const Descriptor& descriptor) {
  std::array<char, PATH_MAX + 1> place;
  const std::string link = fmt::format("/proc/self/fd/{}", descriptor.number());
  const ssize_t size = ::readlink(link.c_str(), place.data(), place.size());
  return size > 0 ? std::string(place.data(), static_cast<std::size_t>(size)) : std::string();
}

bool names_hidden(std::string_view path) {
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (is_hidden(path.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

Error hidden(std::string_view path) {
  return permission_denied(
      fmt::format("'{}' lies in .git or .weft, or is a weft.yaml, which these tools leave alone", printable(path)));
}

Error closed(std::string_view path) {
  return permission_denied(
      fmt::format("'{}' is a file of weft's own (store, configuration, socket or token), which these tools leave alone",
                  printable(path)));
}

// File systems whose files are the kernel's answers: of any length, and of this very process.
bool is_of_kernel(int descriptor) {
  struct statfs system = {};
  if (::fstatfs(descriptor, &system) != 0) return false;
  switch (static_cast<unsigned long>(system.f_type)) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case SECURITYFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC: return true;
    default: return false;
  }
}

bool stands_at(const std::string& path, const Inode& inode) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 && Inode::of(status) == inode;
}

NameKind kind_of(int folder, const dirent& entry) {
  switch (entry.d_type) {
    case DT_REG: return NameKind::kFile;
    case DT_DIR: return NameKind::kFolder;
    case DT_LNK: return NameKind::kLink;
    case DT_UNKNOWN: break;
    default: return NameKind::kOther;
  }
  // Some file systems do not tell.
  struct stat status = {};
  if (::fstatat(folder, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return NameKind::kOther;
  if (S_ISREG(status.st_mode)) return NameKind::kFile;
  if (S_ISDIR(status.st_mode)) return NameKind::kFolder;
  return S_ISLNK(status.st_mode) ? NameKind::kLink : NameKind::kOther;
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Result<Root> Root::open(const std::string& path, ClosedPaths closed) {
  const std::string shown = printable(path);
  Descriptor root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.number() < 0) {
    const int fault = errno;
    std::string sentence = fmt::format("the tools' root '{}' cannot be opened: {}", shown, std::strerror(fault));
    if (fault == ENOENT) return not_found(std::move(sentence));
    if (fault == ENOTDIR) return invalid_argument(std::move(sentence));
    if (fault == EACCES) return permission_denied(std::move(sentence));
    return failed_precondition(std::move(sentence));
  }
  const Descriptor probe(open_beneath(root.number(), ".", O_RDONLY | O_DIRECTORY));
  if (probe.number() < 0 && errno == ENOSYS) {
    return unimplemented("the file tools need a kernel with openat2 (Linux 5.6 or later)");
  }
  if (probe.number() < 0) {
    return failed_precondition(fmt::format("the tools' root '{}' cannot be read: {}", shown, std::strerror(errno)));
  }
  if (place_of(root).empty()) return failed_precondition("the file tools need /proc");
  return Root(std::move(root), std::move(closed));
}

View Root::view() const { return {*this, fence_->now()}; }

Status View::check_place(const Descriptor& found, std::string_view shown) const {
  // The path may have gone through links, so the places are asked of the kernel; the root may have been renamed.
  const std::string place = place_of(found);
  std::string at = place_of(root_.descriptor_);
  if (at == "/") at.clear();
  const bool beneath =
      !place.empty() && place.starts_with(at) && (place.size() == at.size() || place[at.size()] == '/');
  if (!beneath) return refusal(shown, EXDEV);
  if (names_hidden(std::string_view(place).substr(at.size()))) return hidden(shown);
  // Each folder on the way is looked at as what it is: another name may lead to one that is closed, where names of
  // another case or form are the same, or where it is mounted twice.
  while (at.size() < place.size()) {
    const std::string folder = at;
    const std::size_t end = std::min(place.find('/', at.size() + 1), place.size());
    const std::string name = place.substr(at.size() + 1, end - at.size() - 1);
    at = place.substr(0, end);
    struct stat status = {};
    if (::stat((folder + "/").c_str(), &status) == 0 && closed_.has(Inode::of(status), name)) return closed(shown);
    if (::stat(at.c_str(), &status) != 0) continue;
    if (closed_.has(Inode::of(status))) return closed(shown);
    for (const std::string_view twin : kHiddenNames) {
      if (stands_at(fmt::format("{}/{}", folder, twin), Inode::of(status))) return hidden(shown);
    }
  }
  return {};
}

Status View::check_inode(const Descriptor& found, const struct stat& status, std::string_view shown, Want want) const {
  const Inode inode = Inode::of(status);
  if (closed_.has(inode)) return closed(shown);
  const bool is_folder = S_ISDIR(status.st_mode);
  if (want == Want::kFolder && !is_folder) return refusal(shown, ENOTDIR);
  if (want != Want::kFolder && is_folder) return refusal(shown, EISDIR);
  if (!is_folder && !S_ISREG(status.st_mode)) return refusal(shown, ENXIO);
  if (is_of_kernel(found.number())) {
    return permission_denied(
        fmt::format("'{}' lies in a file system of the kernel's (such as /proc), which these tools "
                    "leave alone",
                    printable(shown)));
  }
  if (is_folder || status.st_nlink <= 1) return {};
  if (want == Want::kAppend) {
    return permission_denied(
        fmt::format("'{}' is one of {} names of a file (hard links), and what is appended would stand under the others "
                    "too: make a copy of it",
                    printable(shown), status.st_nlink));
  }
  return root_.fence_->check_links(place_of(found), status, shown);
}

Result<OpenFile> View::open_again(const Descriptor& found, std::string_view shown, Want want) const {
  struct stat status = {};
  if (::fstat(found.number(), &status) != 0) return refusal(shown, errno);
  WEFT_RETURN_IF_ERROR(check_inode(found, status, shown, want));
  // O_RDWR, since whether the last line has an end is read first.
  const int flags = want == Want::kFolder ? O_RDONLY | O_DIRECTORY : want == Want::kRead ? O_RDONLY : O_RDWR | O_APPEND;
  Descriptor opened(::open(fmt::format("/proc/self/fd/{}", found.number()).c_str(), flags | kOpenFlags));
  if (opened.number() < 0) return refusal(shown, errno);
  return OpenFile{std::move(opened), static_cast<std::uint64_t>(status.st_size)};
}

Result<OpenFile> View::open_visible(const std::string& path, Want want) const {
  WEFT_RETURN_IF_ERROR(check_path(path));
  if (names_hidden(path)) return hidden(path);
  const Descriptor found(open_beneath(root_.descriptor_.number(), path.c_str(), kFindFlags));
  if (found.number() < 0) return refusal(path, errno);
  WEFT_RETURN_IF_ERROR(check_place(found, path));
  return open_again(found, path, want);
}

Result<OpenFile> View::file(const std::string& path) const { return open_visible(path, Want::kRead); }

Result<Descriptor> View::folder(const std::string& path) const {
  WEFT_TRY(OpenFile opened, open_visible(path, Want::kFolder));
  return std::move(opened.descriptor);
}

Result<View::Appendable> View::file_to_append(const std::string& path) const {
  auto existing = open_visible(path, Want::kAppend);
  if (existing) return Appendable{*std::move(existing), false};
  if (existing.error().code != Code::kNotFound) return Error(std::move(existing).error());

  const std::size_t slash = path.find_last_of('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  WEFT_TRY(const Descriptor parent, folder(slash == std::string::npos ? "." : path.substr(0, slash + 1)));
  struct stat status = {};
  if (::fstat(parent.number(), &status) != 0) return refusal(path, errno);
  if (closed_.has(Inode::of(status), name)) return closed(path);
  // O_EXCL follows no link, so the new file is in the folder that was just looked at.
  Descriptor created(open_beneath(parent.number(), name.c_str(), O_RDWR | O_APPEND | O_CREAT | O_EXCL, kNewFileMode));
  if (created.number() < 0 && errno == EEXIST) {
    return failed_precondition(fmt::format("'{}' is a link to nothing, or came into being just now", printable(path)));
  }
  if (created.number() < 0) return refusal(path, errno);
  if (::fsync(parent.number()) != 0) return refusal(path, errno);
  return Appendable{OpenFile{std::move(created), 0}, true};
}

Result<View::Names> View::names(const Descriptor& folder, const CallTime& time) const {
  constexpr std::size_t kSlice = 1'024;  // Names between two looks at the time.
  struct stat status = {};
  if (::fstat(folder.number(), &status) != 0) return refusal(".", errno);
  const Inode inode = Inode::of(status);
  // fdopendir() takes its descriptor over, and its position is shared: a new one begins at the start.
  const int number = open_beneath(folder.number(), ".", O_RDONLY | O_DIRECTORY);
  if (number < 0) return refusal(".", errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(number), ::closedir);
  if (stream == nullptr) {
    ::close(number);
    return refusal(".", errno);
  }
  Names found;
  std::size_t seen = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (++seen % kSlice == 0 && time.over()) {
      found.whole = false;
      break;
    }
    if (name == "." || name == ".." || is_hidden(name) || closed_.has(inode, name)) continue;
    // What is closed under another name: told by its number, which is cheap, before it is asked for.
    struct stat entry_status = {};
    if (closed_.may_have(entry->d_ino) && ::fstatat(number, entry->d_name, &entry_status, AT_SYMLINK_NOFOLLOW) == 0 &&
        closed_.has(Inode::of(entry_status))) {
      continue;
    }
    if (found.names.size() == kNamesMax) {
      return resource_exhausted(fmt::format("the folder holds more than {} names", kNamesMax));
    }
    found.names.push_back({std::string(name), kind_of(number, *entry)});
  }
  std::ranges::sort(found.names, {}, &Name::name);
  return found;
}

Result<OpenFile> View::file_in(const Descriptor& folder, const std::string& name, std::string_view shown) const {
  const Descriptor found(open_beneath(folder.number(), name.c_str(), kFindFlags | O_NOFOLLOW));
  if (found.number() < 0) return refusal(shown, errno);
  return open_again(found, shown, Want::kRead);
}

Result<Descriptor> View::folder_in(const Descriptor& folder, const std::string& name, std::string_view shown) const {
  const Descriptor found(open_beneath(folder.number(), name.c_str(), kFindFlags | O_DIRECTORY | O_NOFOLLOW));
  if (found.number() < 0) return refusal(shown, errno);
  WEFT_TRY(OpenFile opened, open_again(found, shown, Want::kFolder));
  return std::move(opened.descriptor);
}

}  // namespace weft::tools
