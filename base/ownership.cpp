#include "base/ownership.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"

namespace weft {
namespace {

constexpr std::size_t kEntryBytes = 16'384;  // Of one line of the user or group database.

std::string name_of(uid_t user) {
  std::array<char, kEntryBytes> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return fmt::format("user {}", user);
}

// Whether only this user is in the group: it has the user's name, as the groups that useradd makes, and no other
// member.
bool is_own_group(gid_t group) {
  if (group == 0) return true;
  std::array<char, kEntryBytes> buffer;
  ::group entry{};
  ::group* found = nullptr;
  if (::getgrgid_r(group, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return false;
  const std::string user = name_of(::geteuid());
  if (user != found->gr_name) return false;
  for (char** member = found->gr_mem; member != nullptr && *member != nullptr; ++member) {
    if (user != *member) return false;
  }
  return true;
}

bool others_write(const struct stat& found) {
  return (found.st_mode & S_IWOTH) != 0 || ((found.st_mode & S_IWGRP) != 0 && !is_own_group(found.st_gid));
}

Status check_owner(const struct stat& found, const std::string& path) {
  if (found.st_uid == ::geteuid() || found.st_uid == 0) return {};
  return permission_denied(fmt::format(
      "{} belongs to {}, and weft would act by it in the name of {}: make it yours with chown, or work on a "
      "copy in a folder of your own",
      printable(path), name_of(found.st_uid), name_of(::geteuid())));
}

Status check_folder(const struct stat& found, const std::string& folder) {
  WEFT_RETURN_IF_ERROR(check_owner(found, folder));
  if (!others_write(found) || (found.st_mode & S_ISVTX) != 0) return {};
  return permission_denied(fmt::format(
      "the folder {} can be written by others than {}, who could replace what weft reads there: `chmod go-w` "
      "it, or use a folder of your own",
      printable(folder), name_of(::geteuid())));
}

Status check_file(const struct stat& found, const std::string& path) {
  WEFT_RETURN_IF_ERROR(check_owner(found, path));
  if (!others_write(found)) return {};
  return permission_denied(
      fmt::format("{} can be written by others than {}: look at what it holds, then `chmod go-w` it", printable(path),
                  name_of(::geteuid())));
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Error cannot_look(const std::string& path) {
  const std::string sentence = fmt::format("{}: {}", printable(path), std::strerror(errno));
  if (errno == ENOENT) return not_found(sentence);
  return errno == ENOTDIR ? failed_precondition(sentence) : permission_denied(sentence);
}

}  // namespace

Status require_own_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return cannot_look(folder);
  struct stat found{};
  const int code = ::fstat(descriptor, &found);
  ::close(descriptor);
  if (code != 0) return cannot_look(folder);
  return check_folder(found, folder);
}

Status require_own_descriptor(int descriptor, const std::string& path) {
  struct stat named{};
  if (::lstat(path.c_str(), &named) != 0) return cannot_look(path);
  if (S_ISLNK(named.st_mode)) {
    WEFT_RETURN_IF_ERROR(check_owner(named, path));
    WEFT_RETURN_IF_ERROR(require_own_folder(folder_of(path)));
  }
  struct stat found{};
  if (::fstat(descriptor, &found) != 0) return cannot_look(path);
  // Where what is open stands, whatever the name leads to by now.
  std::array<char, PATH_MAX> real{};
  const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", descriptor).c_str(), real.data(), real.size());
  if (size <= 0) return cannot_look(path);
  const std::string real_path(real.data(), static_cast<std::size_t>(size));
  WEFT_RETURN_IF_ERROR(check_file(found, real_path));
  return require_own_folder(folder_of(real_path));
}

Status require_own_file(const std::string& path) {
  // O_PATH: nothing is opened that could wait, and closing it drops no lock.
  const int descriptor = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (descriptor < 0) return cannot_look(path);
  Status own = require_own_descriptor(descriptor, path);
  ::close(descriptor);
  return own;
}

Status require_own_companion(const std::string& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return cannot_look(path);
  }
  if (!S_ISREG(found.st_mode)) {
    return permission_denied(
        fmt::format("{} is no regular file: weft would write through it; remove it", printable(path)));
  }
  return check_file(found, path);
}

}  // namespace weft
