// What the runs of one shard share: the loop, the clients, the map of runs, and the places where a run is that is not
// at hand.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/http.h"
#include "base/loop.h"
#include "runtime/engine/effects/prefix_cache.h"
#include "runtime/engine/effects/tool_executor.h"
#include "runtime/engine/shard/active_run.h"
#include "runtime/engine/shard/evicted_runs.h"
#include "runtime/engine/shard/idle_runs.h"
#include "runtime/engine/shard/run_line.h"
#include "runtime/engine/shard/shard_world.h"
#include "runtime/engine/shard/stalled_runs.h"
#include "runtime/history/content_store.h"
#include "runtime/model/client.h"

namespace weft::engine {

// Loop only, but for load(), begin() and `stopping`.
struct ShardCore {
  explicit ShardCore(const ShardWorld& of) : world(of) {}

  std::shared_ptr<ActiveRun> find(const std::string& run_id) const;  // Null where it is not in memory.
  std::shared_ptr<ActiveRun> add(std::unique_ptr<LoadedRun> run, AppendBatch::Row row);
  // A run that was loaded: it counts among the active runs from now on.
  std::shared_ptr<ActiveRun> adopt(std::unique_ptr<LoadedRun> run);
  // Does `task` with the run, once it is at hand and its turn has come; it finds none where there is none.
  void when_here(const std::string& run_id, Urgency urgency, Task task);
  // Thread-safe: the turn of a run has come that had not begun, or it is tried again.
  void begin(std::string run_id);
  // On any thread but the loop's: the run as it is to go on.
  Result<std::unique_ptr<LoadedRun>> load(const memory::RunRow& row, const history::RunDefinition& definition);

  const ShardWorld world;
  Loop loop;
  HttpClient http{loop};
  model::Client client{http};
  history::ContentCache contents{world.journal.urgent()};
  PrefixCache prefixes;
  ToolExecutor tools{world.tools, world.tool_threads, loop,
                     http,        world.secrets,      [this] { return world.known_secrets.mask(); }};
  StalledRuns stalled{loop};
  RunLine line{loop};
  IdleRuns idle{*this};
  EvictedRuns evicted{*this};
  std::atomic<bool> stopping = false;
  std::unordered_map<std::string, std::shared_ptr<ActiveRun>> runs;  // Last: they use the rest.
};

}  // namespace weft::engine
