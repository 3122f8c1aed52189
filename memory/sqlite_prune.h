// Removing ended runs from an SQLite store, in steps of one short transaction each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "memory/care.h"
#include "memory/sqlite.h"

namespace weft::memory {

// Within a transaction of the writer's connection, all of them.

// Takes the run out of every list; what it leaves is removed by remove_some(). The run's key.
Result<std::int64_t> begin_removal(const Connection& connection, const std::string& run);
// A removal that has begun and not ended.
Result<std::optional<std::int64_t>> unfinished_removal(const Connection& connection);
// A bounded part of what the run left. False: there is no more.
Result<bool> remove_some(const Connection& connection, std::int64_t run, Removed& removed);
// A bounded part of the blobs of which it was never known whose they are, once the runs of their time are gone.
Result<bool> remove_some_old_blobs(const Connection& connection, Removed& removed);

}  // namespace weft::memory
