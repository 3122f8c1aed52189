// Calls that follow a run: Watch and Wait. Runs wake them, one thread serves them.
//
// An engine's thread tells a follower that its run advanced, and must not wait for anything; reading events and
// answering a client takes longer. So a wake-up is only noted, and attended to here.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/time.h"
#include "runtime/engine/api.h"

namespace weft::server {

class Follower : public engine::Watcher {
 public:
  // Called after a wake-up, and every kFollowerTick: answers what there is to answer. `now` is monotonic.
  virtual void attend(Duration now) = 0;
  // The server stops: ends the call, or lets it tell how its run ended.
  virtual void close() = 0;
};

inline constexpr std::size_t kFollowersMax = 4'096;
// Of these, those of one caller.
inline constexpr std::size_t kFollowersOfCallerMax = 3'072;
inline constexpr Duration kFollowerTick{50'000};

// Thread-safe.
class Followers {
 public:
  Followers();
  ~Followers();  // Stops the thread; followers that still live are no longer served.
  Followers(const Followers&) = delete;
  Followers& operator=(const Followers&) = delete;

  // RESOURCE_EXHAUSTED over kFollowersMax, or over `caller`'s share of them; UNAVAILABLE after close().
  Status add(const std::shared_ptr<Follower>& follower, const std::string& caller);
  void remove(const Follower* follower);
  void wake(const Follower* follower);  // Never waits long. One that is not here is ignored.
  void close();                         // Tells every follower to end, and takes no more.

 private:
  struct Place {
    std::weak_ptr<Follower> follower;
    std::string caller;
    bool queued = false;
  };
  void serve();

  std::mutex mutex_;
  std::condition_variable woken_;
  std::map<const Follower*, Place> places_;
  std::map<std::string, std::size_t> by_caller_;  // No zeros.
  std::deque<const Follower*> queue_;             // Each at most once.
  bool closed_ = false;
  bool stopping_ = false;
  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace weft::server
