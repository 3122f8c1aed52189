// The tables of an SQLite store, and how a store of an older format becomes one of this.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "memory/journal/sqlite.h"

namespace weft::memory {

// The format that this version writes. It rises with every change of the tables.
inline constexpr std::int64_t kStoreFormat = 5;
inline constexpr std::int64_t kApplicationId = 0x77656674;  // "weft"

// Makes the tables in an empty file, in one transaction.
Status create_tables(const Connection& connection);
// Makes a store of format `from` one of this format, step by step, in one transaction: a process that dies on the way
// leaves the store as it was.
Status migrate_tables(const Connection& connection, std::int64_t from);

// How many instructions of SQLite's virtual machine the checks of a file may take; those of a store take some thousand.
inline constexpr std::uint64_t kOpeningStepsMax = 5'000'000;

// Checks that the file's schema is the schema of a store of `format`, entry by entry and word by word: a foreign entry
// could burn the processor or change what is read and written (a view in a table's place, a trigger, an index over an
// expression, a CHECK). The tables of ANALYZE are allowed. FAILED_PRECONDITION names `path` and the first entry that
// differs.
Status check_tables(const Connection& connection, const std::string& path, std::int64_t format);

// Gives the store a random number as its identity, if it has none. The store keeps it for its life, and its copies have
// the same one. A full disk is no error: then the store has none yet. REQUIRES: the store has this format.
Status make_identity(const Connection& connection);
Result<std::uint64_t> read_identity(const Connection& connection, std::int64_t format);  // 0: it has none yet.

}  // namespace weft::memory
