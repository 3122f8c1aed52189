// How long ended runs are kept, and their removal when that is over.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "memory/journal/maintenance.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

inline constexpr Duration kRetentionDefault = std::chrono::hours(24 * 30);

// `retention` of weft.yaml. Nothing: for ever.
struct Retention {
  std::optional<Duration> otherwise = kRetentionDefault;
  std::map<std::string, std::optional<Duration>> workflows;  // By name.
  std::optional<Duration> of(const std::string& workflow) const;
};

struct PruneOrder {
  Time now;
  std::optional<Duration> older_than;  // Wins over the retention.
  std::string workflow;                // Empty: all.
  enum class Mode : std::uint8_t { kRemove, kCount } mode = Mode::kRemove;
  Duration pause{};  // After each run, so that others come first.
};

struct Pruned {
  std::uint64_t runs = 0;
  std::uint64_t kept = 0;  // Old enough, and needed.
  std::uint64_t blobs = 0;
};

// Whether a run that has ended is still needed, whatever its age.
bool is_needed(const v1::Run& run);

// Removes the runs whose time is over, oldest first, until `stop`.
Result<Pruned> prune(memory::Maintenance& store, const Retention& retention, const PruneOrder& order,
                     const std::atomic<bool>& stop);

}  // namespace weft::engine
