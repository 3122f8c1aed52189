#include "tests/memory/fault_vfs.h"

#include <sqlite3.h>

#include <chrono>
#include <thread>

#include "base/check.h"

namespace weft::memory::test {
namespace {

enum class Kind : std::uint8_t { kDatabase, kWal, kOther };

// SQLite allocates `szOsFile` bytes: this, then the file of the VFS below.
struct File {
  sqlite3_file base;
  Kind kind;
};

FaultDisk* the_disk = nullptr;
sqlite3_vfs* below = nullptr;
sqlite3_vfs above;
sqlite3_io_methods methods;

Kind kind_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->kind; }
sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1); }

int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  FaultDisk& disk = *the_disk;
  if (kind_of(file) == Kind::kWal) {
    if (offset + size > disk.wal_bytes_max) return SQLITE_FULL;
    if (disk.wal_writes_failing > 0) {
      --disk.wal_writes_failing;
      return SQLITE_IOERR_WRITE;
    }
    disk.wal_bytes_unsynced += size;
  } else if (kind_of(file) == Kind::kDatabase) {
    ++disk.file_writes;
  }
  return real(file)->pMethods->xWrite(real(file), bytes, size, offset);
}

int sync(sqlite3_file* file, int flags) {
  FaultDisk& disk = *the_disk;
  if (kind_of(file) == Kind::kWal) {
    if (disk.wal_syncs_failing > 0) {
      --disk.wal_syncs_failing;
      return SQLITE_IOERR_FSYNC;
    }
    ++disk.wal_syncs;
    std::this_thread::sleep_for(std::chrono::milliseconds(disk.wal_sync_ms));
    if (--disk.wal_syncs_left == 0) disk.wal_bytes_max = 0;
    disk.wal_bytes_unsynced = 0;
    if (disk.wal_syncs_are_free) return SQLITE_OK;
  }
  return real(file)->pMethods->xSync(real(file), flags);
}

// Everything else goes through as it is.
void fill_methods() {
  methods.iVersion = 3;
  methods.xClose = [](sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); };
  methods.xRead = [](sqlite3_file* f, void* bytes, int size, sqlite3_int64 offset) {
    return real(f)->pMethods->xRead(real(f), bytes, size, offset);
  };
  methods.xWrite = write;
  methods.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) { return real(f)->pMethods->xTruncate(real(f), size); };
  methods.xSync = sync;
  methods.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) { return real(f)->pMethods->xFileSize(real(f), size); };
  methods.xLock = [](sqlite3_file* f, int lock) { return real(f)->pMethods->xLock(real(f), lock); };
  methods.xUnlock = [](sqlite3_file* f, int lock) { return real(f)->pMethods->xUnlock(real(f), lock); };
  methods.xCheckReservedLock = [](sqlite3_file* f, int* out) {
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
  };
  methods.xFileControl = [](sqlite3_file* f, int what, void* argument) {
    return real(f)->pMethods->xFileControl(real(f), what, argument);
  };
  methods.xSectorSize = [](sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); };
  methods.xDeviceCharacteristics = [](sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); };
  methods.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
  };
  methods.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
    return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
  };
  methods.xShmBarrier = [](sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); };
  methods.xShmUnmap = [](sqlite3_file* f, int remove) { return real(f)->pMethods->xShmUnmap(real(f), remove); };
  methods.xFetch = [](sqlite3_file* f, sqlite3_int64 offset, int size, void** out) {
    return real(f)->pMethods->xFetch(real(f), offset, size, out);
  };
  methods.xUnfetch = [](sqlite3_file* f, sqlite3_int64 offset, void* page) {
    return real(f)->pMethods->xUnfetch(real(f), offset, page);
  };
}

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  file->pMethods = nullptr;
  File& mine = *reinterpret_cast<File*>(file);
  mine.kind = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? Kind::kDatabase
              : (flags & SQLITE_OPEN_WAL) != 0   ? Kind::kWal
                                                 : Kind::kOther;
  const int code = below->xOpen(below, name, real(file), flags, flags_out);
  if (code == SQLITE_OK) file->pMethods = &methods;
  if (code == SQLITE_OK && mine.kind == Kind::kWal) ++the_disk->wal_opens;
  return code;
}

}  // namespace

FaultDisk::FaultDisk() {
  WEFT_CHECK(the_disk == nullptr, "one fault disk at a time");
  the_disk = this;
  below = sqlite3_vfs_find(nullptr);
  fill_methods();
  above = *below;
  above.zName = "weft-fault-disk";
  above.pNext = nullptr;
  above.szOsFile = static_cast<int>(sizeof(File)) + below->szOsFile;
  above.xOpen = open;
  sqlite3_vfs_register(&above, 1);
}

FaultDisk::~FaultDisk() {
  sqlite3_vfs_unregister(&above);
  sqlite3_vfs_register(below, 1);
  the_disk = nullptr;
}

}  // namespace weft::memory::test
