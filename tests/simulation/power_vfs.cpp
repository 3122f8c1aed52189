#include "power_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/check.h"

namespace weft::simulation {
namespace {

constexpr std::size_t kSectorBytes = 512;
constexpr int kPathBytesMax = 256;

PowerVfs* current = nullptr;
sqlite3_vfs* below = nullptr;
sqlite3_vfs above;

struct Handle {
  sqlite3_file base;
  std::shared_ptr<PowerVfs::File> file;
};
PowerVfs::File& file_of(sqlite3_file* handle) { return *reinterpret_cast<Handle*>(handle)->file; }

void change(std::string& bytes, const PowerVfs::Change& change, std::size_t length) {
  if (change.truncates) return bytes.resize(std::min<std::size_t>(bytes.size(), change.at));
  if (bytes.size() < change.at + length) bytes.resize(change.at + length, '\0');
  bytes.replace(change.at, length, change.bytes, 0, length);
}

int close_file(sqlite3_file* handle) {
  reinterpret_cast<Handle*>(handle)->~Handle();
  return SQLITE_OK;
}

int read_file(sqlite3_file* handle, void* into, int size, sqlite3_int64 at) {
  const std::string& bytes = file_of(handle).now;
  const auto from = std::min(bytes.size(), static_cast<std::size_t>(at));
  const auto length = std::min(bytes.size() - from, static_cast<std::size_t>(size));
  std::memcpy(into, bytes.data() + from, length);
  if (length == static_cast<std::size_t>(size)) return SQLITE_OK;
  std::memset(static_cast<char*>(into) + length, 0, static_cast<std::size_t>(size) - length);
  return SQLITE_IOERR_SHORT_READ;
}

int apply(sqlite3_file* handle, PowerVfs::Change made) {
  PowerVfs::File& file = file_of(handle);
  change(file.now, made, made.bytes.size());
  file.unsynced.push_back(std::move(made));
  return SQLITE_OK;
}

int write_file(sqlite3_file* handle, const void* from, int size, sqlite3_int64 at) {
  if (!current->reaches_the_disk()) return SQLITE_IOERR_WRITE;
  return apply(handle, {static_cast<std::uint64_t>(at),
                        std::string(static_cast<const char*>(from), static_cast<std::size_t>(size)), false});
}

int truncate_file(sqlite3_file* handle, sqlite3_int64 size) {
  if (!current->reaches_the_disk()) return SQLITE_IOERR_TRUNCATE;
  return apply(handle, {static_cast<std::uint64_t>(size), {}, true});
}

int sync_file(sqlite3_file* handle, int) {
  if (!current->reaches_the_disk()) return SQLITE_IOERR_FSYNC;
  const PowerVfs::Sync how = current->take_sync();
  if (how == PowerVfs::Sync::kNotDone) return SQLITE_IOERR_FSYNC;
  PowerVfs::File& file = file_of(handle);
  file.durable = file.now;
  file.unsynced.clear();
  return how == PowerVfs::Sync::kWorks ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

int size_of_file(sqlite3_file* handle, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(file_of(handle).now.size());
  return SQLITE_OK;
}

// One thread, and no transaction of one connection within that of another: every lock is free.
int lock_file(sqlite3_file*, int) { return SQLITE_OK; }
int nobody_writes(sqlite3_file*, int* somebody) {
  *somebody = 0;
  return SQLITE_OK;
}
int control_file(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return kSectorBytes; }
int characteristics(sqlite3_file*) { return 0; }

int map_shared(sqlite3_file* handle, int region, int size, int extend, void volatile** into) {
  auto& regions = file_of(handle).shared_memory;
  *into = nullptr;
  if (static_cast<std::size_t>(region) >= regions.size() && extend == 0) return SQLITE_OK;
  while (regions.size() <= static_cast<std::size_t>(region))
    regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
  *into = regions[static_cast<std::size_t>(region)].get();
  return SQLITE_OK;
}
int lock_shared(sqlite3_file*, int, int, int) { return SQLITE_OK; }
void order_shared(sqlite3_file*) {}
int unmap_shared(sqlite3_file* handle, int remove) {
  if (remove != 0) file_of(handle).shared_memory.clear();
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {
    2,           close_file,   read_file,     write_file,   truncate_file, sync_file,       size_of_file,
    lock_file,   lock_file,    nobody_writes, control_file, sector_size,   characteristics, map_shared,
    lock_shared, order_shared, unmap_shared,  nullptr,      nullptr};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* handle, int flags, int* flags_out) {
  handle->pMethods = nullptr;
  std::shared_ptr<PowerVfs::File> file;
  if (name == nullptr) {
    file = std::make_shared<PowerVfs::File>();
  } else if (const auto found = current->files.find(name); found != current->files.end()) {
    file = found->second;
  } else {
    if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    file = current->files[name] = std::make_shared<PowerVfs::File>();
  }
  new (handle) Handle{{&kMethods}, std::move(file)};
  if (flags_out != nullptr) *flags_out = flags;
  return SQLITE_OK;
}

int remove_file(sqlite3_vfs*, const char* name, int) {
  return current->files.erase(name) > 0 ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
}
int access_file(sqlite3_vfs*, const char* name, int, int* there) {
  *there = current->files.contains(name) ? 1 : 0;
  return SQLITE_OK;
}
int full_path(sqlite3_vfs*, const char* name, int size, char* into) {
  sqlite3_snprintf(size, into, "%s", name);
  return SQLITE_OK;
}

}  // namespace

PowerVfs::PowerVfs(Random& random) : random_(random) {
  WEFT_CHECK(current == nullptr, "there is one power");
  current = this;
  below = sqlite3_vfs_find(nullptr);
  above = *below;
  above.szOsFile = sizeof(Handle);
  above.mxPathname = kPathBytesMax;
  above.zName = "power";
  above.xOpen = open_file;
  above.xDelete = remove_file;
  above.xAccess = access_file;
  above.xFullPathname = full_path;
  sqlite3_vfs_register(&above, 1);
}

PowerVfs::~PowerVfs() {
  sqlite3_vfs_unregister(&above);
  sqlite3_vfs_register(below, 1);
  current = nullptr;
}

void PowerVfs::make_empty(const std::string& path) { files[path] = std::make_shared<File>(); }

bool PowerVfs::reaches_the_disk() {
  if (operations_left_ == 0) return false;
  if (operations_left_ != kNever) --operations_left_;
  return operations_left_ != 0;
}

void PowerVfs::power_returns() {
  operations_left_ = kNever;
  next_sync_ = Sync::kWorks;
  for (auto& [name, file] : files) {
    for (const Change& lost : file->unsynced) {
      const std::uint32_t fate = random_.below(3);
      if (fate == 0) continue;
      std::size_t length = lost.bytes.size();
      if (fate == 1 && !lost.truncates)
        length = random_.below(static_cast<std::uint32_t>(length / kSectorBytes + 1)) * kSectorBytes;
      change(file->durable, lost, length);
    }
    file->unsynced.clear();
    file->now = file->durable;
    file->shared_memory.clear();
  }
}

}  // namespace weft::simulation
