// From what the store holds of a run to the run in memory: its last snapshot and the events behind it, or all of its
// events.
//
// Blocks on the store, so it is called on a pool's thread, never on a shard's loop. Knows no shard, starts nothing:
// what of the run goes on, run::Run::outstanding() says.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "memory/journal/journal.h"
#include "runtime/history/content_store.h"
#include "runtime/history/conversations.h"
#include "runtime/history/run_tools.h"
#include "runtime/run/run.h"
#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

// What the events of a run say of the time that its timeouts have used up.
struct TimerPast {
  struct Attempt {
    std::int64_t begun_us = 0;
    std::int64_t last_us = 0;      // Its last event, or from when on the run went on.
    std::int64_t in_queue_us = 0;  // How long its calls waited for their turn.
  };
  // Time that does not count toward the timeouts of the step instance at `path` and of the groups around it; toward
  // none of the run where the path is empty.
  struct Pause {
    std::string path;
    std::int64_t at_us = 0;  // Its end.
    std::int64_t span_us = 0;
  };
  std::map<std::string, Attempt> attempts;  // By path.
  std::vector<Pause> pauses;
};

// A run in memory: its state, and what is folded from the same events beside it. One thread at a time: the one that has
// the run (docs/architecture.md, Threads).
struct LoadedRun {
  LoadedRun(history::ContentCache& cache, std::string run_id, std::uint32_t partition_of_run)
      : id(std::move(run_id)), partition(partition_of_run), contents(cache) {}
  LoadedRun(const LoadedRun&) = delete;  // `run` borrows `contents`.
  LoadedRun& operator=(const LoadedRun&) = delete;

  std::string id;
  std::uint32_t partition = 0;
  history::ContentStore contents;
  std::shared_ptr<const history::RunTools> tools;  // That it was begun with; outlives `run`.
  std::unique_ptr<run::Run> run;
  v1::Run summary;  // As lists and answers show it.
  history::Conversations conversations;
  std::string model;             // That answers in place of the workflow's; empty: none does.
  bool begun = false;            // Otherwise it waits for its turn.
  bool may_wait = false;         // Something of it has waited, or been in doubt, or it was paused.
  std::uint64_t got_on_seq = 0;  // The last event that shows that it got on.
  memory::Epoch epoch = 0;       // Of its last event, where it was loaded.
  std::size_t input_bytes = 0;
  std::size_t unsaved_bytes = 0;   // Of events since the last snapshot.
  std::size_t snapshot_bytes = 0;  // Of that; 0: there is none.
  TimerPast timer_past;

  void note(const v1::Event& event);  // What is remembered of an event beside state, summary and conversations.
  void trim();                        // Forgets conversations of agents that are not at work.
};

bool makes_wait(const v1::Event& event);  // After these a run may stand still; most runs never see one.

struct LoadOptions {
  history::ContentCache& contents;
  run::Limits limits;
  memory::Epoch epoch = 0;            // Of who loads it. A run of an earlier owner is taken up.
  std::size_t loop_bytes_max = 0;     // Of contents that are read for what is decidable at once; longer ones later.
  std::uint64_t loop_units = 0;       // What deciding that may cost; the rest is decided when the run goes on.
  const std::atomic<bool>& stopping;  // Gives up with UNAVAILABLE.
};

// The run as it is to go on. UNAVAILABLE where the store cannot be read now; DATA_LOSS where its events are not a
// run's.
Result<std::unique_ptr<LoadedRun>> load_run(const memory::Journal& journal, const memory::RunRow& row,
                                            const history::RunDefinition& definition, const LoadOptions& options);

}  // namespace weft::engine
