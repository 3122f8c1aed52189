#include "runtime/server/followers.h"

#include <fmt/format.h>

#include <vector>

namespace weft::server {

Followers::Followers() : thread_([this] { serve(); }) {}

Followers::~Followers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_one();
  thread_.join();
}

Status Followers::add(const std::shared_ptr<Follower>& follower, const std::string& caller) {
  const std::lock_guard lock(mutex_);
  if (closed_) return unavailable("the server is stopping");
  if (places_.size() >= kFollowersMax) {
    return resource_exhausted(
               fmt::format("{} calls follow runs or read contents already: the most that a server serves",
                           kFollowersMax))
        .with("limit", "followers_max");
  }
  const auto own = by_caller_.find(caller);
  if (own != by_caller_.end() && own->second >= kFollowersOfCallerMax) {
    return resource_exhausted(fmt::format("{} calls of this caller follow runs or read contents already: the most that "
                                          "a server serves of one",
                                          kFollowersOfCallerMax))
        .with("limit", "followers_of_caller_max");
  }
  ++by_caller_[caller];
  places_[follower.get()] = {follower, caller, false};
  woken_.notify_one();
  return {};
}

void Followers::remove(const Follower* follower) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(follower);
  if (found == places_.end()) return;
  const auto own = by_caller_.find(found->second.caller);
  if (--own->second == 0) by_caller_.erase(own);
  places_.erase(found);
}

void Followers::wake(const Follower* follower) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(follower);
  if (found == places_.end() || found->second.queued) return;
  found->second.queued = true;
  queue_.push_back(follower);
  woken_.notify_one();
}

void Followers::close() {
  std::vector<std::shared_ptr<Follower>> all;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const auto& [key, place] : places_) {
      if (auto follower = place.follower.lock()) all.push_back(std::move(follower));
    }
  }
  for (const auto& follower : all) follower->close();
}

void Followers::serve() {
  const SystemClock clock;
  Duration next_tick = clock.monotonic() + kFollowerTick;
  std::vector<std::shared_ptr<Follower>> due;
  while (true) {
    due.clear();
    {
      std::unique_lock lock(mutex_);
      const auto has_work = [this] { return stopping_ || !queue_.empty(); };
      if (places_.empty()) {
        woken_.wait(lock, [&] { return has_work() || !places_.empty(); });
      } else {
        woken_.wait_for(lock, next_tick - clock.monotonic(), has_work);
      }
      if (stopping_) return;
      const bool tick = clock.monotonic() >= next_tick;
      if (tick) next_tick = clock.monotonic() + kFollowerTick;
      const auto call = [&](Place& place) {
        place.queued = false;
        if (auto follower = place.follower.lock()) due.push_back(std::move(follower));
      };
      if (tick) {
        for (auto& [key, place] : places_) call(place);
      } else {
        for (const Follower* key : queue_) {
          if (const auto found = places_.find(key); found != places_.end()) call(found->second);
        }
      }
      queue_.clear();
    }
    const Duration now = clock.monotonic();
    for (const auto& follower : due) follower->attend(now);
  }
}

}  // namespace weft::server
