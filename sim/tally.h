// How often each rule has answered each conversation, for rules that answer only so many times.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

namespace weft::sim {

// Thread-safe.
class Tally {
 public:
  static constexpr std::size_t kEntriesMax = 100'000;  // Over it the older half is forgotten.

  // Whether `rule` may answer `conversation` once more; counts it where so.
  bool take(std::size_t rule, std::uint64_t conversation, std::uint64_t times_max) {
    std::lock_guard lock(mutex_);
    auto [entry, fresh] = entries_.try_emplace({rule, conversation});
    if (fresh) entry->second.order = next_++;
    if (entry->second.count >= times_max) return false;
    ++entry->second.count;
    if (entries_.size() > kEntriesMax) {
      std::erase_if(entries_, [this](const auto& old) { return old.second.order + kEntriesMax / 2 < next_; });
    }
    return true;
  }

 private:
  struct Entry {
    std::uint64_t count = 0;
    std::uint64_t order = 0;
  };

  std::mutex mutex_;
  std::uint64_t next_ = 0;                                          // Guarded by mutex_.
  std::map<std::pair<std::size_t, std::uint64_t>, Entry> entries_;  // Guarded by mutex_.
};

}  // namespace weft::sim
