#include "memory/journal/claims.h"

#include <fmt/format.h>

#include <numeric>

#include "base/check.h"

namespace weft::memory {

std::vector<std::uint32_t> all_partitions() {
  std::vector<std::uint32_t> all(kPartitions);
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

Status check_partitions(std::span<const std::uint32_t> wanted) {
  if (wanted.empty()) return invalid_argument("a claim names at least one partition");
  for (const std::uint32_t partition : wanted) {
    if (partition >= kPartitions)
      return invalid_argument(
          fmt::format("there is no partition {}: they go from 0 to {}", partition, kPartitions - 1));
  }
  return {};
}

Claims::Claims(std::span<const Claim> claims) {
  for (const Claim& claim : claims) {
    WEFT_CHECK(claim.partition < kPartitions && claim.epoch > 0, "a claim names a partition, and epochs count from 1");
    epochs_[claim.partition] = claim.epoch;
  }
}

bool Claims::holds(std::uint32_t partition) const { return partition < kPartitions && epochs_[partition] != 0; }

Epoch Claims::epoch(std::uint32_t partition) const {
  WEFT_CHECK(holds(partition), "a partition is used that this process has not claimed");
  return epochs_[partition];
}

std::vector<std::uint32_t> Claims::partitions() const {
  std::vector<std::uint32_t> held;
  for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
    if (epochs_[partition] != 0) held.push_back(partition);
  }
  return held;
}

}  // namespace weft::memory
