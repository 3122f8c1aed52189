// Which store a file is. It tells a store that this user has made or trusted from another one at the same place, and
// from a copy.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace weft::memory {

struct StoreIdentity {
  std::string path;      // Absolute, links resolved.
  std::uint64_t id = 0;  // Random, made with the store and in every copy of it. 0: the store has none yet.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t born_us = 0;  // When the inode was made, since the epoch; an inode's number is used again. 0: not known.
  bool operator==(const StoreIdentity&) const = default;
};

// The work in a store that an engine would take up or start.
struct StoreWork {
  std::uint64_t runs = 0;
  std::uint64_t runs_unfinished = 0;
  std::uint64_t workflows = 0;  // Applied versions: their schedules start runs.
};

struct IdentifiedStore {
  StoreIdentity identity;
  StoreWork work;
};

// Reads only, takes no lock. A file that is still empty counts as a store without an id that holds nothing. Errors as
// those of open_sqlite_reader().
Result<IdentifiedStore> identify_sqlite(const std::string& path);

}  // namespace weft::memory
