// The tables of an SQLite store, and how a store of an older format becomes one of this.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "memory/sqlite.h"

namespace weft::memory {

// The format that this version writes. It rises with every change of the tables.
inline constexpr std::int64_t kStoreFormat = 4;
inline constexpr std::int64_t kApplicationId = 0x77656674;  // "weft"

// In an empty file. All of it in one transaction.
Status create_tables(const Connection& connection);
// From format `from`, step by step, in one transaction: a process that dies on the way leaves the store as it was.
Status migrate_tables(const Connection& connection, std::int64_t from);

}  // namespace weft::memory
