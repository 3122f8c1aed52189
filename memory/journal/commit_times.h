// How often a store commits, and how long a commit takes with its sync.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/time.h"

namespace weft::memory {

struct CommitFigures {
  std::uint64_t commits = 0;  // Since the store was opened.
  double per_second = 0;      // Over the last ten seconds.
  Duration median{};          // Of the last kCommitsKept, as below.
  Duration p95{};
};

// Thread-safe.
class CommitTimes {
 public:
  static constexpr std::size_t kCommitsKept = 256;
  static constexpr std::int64_t kSecondsKept = 10;

  // A commit that took `took` and ended at `at`, on a clock that only goes forward.
  void add(Duration at, Duration took);
  CommitFigures figures(Duration at) const;

 private:
  struct Second {
    std::int64_t number = -1;
    std::uint64_t commits = 0;
  };
  mutable std::mutex mutex_;  // Guards all below.
  std::uint64_t commits_ = 0;
  std::array<Duration, kCommitsKept> took_{};                                 // The last of them, in a ring.
  std::array<Second, static_cast<std::size_t>(kSecondsKept) + 1> seconds_{};  // With the one that is not over.
};

}  // namespace weft::memory
