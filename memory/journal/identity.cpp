#include "memory/journal/identity.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "memory/journal/store_file.h"

namespace weft::memory {
namespace {

Status identify_inode(StoreIdentity& identity) {
  struct statx found = {};
  if (::statx(AT_FDCWD, identity.path.c_str(), 0, STATX_INO | STATX_BTIME, &found) != 0) {
    return system_error(identity.path, errno);
  }
  identity.device = (std::uint64_t{found.stx_dev_major} << 32) | found.stx_dev_minor;
  identity.inode = found.stx_ino;
  constexpr std::int64_t kMicroseconds = 1'000'000;
  if ((found.stx_mask & STATX_BTIME) != 0) {
    identity.born_us = found.stx_btime.tv_sec * kMicroseconds + found.stx_btime.tv_nsec / 1'000;
  }
  return {};
}

Result<std::uint64_t> count(const Connection& connection, std::string_view sql) {
  WEFT_TRY(const std::int64_t rows, connection.integer(sql));
  return static_cast<std::uint64_t>(rows);
}

}  // namespace

Result<IdentifiedStore> identify_sqlite(const std::string& path) {
  IdentifiedStore store;
  WEFT_TRY(store.identity.path, find_store(path));
  WEFT_RETURN_IF_ERROR(identify_inode(store.identity));
  const auto connection = open_store(store.identity.path, Connection::Mode::kRead);
  if (!connection && connection.error().code == Code::kNotFound) return store;
  if (!connection) return connection.error();
  WEFT_TRY(const std::int64_t format, connection->integer("PRAGMA user_version"));
  WEFT_TRY(store.identity.id, read_identity(*connection, format));
  WEFT_TRY(store.work.runs, count(*connection, "SELECT count(*) FROM runs"));
  WEFT_TRY(store.work.runs_unfinished, count(*connection, "SELECT count(*) FROM runs WHERE ended = 0"));
  WEFT_TRY(store.work.workflows, count(*connection, "SELECT count(*) FROM workflows"));
  return store;
}

}  // namespace weft::memory
