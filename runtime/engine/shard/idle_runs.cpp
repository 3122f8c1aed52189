#include "runtime/engine/shard/idle_runs.h"

#include "runtime/engine/shard/active_run.h"
#include "runtime/engine/shard/shard_core.h"

namespace weft::engine {
namespace {

// So long a run that waits stays in memory.
constexpr Duration kIdle{5'000'000};

}  // namespace

void IdleRuns::add(ActiveRun& run, Duration since, std::size_t bytes) {
  bytes_ += bytes;
  idle_.emplace_back(since, run.loaded().id);
  evict_some();
}

void IdleRuns::evict_some() {
  const Duration now = core_.world.clock.monotonic();
  while (!idle_.empty()) {
    const auto [since, run_id] = idle_.front();
    const auto run = core_.find(run_id);
    const bool idle = run != nullptr && run->rest.idle_since() == since;
    if (idle && now - since < kIdle && bytes_ <= core_.world.limits.idle_bytes_max) break;
    idle_.pop_front();
    if (idle) core_.evicted.evict(*run);
  }
  if (idle_.empty() || std::exchange(timer_set_, true)) return;
  core_.loop.after(idle_.front().first + kIdle - now, [this] {
    timer_set_ = false;
    evict_some();
  });
}

}  // namespace weft::engine
