// Runs that have not ended and that this engine does not move: which, and why.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "weft/v1/runs.pb.h"

namespace weft::engine {

// Thread-safe.
class Parked {
 public:
  enum class Place : std::uint8_t { kNone, kAtWork };  // Whether it counts among the engine's active runs.

  // `waits_for`: what would let it go on, in words.
  void park(const std::string& run_id, std::string waits_for, Place place,
            v1::RunStatus status = v1::RUN_STATUS_WAITING) {
    const std::lock_guard lock(mutex_);
    parked_[run_id] = {std::move(waits_for), place, status};
  }
  std::size_t at_work() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(parked_, [](const auto& entry) { return entry.second.place == Place::kAtWork; }));
  }
  // By status.
  std::map<v1::RunStatus, std::size_t> counts() const {
    const std::lock_guard lock(mutex_);
    std::map<v1::RunStatus, std::size_t> counts;
    for (const auto& [run_id, entry] : parked_) ++counts[entry.status];
    return counts;
  }
  void forget(const std::string& run_id) {
    const std::lock_guard lock(mutex_);
    parked_.erase(run_id);
  }
  // Sets the status and waits_for of a run that is parked.
  void describe(v1::Run& run) const {
    const std::lock_guard lock(mutex_);
    const auto found = parked_.find(run.id());
    if (found == parked_.end()) return;
    run.set_status(found->second.status);
    run.set_waits_for(found->second.waits_for);
  }

 private:
  mutable std::mutex mutex_;
  struct Entry {
    std::string waits_for;
    Place place = Place::kNone;
    v1::RunStatus status = v1::RUN_STATUS_WAITING;
  };
  std::map<std::string, Entry> parked_;  // By run. Guarded by mutex_.
};

}  // namespace weft::engine
