// Runs that wait and are not in memory: each is loaded again when something comes for it, or when the first time that
// it waits for has come; and runs that are being loaded, with what came for them meanwhile.
//
//   active ──► idle ── evict() ──► evicted ── something comes ──► loading (on the reading pool) ──► active
//
// Loop only.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/result.h"
#include "memory/journal/journal.h"
#include "runtime/admission/admission.h"
#include "runtime/engine/shard/load_run.h"
#include "runtime/engine/shard/shard_world.h"
#include "runtime/run/command.h"

namespace weft::engine {

struct ShardCore;
class ActiveRun;

class EvictedRuns {
 public:
  explicit EvictedRuns(ShardCore& core) : core_(core) {}  // Outlives it.

  // Its events say everything. The run has left the shard afterwards.
  void evict(ActiveRun& run);
  bool contains(const std::string& run_id) const { return evicted_.contains(run_id); }
  bool is_loading(const std::string& run_id) const { return loading_.contains(run_id); }
  // Does `task` when the run has been loaded, which this begins; at once where there is no such run, or it cannot be
  // loaded.
  void when_loaded(const std::string& run_id, Urgency urgency, Task task);

  // What is needed to load a run.
  struct Stored {
    memory::RunRow row;
    history::RunDefinition definition;
  };
  // `ready` is told the run, or why there is none and the permit, before what came meanwhile is done.
  using OnLoaded = std::move_only_function<void(Result<ActiveRun*>, admission::Permit)>;
  void load(Stored stored, admission::Permit permit, OnLoaded ready);

 private:
  struct Evicted {
    std::uint32_t partition = 0;
    history::RunDefinition definition;
    Loop::TimerId timer = 0;   // 0: it waits for no time.
    run::StartTimer due;       // The first time that it waits for.
    Duration at{0};            // When that is, of the clock that nobody sets.
    admission::Permit permit;  // Of one that has not begun.
    Duration delay{0};         // Before it is read again; 0: it could be read.
  };
  struct Loading {
    admission::Permit permit;
    std::list<Task> urgent;
    std::list<Task> mail;
  };
  void reload(const std::string& run_id);
  void reload_at(const std::string& run_id, Evicted& evicted);
  Duration left(const Evicted& evicted) const;
  void loaded(const std::string& run_id, Result<std::unique_ptr<LoadedRun>> run, OnLoaded ready);
  void woken(const std::string& run_id, Evicted evicted, Result<ActiveRun*> run, admission::Permit permit);
  void read_later(const std::string& run_id, Evicted evicted, const Error& cause);

  ShardCore& core_;
  std::map<std::string, Evicted> evicted_;
  std::map<std::string, Loading> loading_;
};

}  // namespace weft::engine
