#include "runtime/engine/shard/evicted_runs.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "runtime/engine/shard/active_run.h"
#include "runtime/engine/shard/shard_core.h"

namespace weft::engine {

void EvictedRuns::evict(ActiveRun& run) {
  const std::string run_id = run.loaded().id;
  Evicted evicted;
  evicted.partition = run.loaded().partition;
  evicted.definition = {run.loaded().run->shared_workflow(), run.loaded().tools};
  const auto next = run.timers.next_of_resting();
  if (next) evicted.due = next->timer;
  if (next) evicted.at = next->at;
  run.rest.tell_summary();
  evicted.permit = run.evict();
  Evicted& kept = evicted_[run_id] = std::move(evicted);
  if (next) reload_at(run_id, kept);
}

Duration EvictedRuns::left(const Evicted& evicted) const {
  const Clock& clock = core_.world.clock;
  return std::min(time_at(evicted.due.due_us) - clock.now(), evicted.at - clock.monotonic());
}

void EvictedRuns::reload_at(const std::string& run_id, Evicted& evicted) {
  evicted.timer = core_.loop.after(std::clamp(left(evicted), Duration(0), kLook), [this, run_id] {
    const auto found = evicted_.find(run_id);
    if (found == evicted_.end()) return;
    if (left(found->second) > Duration(0)) return reload_at(run_id, found->second);
    const run::StartTimer due = found->second.due;
    core_.when_here(run_id, Urgency::kUsual, [this, run_id, due] {
      if (const auto run = core_.find(run_id)) run->driver.fire(due);
    });
  });
}

void EvictedRuns::when_loaded(const std::string& run_id, Urgency urgency, Task task) {
  if (contains(run_id)) reload(run_id);
  const auto loading = loading_.find(run_id);
  if (loading == loading_.end()) return task();
  (urgency == Urgency::kUrgent ? loading->second.urgent : loading->second.mail).push_back(std::move(task));
}

void EvictedRuns::load(Stored stored, admission::Permit permit, OnLoaded ready) {
  const std::string run_id = stored.row.id;
  loading_[run_id].permit = std::move(permit);
  core_.world.reading.run([this, run_id, stored = std::move(stored), ready = std::move(ready)]() mutable {
    core_.loop.post([this, run_id, run = core_.load(stored.row, stored.definition),
                     ready = std::move(ready)]() mutable { loaded(run_id, std::move(run), std::move(ready)); });
  });
}

void EvictedRuns::loaded(const std::string& run_id, Result<std::unique_ptr<LoadedRun>> run, OnLoaded ready) {
  Loading loading = std::move(loading_.extract(run_id).mapped());
  if (!run) {
    ready(std::move(run).error(), std::move(loading.permit));
    for (Task& task : loading.urgent) task();
    for (Task& task : loading.mail) task();
    return;
  }
  const auto active = core_.adopt(*std::move(run));
  if (!active->loaded().begun) active->queue.wait_with(std::move(loading.permit));
  active->presence.receive(std::move(loading.mail));
  ready(active.get(), {});
  // It may be lent by now: what is urgent calls it back.
  for (Task& task : loading.urgent) core_.when_here(run_id, Urgency::kUrgent, std::move(task));
  active->presence.deliver();
}

void EvictedRuns::reload(const std::string& run_id) {
  Evicted evicted = std::move(evicted_.extract(run_id).mapped());
  if (evicted.timer != 0) core_.loop.cancel(evicted.timer);
  Stored stored{.row = {}, .definition = evicted.definition};
  stored.row.id = run_id;
  stored.row.partition = evicted.partition;
  admission::Permit permit = std::move(evicted.permit);
  load(std::move(stored), std::move(permit),
       [this, run_id, evicted = std::move(evicted)](Result<ActiveRun*> run, admission::Permit back) mutable {
         woken(run_id, std::move(evicted), std::move(run), std::move(back));
       });
}

// One that cannot be read now stays evicted, and is tried again.
void EvictedRuns::woken(const std::string& run_id, Evicted evicted, Result<ActiveRun*> run, admission::Permit permit) {
  if (!run && run.error().code == Code::kUnavailable) {
    Evicted again;
    again.partition = evicted.partition;
    again.definition = std::move(evicted.definition);
    again.permit = std::move(permit);
    again.delay = evicted.delay;
    return read_later(run_id, std::move(again), run.error());
  }
  if (!run) {
    const std::string& why = run.error().message;
    spdlog::error("run {} is parked: {}", run_id, why);
    return core_.world.wait_reasons.add(run_id, "somebody who looks at it: " + why, WaitReasons::Counts::kIdle);
  }
  if (evicted.delay == Duration(0)) (*run)->rest.mark_waiting();  // Until something happens.
  if (evicted.delay != Duration(0)) core_.world.wait_reasons.remove(run_id);
  (*run)->resumption.begin();
  (*run)->driver.advance();
}

void EvictedRuns::read_later(const std::string& run_id, Evicted evicted, const Error& cause) {
  if (evicted.delay == Duration(0)) spdlog::warn("run {} stands still: {}", run_id, cause.message);
  core_.world.wait_reasons.add(run_id, waits_for_read(cause), WaitReasons::Counts::kIdle);
  evicted.delay = next_read_delay(evicted.delay);
  evicted.timer = core_.loop.after(evicted.delay, [this, run_id] { core_.begin(run_id); });
  evicted_[run_id] = std::move(evicted);
}

}  // namespace weft::engine
