// The timers of one run: those that are started and not yet due, and the timeouts, which count only while their attempt
// works.
//
// Invariants:
//  1. A timer is due once. One that is dropped, or whose run is gone, is never due.
//  2. A timeout counts neither while its attempt waits (for a person, a signal, a time, a turn), nor while the run
//     stands still, nor while no weft ran: what was left of it then is what is left of it afterwards.
//  3. A wall clock that is set back delays nothing: what was due in a second is due in a second.
//
// Loop only, but for touch() and later_us(), which belong to the thread that has the run.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/time.h"
#include "runtime/engine/shard/load_run.h"
#include "runtime/run/command.h"

namespace weft::engine {

class RunTimers {
 public:
  // The run that the timers belong to.
  class Owner {
   public:
    virtual bool stands_still() const = 0;                      // No timeout of the run counts now.
    virtual bool waits(const run::CallKey& attempt) const = 0;  // The attempt's timeout does not count now.
    virtual bool is_away() const = 0;
    // Does it when the run is back; before all else where the timer ends the run.
    virtual void when_back(const run::StartTimer& timer, Task task) = 0;
    virtual void timer_due(const run::StartTimer& timer) = 0;  // The run is here.

   protected:
    ~Owner() = default;
  };

  // All of them outlive it.
  RunTimers(Loop& loop, const Clock& clock, LoadedRun& loaded, Owner& owner)
      : loop_(loop), clock_(clock), loaded_(loaded), owner_(owner) {}
  ~RunTimers();
  RunTimers(const RunTimers&) = delete;
  RunTimers& operator=(const RunTimers&) = delete;

  void start(const run::StartTimer& timer);
  // A timeout of a run that was loaded, whose last event was at `last_at_us`: the time in which it did not count is
  // given back.
  void resume(run::StartTimer timer, std::int64_t last_at_us);
  void take(const run::StartTimer& due);  // It is due, and is not started any more.
  // All that belongs to the attempt; an empty path is the whole run.
  void drop(const run::CallKey& key);

  // Something changed by which timeouts count or not: everywhere, in the groups around `path`, or where events were.
  void adjust_all();
  void adjust_around(const std::string& path);
  void adjust_touched();
  void touch(const std::string& path);  // An event was recorded there.

  bool empty() const { return timers_.empty(); }
  bool moves_run() const;  // One of them lets the run go on by itself, soon.
  // The first time for which a run waits that rests.
  struct Next {
    run::StartTimer timer;
    Duration left;  // From now on.
    Duration at;    // Of the clock that nobody sets; never, where it is a time of the wall clock's.
  };
  std::optional<Next> next_of_resting() const;
  // By path of an attempt with a timeout: by how much it is due later than its events say.
  std::map<std::string, std::int64_t> later_us() const;

 private:
  using TimerKey = std::pair<run::CallKey, int>;
  Duration left(const run::StartTimer& timer) const;
  Duration due_at(const run::StartTimer& timer) const;
  void look_later(const run::StartTimer& timer, Duration at);
  void look(const run::StartTimer& timer, Duration at);
  bool is_current(const run::StartTimer& timer) const;  // Not dropped, put off or set anew.
  void adjust(const run::CallKey& attempt, std::int64_t now_us);
  std::int64_t now_us() const { return clock_.now().time_since_epoch().count(); }

  Loop& loop_;
  const Clock& clock_;
  LoadedRun& loaded_;
  Owner& owner_;
  std::map<TimerKey, Loop::TimerId> timers_;
  std::map<run::CallKey, std::int64_t> stilled_us_;   // Timeouts that stand still: how much of each is left.
  std::map<run::CallKey, std::int64_t> timeouts_us_;  // When each that counts is due.
  std::vector<std::string> touched_;                  // Where events were recorded since adjust_touched().
};

}  // namespace weft::engine
