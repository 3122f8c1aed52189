#include "runtime/engine/shard/shard_core.h"

#include <utility>

namespace weft::engine {

std::shared_ptr<ActiveRun> ShardCore::find(const std::string& run_id) const {
  const auto found = runs.find(run_id);
  return found == runs.end() ? nullptr : found->second;
}

std::shared_ptr<ActiveRun> ShardCore::add(std::unique_ptr<LoadedRun> run, AppendBatch::Row row) {
  const std::string run_id = run->id;
  return runs[run_id] = std::make_shared<ActiveRun>(*this, std::move(run), row);
}

std::shared_ptr<ActiveRun> ShardCore::adopt(std::unique_ptr<LoadedRun> run) {
  ++world.active_runs;
  auto active = add(std::move(run), AppendBatch::Row::kStored);
  if (!active->loaded().run->ended()) active->rest.tell_summary();
  if (active->loaded().begun) active->queue.enter();
  return active;
}

void ShardCore::when_here(const std::string& run_id, Urgency urgency, Task task) {
  if (const auto run = find(run_id)) return run->presence.when_here(urgency, std::move(task));
  evicted.when_loaded(run_id, urgency, std::move(task));
}

void ShardCore::begin(std::string run_id) {
  loop.post([this, run_id = std::move(run_id)] {
    when_here(run_id, Urgency::kUsual, [this, run_id] {
      const auto run = find(run_id);
      if (run == nullptr) return;
      // Waking it may be all that was missing.
      if (!run->loaded().begun) run->driver.advance();
      run->rest.consider();  // What was woken for nothing is evicted again.
    });
  });
}

Result<std::unique_ptr<LoadedRun>> ShardCore::load(const memory::RunRow& row,
                                                   const history::RunDefinition& definition) {
  const auto mark = world.at(row.id);
  return load_run(world.journal, row, definition,
                  {.contents = contents,
                   .limits = run_limits(world.limits),
                   .epoch = world.claims.epoch(row.partition),
                   .loop_bytes_max = kLoopBytesMax,
                   .loop_units = kLoopUnits,
                   .stopping = stopping});
}

}  // namespace weft::engine
