// The places of requests in work, of which there are only so many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <utility>

namespace weft::sim {

// At most `max` at once. Thread-safe.
class Places {
 public:
  explicit Places(std::size_t max) : max_(max) {}
  bool take() {
    std::lock_guard lock(mutex_);
    if (taken_ == max_) return false;
    most_ = std::max(most_, ++taken_);
    return true;
  }
  void give_back() {
    std::lock_guard lock(mutex_);
    --taken_;
  }
  std::pair<std::size_t, std::size_t> taken_and_most() const {
    std::lock_guard lock(mutex_);
    return {taken_, most_};
  }
  std::size_t max() const { return max_; }

 private:
  const std::size_t max_;
  mutable std::mutex mutex_;
  std::size_t taken_ = 0;  // Guarded by mutex_.
  std::size_t most_ = 0;   // Guarded by mutex_.
};

}  // namespace weft::sim
