// Why unfinished runs wait: for each run that this engine does not move at present, its status and what it waits for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "weft/v1/runs.pb.h"

namespace weft::engine {

// Thread-safe.
class WaitReasons {
 public:
  // Whether the run is among the engine's active runs while it waits.
  enum class Counts : std::uint8_t { kIdle, kActive };

  // `waits_for`: what would let the run go on, in words.
  void add(const std::string& run_id, std::string waits_for, Counts counts,
           v1::RunStatus status = v1::RUN_STATUS_WAITING) {
    const std::lock_guard lock(mutex_);
    reasons_[run_id] = {std::move(waits_for), counts, status};
  }
  void remove(const std::string& run_id) {
    const std::lock_guard lock(mutex_);
    reasons_.erase(run_id);
  }
  // How many of them are among the active runs.
  std::size_t active() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(reasons_, [](const auto& entry) { return entry.second.counts == Counts::kActive; }));
  }
  std::map<v1::RunStatus, std::size_t> runs_by_status() const {
    const std::lock_guard lock(mutex_);
    std::map<v1::RunStatus, std::size_t> runs;
    for (const auto& [run_id, reason] : reasons_) ++runs[reason.status];
    return runs;
  }
  // Sets the status and waits_for of a run that has a reason here.
  void describe(v1::Run& run) const {
    const std::lock_guard lock(mutex_);
    const auto found = reasons_.find(run.id());
    if (found == reasons_.end()) return;
    run.set_status(found->second.status);
    run.set_waits_for(found->second.waits_for);
  }

 private:
  struct Reason {
    std::string waits_for;
    Counts counts = Counts::kIdle;
    v1::RunStatus status = v1::RUN_STATUS_WAITING;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Reason> reasons_;  // By run. Guarded by mutex_.
};

}  // namespace weft::engine
