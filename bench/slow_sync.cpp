// A library for LD_PRELOAD that makes every fsync and fdatasync take WEFT_SLOW_SYNC_US longer (2,000 where it is not
// set): disks whose sync is nearly free flatter whoever syncs often.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

namespace {

using Sync = int (*)(int);

int slowed(const char* name, int file) {
  static const char* const setting = std::getenv("WEFT_SLOW_SYNC_US");
  static const unsigned wait_us =
      setting == nullptr ? 2'000 : static_cast<unsigned>(std::strtoul(setting, nullptr, 10));
  const auto real = reinterpret_cast<Sync>(::dlsym(RTLD_NEXT, name));
  ::usleep(wait_us);
  return real(file);
}

}  // namespace

extern "C" int fsync(int file) { return slowed("fsync", file); }
extern "C" int fdatasync(int file) { return slowed("fdatasync", file); }
