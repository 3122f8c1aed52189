// Removes ended runs from an SQLite store, in steps of one short transaction each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "memory/journal/maintenance.h"
#include "memory/journal/sqlite.h"

namespace weft::memory {

// All functions here run within a transaction of the writer's connection.

// Takes the run out of every list, and returns its key. What the run leaves is removed by remove_some().
Result<std::int64_t> begin_removal(const Connection& connection, const std::string& run);
// A removal that has begun and not ended: the run's key.
Result<std::optional<std::int64_t>> unfinished_removal(const Connection& connection);
// Removes a bounded part of what the run left. False: there is no more.
Result<bool> remove_some(const Connection& connection, std::int64_t run, Removed& removed);
// Removes a bounded number of blobs of which it was never noted which runs use them, once all runs that were there then
// are gone. False: there is no more.
Result<bool> remove_some_old_blobs(const Connection& connection, Removed& removed);

}  // namespace weft::memory
