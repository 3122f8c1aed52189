// Runs that have not ended and that this engine does not move: which, and why.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "weft/v1/runs.pb.h"

namespace weft::engine {

// Thread-safe.
class Parked {
 public:
  // `waits_for`: what would let it go on, in words.
  void park(const std::string& run_id, std::string waits_for) {
    const std::lock_guard lock(mutex_);
    waits_for_[run_id] = std::move(waits_for);
  }
  void forget(const std::string& run_id) {
    const std::lock_guard lock(mutex_);
    waits_for_.erase(run_id);
  }
  // Sets the status and waits_for of a run that is parked.
  void describe(v1::Run& run) const {
    const std::lock_guard lock(mutex_);
    const auto found = waits_for_.find(run.id());
    if (found == waits_for_.end()) return;
    run.set_status(v1::RUN_STATUS_WAITING);
    run.set_waits_for(found->second);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> waits_for_;  // By run. Guarded by mutex_.
};

}  // namespace weft::engine
