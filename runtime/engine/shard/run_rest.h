// Whether a run waits, what for (in words, for whoever looks), and whether it is idle: it waits and is evicted soon.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

struct ShardCore;
class ActiveRun;

// Loop only, but for activate(), which does nothing where the run is lent: what waits is not lent.
class RunRest {
 public:
  RunRest(ShardCore& core, ActiveRun& run) : core_(core), run_(run) {}  // Both outlive it.

  // Where nothing but somebody's word moves the run: says so to whoever looks, and lets it fall idle. The run may be
  // gone afterwards.
  void consider();
  void activate();          // Something was recorded.
  void consider_summary();  // So that who asks for the run does not read all of it. REQUIRES: all is durable.
  void tell_summary();
  // The run has a reason to wait that others see. True where it had one.
  bool mark_waiting() { return std::exchange(waiting_, true); }
  void leave();  // The run leaves the shard: it is not counted any more.
  std::optional<Duration> idle_since() const { return idle_since_; }

 private:
  bool is_moving(std::size_t in_doubt) const;
  std::size_t answers_in_doubt() const;
  void say_what_for(std::size_t in_doubt);
  void park(v1::RunStatus status, std::string waits_for, std::size_t in_doubt);
  void become_idle(std::size_t in_doubt);
  void leave_idle();

  ShardCore& core_;
  ActiveRun& run_;
  bool waiting_ = false;
  std::optional<Duration> idle_since_;  // Of the clock that nobody sets. An idle run is not among the active ones.
  std::size_t idle_bytes_ = 0;          // Taken of idle_bytes_max.
  std::uint64_t told_seq_ = 0;          // Of the summary that readers were last given.
};

}  // namespace weft::engine
