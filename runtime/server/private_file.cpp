#include "runtime/server/private_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace weft::server {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

Error fault(std::string_view what, const std::string& path) {
  const int code = errno;
  const std::string sentence = fmt::format("cannot {} {}: {}", what, path, std::strerror(code));
  if (code == ENOENT) return not_found(sentence);
  if (code == ENOSPC || code == EDQUOT) return resource_exhausted(sentence);
  return permission_denied(sentence);
}

Status write_whole(int descriptor, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t count = ::write(descriptor, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fault("write", path);
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fsync(descriptor) != 0) return fault("write", path);
  return {};
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

Result<std::string> read_private_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) return fault("read", path);
  struct stat found{};
  if (::fstat(file.get(), &found) != 0) return fault("read", path);
  if (!S_ISREG(found.st_mode)) return permission_denied(fmt::format("{} is no regular file: remove it", path));
  if (found.st_uid != ::geteuid() || (found.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return permission_denied(fmt::format(
        "{} holds tokens and is not this user's alone: `chmod 600` it, or remove it, and make new tokens", path));
  }
  std::string content;
  std::string piece(std::size_t{64} << 10, '\0');
  while (true) {
    const ssize_t count = ::read(file.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fault("read", path);
    if (count == 0) return content;
    content.append(piece, 0, static_cast<std::size_t>(count));
    if (content.size() > bytes_max)
      return resource_exhausted(fmt::format("{} has more than {} bytes, the limit of such a file", path, bytes_max));
  }
}

Status replace_private_file(const std::string& path, std::string_view content) {
  const std::string fresh = fmt::format("{}.{}.new", path, ::getpid());
  ::unlink(fresh.c_str());  // Of a process that died with our number.
  {
    const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return fault("write", fresh);
    if (Status written = write_whole(file.get(), content, fresh); !written) {
      ::unlink(fresh.c_str());
      return written;
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    Error error = fault("replace", path);
    ::unlink(fresh.c_str());
    return error;
  }
  const Descriptor folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) return fault("sync the folder of", path);
  return {};
}

Result<FolderLock> FolderLock::take(const std::string& folder) {
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return fault("open", folder);
  FolderLock lock(descriptor);
  while (::flock(descriptor, LOCK_EX) != 0) {
    if (errno != EINTR) return fault("lock", folder);
  }
  return lock;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace weft::server
