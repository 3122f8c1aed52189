// Who may write which runs: partitions, their owners and the numbers of their claims.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace weft::memory {

// A run belongs to one partition for ever. Owners claim partitions, not runs.
inline constexpr std::uint32_t kPartitions = 256;

// The number of a claim. A claim of a partition has a greater epoch than every earlier claim of this partition.
using Epoch = std::uint64_t;

// The right to append to the runs of one partition, and to send their calls. It ends when somebody else claims the
// partition, or with its lease.
struct Claim {
  std::uint32_t partition = 0;
  Epoch epoch = 0;
  std::optional<Duration> until{};  // The end of the lease, on the clock of boot time. None: a claim without an end.
};

std::vector<std::uint32_t> all_partitions();
// INVALID_ARGUMENT where nothing is wanted, or a number is not that of a partition.
Status check_partitions(std::span<const std::uint32_t> wanted);

// What one owner holds, by partition. Immutable.
class Claims {
 public:
  Claims() = default;
  explicit Claims(std::span<const Claim> claims);

  bool holds(std::uint32_t partition) const;
  Epoch epoch(std::uint32_t partition) const;     // REQUIRES: holds(partition).
  std::vector<std::uint32_t> partitions() const;  // Those that it holds, in their order.

 private:
  std::array<Epoch, kPartitions> epochs_{};  // 0: not held.
};

}  // namespace weft::memory
