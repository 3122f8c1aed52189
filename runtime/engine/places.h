// Places for calls that may not run beside each other: so many at a time for each key, first come, first served.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace weft::engine {

// Thread-safe. Outlives its places.
class Places {
 public:
  // One place; given to the next one who waits when it goes.
  class Place {
   public:
    Place() = default;
    Place(Places& places, std::string key) : places_(&places), key_(std::move(key)) {}
    Place(Place&& other) noexcept : places_(std::exchange(other.places_, nullptr)), key_(std::move(other.key_)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(places_, other.places_);
      std::swap(key_, other.key_);
      return *this;
    }
    ~Place() {
      if (places_ != nullptr) places_->give_back(key_);
    }

   private:
    Places* places_ = nullptr;
    std::string key_;
  };
  // Called on the thread on which a place became free: it only passes the place on.
  using OnPlace = std::move_only_function<void(Place)>;

  // A place at once, or `on_place` later.
  std::optional<Place> take(const std::string& key, std::uint32_t limit, OnPlace on_place) {
    const std::lock_guard lock(mutex_);
    Queue& queue = queues_[key];
    if (queue.taken < limit && queue.waiting.empty()) {
      ++queue.taken;
      return Place(*this, key);
    }
    queue.waiting.push_back(std::move(on_place));
    return std::nullopt;
  }

 private:
  struct Queue {
    std::uint32_t taken = 0;
    std::deque<OnPlace> waiting;
  };

  void give_back(const std::string& key) {
    OnPlace next;
    {
      const std::lock_guard lock(mutex_);
      const auto found = queues_.find(key);
      if (found->second.waiting.empty()) {
        if (--found->second.taken == 0) queues_.erase(found);
        return;
      }
      next = std::move(found->second.waiting.front());
      found->second.waiting.pop_front();
    }
    next(Place(*this, key));
  }

  std::mutex mutex_;
  std::map<std::string, Queue> queues_;  // By key. Guarded by mutex_.
};

}  // namespace weft::engine
