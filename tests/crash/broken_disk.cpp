// A library for LD_PRELOAD that stands between a program and its disk, and breaks it as broken_disk.h says.
#include "tests/crash/broken_disk.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace {

using weft::crash::DiskOrders;
using weft::crash::Replaced;

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}
using Pwrite = ssize_t (*)(int, const void*, size_t, off64_t);
using Sync = int (*)(int);

// Null where no test gives orders.
DiskOrders* orders() {
  static DiskOrders* const kOrders = []() -> DiskOrders* {
    const char* path = std::getenv("WEFT_DISK");
    const int file = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return nullptr;
    void* mapped = ::mmap(nullptr, sizeof(DiskOrders), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    return mapped == MAP_FAILED ? nullptr : static_cast<DiskOrders*>(mapped);
  }();
  return kOrders;
}

// The path behind a descriptor, where it is one that the orders are about; empty otherwise.
std::string meant(int file) {
  const DiskOrders* const disk = orders();
  if (disk == nullptr) return "";
  const int error = errno;
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t size = ::readlink(link, path, sizeof path - 1);
  errno = error;
  if (size <= 0) return "";
  std::string found(path, static_cast<std::size_t>(size));
  return found.find(disk->files) == std::string::npos ? "" : found;
}

std::mutex journal_mutex;

std::string journal_of(const std::string& path) {
  return std::string(orders()->journal) + "/" + path.substr(path.rfind('/') + 1);
}

// Keeps what a write is about to replace.
void note(int file, const std::string& path, size_t size, off64_t offset) {
  if (orders()->journal[0] == '\0') return;
  struct stat status = {};
  ::fstat(file, &status);
  Replaced replaced;
  replaced.offset = offset;
  replaced.written = static_cast<std::int64_t>(size);
  replaced.file_size = status.st_size;
  replaced.size = std::clamp<std::int64_t>(status.st_size - offset, 0, static_cast<std::int64_t>(size));
  std::vector<char> record(sizeof replaced + static_cast<std::size_t>(replaced.size));
  std::memcpy(record.data(), &replaced, sizeof replaced);
  if (replaced.size > 0 && ::pread64(file, record.data() + sizeof replaced, static_cast<std::size_t>(replaced.size),
                                     offset) != replaced.size) {
    std::abort();
  }
  const std::lock_guard lock(journal_mutex);
  const int journal = ::open(journal_of(path).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (journal < 0 || ::write(journal, record.data(), record.size()) != static_cast<ssize_t>(record.size()))
    std::abort();
  ::close(journal);
}

ssize_t write_at(int file, const void* bytes, size_t size, off64_t offset) {
  static const auto kWrite = real<Pwrite>("pwrite64");
  const std::string path = meant(file);
  if (path.empty()) return kWrite(file, bytes, size, offset);
  DiskOrders& disk = *orders();
  if (disk.writes_failing > 0) {
    --disk.writes_failing;
    ++disk.writes_refused;
    errno = EIO;
    return -1;
  }
  if (disk.writes_short > 0 && size > 1) {
    --disk.writes_short;
    ++disk.writes_cut;
    size /= 2;
  }
  std::int64_t room = disk.room_bytes;
  if (room != INT64_MAX) {
    if (room <= 0) {
      ++disk.writes_refused;
      errno = ENOSPC;
      return -1;
    }
    size = std::min(size, static_cast<size_t>(room));
    disk.room_bytes -= static_cast<std::int64_t>(size);
  }
  note(file, path, size, offset);
  return kWrite(file, bytes, size, offset);
}

ssize_t read_at(int file, void* bytes, size_t size, off64_t offset) {
  static const auto kRead = real<ssize_t (*)(int, void*, size_t, off64_t)>("pread64");
  DiskOrders* const disk = orders();
  if (disk == nullptr || disk->reads_failing <= 0 || meant(file).empty()) return kRead(file, bytes, size, offset);
  --disk->reads_failing;
  ++disk->reads_refused;
  errno = EIO;
  return -1;
}

int sync_file(const char* name, int file) {
  const auto sync = real<Sync>(name);
  const std::string path = meant(file);
  if (path.empty()) return sync(file);
  DiskOrders& disk = *orders();
  ++disk.syncs;
  if (disk.sync_us > 0) ::usleep(static_cast<useconds_t>(disk.sync_us.load()));
  if (disk.syncs_failing > 0) {
    --disk.syncs_failing;
    errno = EIO;
    return -1;
  }
  if (disk.syncs_lie != 0) return 0;
  const int code = sync(file);
  if (code == 0 && disk.journal[0] != '\0') {
    const std::lock_guard lock(journal_mutex);
    ::truncate(journal_of(path).c_str(), 0);
  }
  return code;
}

}  // namespace

extern "C" {
ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  return write_at(file, bytes, size, offset);
}
ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) { return write_at(file, bytes, size, offset); }
ssize_t pread64(int file, void* bytes, size_t size, off64_t offset) { return read_at(file, bytes, size, offset); }
ssize_t pread(int file, void* bytes, size_t size, off_t offset) { return read_at(file, bytes, size, offset); }
int fsync(int file) { return sync_file("fsync", file); }
int fdatasync(int file) { return sync_file("fdatasync", file); }
}
