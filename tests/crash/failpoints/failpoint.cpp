#include "tests/crash/failpoints/failpoint.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace weft::crash {
namespace {

// Null where no test gives orders.
FailOrders* orders() {
  static FailOrders* const kOrders = []() -> FailOrders* {
    const char* path = std::getenv("WEFT_FAILPOINTS");
    const int file = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return nullptr;
    void* mapped = ::mmap(nullptr, sizeof(FailOrders), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    return mapped == MAP_FAILED ? nullptr : static_cast<FailOrders*>(mapped);
  }();
  return kOrders;
}

bool is_armed(const char* name) {
  const FailOrders* const given = orders();
  return given != nullptr && given->passes_left > 0 && std::strcmp(given->armed, name) == 0;
}

enum class File { kStore, kWal, kOther };

File file_of(int descriptor) {
  if (const FailOrders* const given = orders(); given == nullptr || given->passes_left <= 0) return File::kOther;
  const int error = errno;
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t size = ::readlink(link, path, sizeof path);
  errno = error;
  const std::string_view name(path, size < 0 ? 0 : static_cast<std::size_t>(size));
  return name.ends_with("/weft.db") ? File::kStore : name.ends_with("/weft.db-wal") ? File::kWal : File::kOther;
}

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

ssize_t write_at(int file, const void* bytes, size_t size, off64_t offset) {
  static const auto kWrite = real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  const File meant = file_of(file);
  if (meant != File::kOther) {
    pass(meant == File::kWal ? "wal.write" : "store.write");
    const char* half = meant == File::kWal ? "wal.half_written" : "store.half_written";
    if (is_armed(half)) {
      kWrite(file, bytes, size / 2, offset);
      pass(half);
    }
  }
  return kWrite(file, bytes, size, offset);
}

int sync_file(const char* name, int file) {
  const auto sync = real<int (*)(int)>(name);
  const File meant = file_of(file);
  if (meant == File::kWal) pass("wal.sync");
  const int code = sync(file);
  if (meant != File::kOther) pass(meant == File::kWal ? "wal.synced" : "store.synced");
  return code;
}

}  // namespace

void pass(const char* name) {
  if (!is_armed(name)) return;
  FailOrders& given = *orders();
  if (given.passes_left.fetch_sub(1) != 1) return;
  ++given.acted;
  ::kill(::getpid(), given.act == FailOrders::Act::kKill ? SIGKILL : SIGSTOP);
}

}  // namespace weft::crash

// What SQLite writes passes here first: a program's own functions come before those of the system's library.
extern "C" {
ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  return weft::crash::write_at(file, bytes, size, offset);
}
int fsync(int file) { return weft::crash::sync_file("fsync", file); }
int fdatasync(int file) { return weft::crash::sync_file("fdatasync", file); }
}
