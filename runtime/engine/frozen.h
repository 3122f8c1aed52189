// Runs that stand still because their events could not be written: which, why, and how many bytes of them wait in
// memory for room on the disk.
//
// Invariants:
//  1. What waits is bounded over all runs of the engine: `bytes_max`.
//  2. While a run stands still no new run is admitted; its own appends are what finds out that there is room again.
// Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

class Frozen {
 public:
  explicit Frozen(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Marks the run, or renews what keeps it.
  void add(const std::string& run_id, const Error& cause);
  void remove(const std::string& run_id);
  // Room for events that wait. False, and nothing is taken, where there is none.
  bool take(std::size_t bytes);
  void give_back(std::size_t bytes) { bytes_ -= bytes; }

  // Why no run is admitted now, with `retry_after_ms`; nothing where they are.
  std::optional<Error> refusal() const;
  // Sets the status and waits_for of a run that stands still.
  void describe(v1::Run& run) const;
  std::size_t runs() const { return count_.load(std::memory_order_relaxed); }
  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  const std::size_t bytes_max_;
  std::atomic<std::size_t> bytes_ = 0;
  std::atomic<std::size_t> count_ = 0;  // Of causes_.
  mutable std::mutex mutex_;
  std::map<std::string, Error> causes_;  // By run. Guarded by mutex_.
};

// What a caller is told where its own submission met a store that cannot be written: the code it can act on, and when.
Error not_now(const Error& cause);

}  // namespace weft::engine
