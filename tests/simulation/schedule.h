// What happens next, of everything in a simulated world: one queue, in virtual time, in an order that the seed makes.
//
// The stand-ins for Loop, HttpClient and SystemClock (loop.cpp, http.cpp, clock.cpp) are linked instead of base/'s own.
// The engine builds them without saying for which world, so the world that is at work is attached to its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "base/loop.h"
#include "base/time.h"
#include "random.h"

namespace weft::simulation {

// Whose tasks they are: a loop, a client, a disk; what is gone takes its tasks along.
using Owner = std::uint64_t;
using EventId = std::uint64_t;

class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : random(seed) {}

  Random random;

  Owner new_owner() { return ++last_owner_; }
  EventId after(Owner owner, Duration delay, Task task);
  void cancel(EventId event);
  void purge(Owner owner);
  // False where nothing is left to happen.
  bool run_next();

  Duration now() const { return now_; }
  std::uint64_t happened() const { return happened_; }
  std::uint64_t fingerprint() const { return fingerprint_; }
  // Of a schedule that differs, the fingerprint differs.
  void note(std::string_view what);

  // A delay between `low` and `high` microseconds, more often short than long.
  Duration between(std::int64_t low, std::int64_t high);

 private:
  struct Due {
    Duration at;
    EventId id;
    auto operator<=>(const Due&) const = default;
  };
  struct Entry {
    Owner owner = 0;
    Task task;
  };
  Duration now_{0};
  Owner last_owner_ = 0;
  EventId last_event_ = 0;
  std::uint64_t happened_ = 0;
  std::uint64_t fingerprint_ = 0;
  std::map<Due, Entry> queue_;
  std::unordered_map<EventId, Duration> due_of_;
};

}  // namespace weft::simulation
