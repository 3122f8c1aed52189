#include "tools/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

// O_NONBLOCK: a FIFO opens at once (and is then refused). O_NOCTTY: a terminal does not become ours.
constexpr int kOpenFlags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr mode_t kNewFileMode = 0644;
// openat2 answers EAGAIN where something above the path was renamed meanwhile.
constexpr int kRenameRetriesMax = 64;

int open_beneath(int folder, const char* path, int flags, mode_t mode = 0) {
  open_how how = {};
  how.flags = static_cast<std::uint64_t>(flags | kOpenFlags);
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

Result<OpenFile> regular(Descriptor descriptor, std::string_view path) {
  struct stat status = {};
  if (::fstat(descriptor.number(), &status) != 0) return refusal(path, errno);
  if (S_ISDIR(status.st_mode)) return refusal(path, EISDIR);
  if (!S_ISREG(status.st_mode)) return refusal(path, ENXIO);
  return OpenFile{std::move(descriptor), static_cast<std::uint64_t>(status.st_size)};
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
  return permission_denied(fmt::format("'{}' lies in .git or .weft, which these tools leave alone", printable(path)));
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

bool is_hidden(std::string_view name) { return std::ranges::find(kHiddenNames, name) != std::end(kHiddenNames); }

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Result<Root> Root::open(const std::string& path) {
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
  return Root(std::move(root));
}

Status Root::check_visible(const Descriptor& opened, std::string_view path) const {
  // The path may have gone through links, so the places are asked of the kernel; the root may have been renamed.
  const std::string place = place_of(opened);
  std::string root = place_of(descriptor_);
  if (root == "/") root.clear();
  const bool beneath =
      !place.empty() && place.starts_with(root) && (place.size() == root.size() || place[root.size()] == '/');
  if (!beneath) return refusal(path, EXDEV);
  if (names_hidden(std::string_view(place).substr(root.size()))) return hidden(path);
  return {};
}

Result<Descriptor> Root::open_visible(const std::string& path, int flags) const {
  WEFT_RETURN_IF_ERROR(check_path(path));
  if (names_hidden(path)) return hidden(path);
  Descriptor opened(open_beneath(descriptor_.number(), path.c_str(), flags));
  if (opened.number() < 0) return refusal(path, errno);
  WEFT_RETURN_IF_ERROR(check_visible(opened, path));
  return opened;
}

Result<OpenFile> Root::file(const std::string& path) const {
  WEFT_TRY(Descriptor opened, open_visible(path, O_RDONLY));
  return regular(std::move(opened), path);
}

Result<Descriptor> Root::folder(const std::string& path) const { return open_visible(path, O_RDONLY | O_DIRECTORY); }

Result<Root::Appendable> Root::file_to_append(const std::string& path) const {
  // O_RDWR, since whether the last line has an end is read first.
  constexpr int kFlags = O_RDWR | O_APPEND;
  auto existing = open_visible(path, kFlags);
  if (existing) {
    WEFT_TRY(OpenFile file, regular(*std::move(existing), path));
    return Appendable{std::move(file), false};
  }
  if (existing.error().code != Code::kNotFound) return Error(std::move(existing).error());

  const std::size_t slash = path.find_last_of('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  WEFT_TRY(const Descriptor parent, folder(slash == std::string::npos ? "." : path.substr(0, slash + 1)));
  // O_EXCL follows no link, so the new file is in the folder that was just looked at.
  Descriptor created(open_beneath(parent.number(), name.c_str(), kFlags | O_CREAT | O_EXCL, kNewFileMode));
  if (created.number() < 0 && errno == EEXIST) {
    return failed_precondition(fmt::format("'{}' is a link to nothing, or came into being just now", printable(path)));
  }
  if (created.number() < 0) return refusal(path, errno);
  if (::fsync(parent.number()) != 0) return refusal(path, errno);
  WEFT_TRY(OpenFile file, regular(std::move(created), path));
  return Appendable{std::move(file), true};
}

Result<std::vector<Name>> Root::names(const Descriptor& folder) {
  // fdopendir() takes its descriptor over, and its position is shared: a new one begins at the start.
  const int number = open_beneath(folder.number(), ".", O_RDONLY | O_DIRECTORY);
  if (number < 0) return refusal(".", errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(number), ::closedir);
  if (stream == nullptr) {
    ::close(number);
    return refusal(".", errno);
  }
  std::vector<Name> names;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || is_hidden(name)) continue;
    if (names.size() == kNamesMax) {
      return resource_exhausted(fmt::format("the folder holds more than {} names", kNamesMax));
    }
    names.push_back({std::string(name), kind_of(number, *entry)});
  }
  std::ranges::sort(names, {}, &Name::name);
  return names;
}

Result<OpenFile> Root::file_in(const Descriptor& folder, const std::string& name, std::string_view shown) {
  Descriptor opened(open_beneath(folder.number(), name.c_str(), O_RDONLY | O_NOFOLLOW));
  if (opened.number() < 0) return refusal(shown, errno);
  return regular(std::move(opened), shown);
}

Result<Descriptor> Root::folder_in(const Descriptor& folder, const std::string& name, std::string_view shown) {
  Descriptor opened(open_beneath(folder.number(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (opened.number() < 0) return refusal(shown, errno);
  return opened;
}

}  // namespace weft::tools
