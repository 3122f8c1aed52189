// Runs that wait and are still in memory, in case that more comes for them. Each is evicted after a while, and earlier
// where they take more than idle_bytes_max together: the longest idle first.
//
// Loop only.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <utility>

#include "base/time.h"

namespace weft::engine {

struct ShardCore;
class ActiveRun;

class IdleRuns {
 public:
  explicit IdleRuns(ShardCore& core) : core_(core) {}  // Outlives it.

  // The run may be evicted at once.
  void add(ActiveRun& run, Duration since, std::size_t bytes);
  void remove(std::size_t bytes) { bytes_ -= bytes; }  // One of so many bytes is idle no more.

 private:
  void evict_some();

  ShardCore& core_;
  std::deque<std::pair<Duration, std::string>> idle_;  // Since when, and which run; some are idle no more.
  std::size_t bytes_ = 0;
  bool timer_set_ = false;
};

}  // namespace weft::engine
