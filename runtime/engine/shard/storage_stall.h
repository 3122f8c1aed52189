// The stalled runs of an engine: runs whose events could not be written, each with the cause, and the number of bytes
// that wait in memory until the store can be written.
//
// Invariants:
//  1. The bytes that wait are bounded over all runs of the engine: `bytes_max`.
//  2. While a run is stalled no new run is admitted. The appends of stalled runs find out when the store can be written
//     again.
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

class StorageStall {
 public:
  explicit StorageStall(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Marks the run as stalled, or renews the cause.
  void add(const std::string& run_id, const Error& cause);
  void remove(const std::string& run_id);
  // Takes room for events that wait. False, and nothing is taken, where it would exceed the bound.
  bool take(std::size_t bytes);
  void give_back(std::size_t bytes) { bytes_ -= bytes; }

  // Why no new run is admitted, with `retry_after_ms`; nothing where runs are admitted.
  std::optional<Error> refusal() const;
  // Sets the status and waits_for of a stalled run.
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

// The error for a caller whose submission could not be written: a code to act on, and when to try again.
Error not_now(const Error& cause);

}  // namespace weft::engine
