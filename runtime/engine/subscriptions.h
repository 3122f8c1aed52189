// The watchers of each run. They are notified when the run advances and read its events themselves, so a slow watcher
// costs nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/api.h"

namespace weft::engine {

// Thread-safe.
class Subscriptions {
 public:
  void add(std::string_view run_id, std::weak_ptr<Watcher> watcher);
  void remove(std::string_view run_id, const std::weak_ptr<Watcher>& watcher);
  bool watched() const { return watched_.load(std::memory_order_relaxed) > 0; }
  void advanced(const std::string& run_id, std::uint64_t durable_seq, const std::shared_ptr<const v1::Run>& ended);
  void rests(const std::string& run_id);
  void progressed(const std::string& run_id, const v1::Progress& progress);

 private:
  std::vector<std::shared_ptr<Watcher>> watchers_of(const std::string& run_id);
  std::mutex mutex_;
  std::map<std::string, std::vector<std::weak_ptr<Watcher>>, std::less<>> watchers_;  // Guarded by mutex_.
  std::atomic<std::size_t> watched_ = 0;                                              // Runs in watchers_.
};

}  // namespace weft::engine
