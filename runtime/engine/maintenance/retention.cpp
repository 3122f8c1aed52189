#include "runtime/engine/maintenance/retention.h"

#include <algorithm>
#include <thread>

namespace weft::engine {
namespace {

constexpr std::size_t kRunsAtOnce = 200;

// The shortest time after which a run may go; nothing where none ever may.
std::optional<Duration> shortest(const Retention& retention, const PruneOrder& order) {
  if (order.older_than) return order.older_than;
  if (!order.workflow.empty()) return retention.of(order.workflow);
  std::optional<Duration> found = retention.otherwise;
  for (const auto& [name, kept] : retention.workflows) {
    if (kept && (!found || *kept < *found)) found = kept;
  }
  return found;
}

}  // namespace

std::optional<Duration> Retention::of(const std::string& workflow) const {
  const auto own = workflows.find(workflow);
  return own == workflows.end() ? otherwise : own->second;
}

bool is_needed(const v1::Run& run) {
  // An open doubt: only its events say what may have been done.
  return run.doubts_open() > 0;
}

Result<Pruned> prune(memory::Maintenance& store, const Retention& retention, const PruneOrder& order,
                     const std::atomic<bool>& stop) {
  Pruned pruned;
  const bool removes = order.mode == PruneOrder::Mode::kRemove;
  if (removes) {
    WEFT_TRY(const memory::Removed rest, store.finish_removals());
    pruned.blobs += rest.blobs;
  }
  const std::optional<Duration> first = shortest(retention, order);
  if (!first) return pruned;
  std::string position;
  do {
    WEFT_TRY(const memory::RunPage page, store.ended(order.now - *first, order.workflow, kRunsAtOnce, position));
    for (const memory::RunRow& row : page.rows) {
      if (stop) return pruned;
      const std::optional<Duration> kept = order.older_than ? order.older_than : retention.of(row.workflow);
      if (!kept || !row.ended_at || *row.ended_at >= order.now - *kept) continue;
      v1::Run run;
      // What cannot be read is left to whoever looks at it.
      if (!run.ParseFromString(row.summary) || is_needed(run)) {
        ++pruned.kept;
        continue;
      }
      ++pruned.runs;
      if (!removes) continue;
      WEFT_TRY(const memory::Removed removed, store.remove(row.id));
      pruned.blobs += removed.blobs;
      if (order.pause > Duration::zero()) std::this_thread::sleep_for(order.pause);
    }
    position = page.next;
  } while (!position.empty());
  if (removes && pruned.runs > 0) {
    WEFT_TRY(const memory::Removed rest, store.finish_removals());
    pruned.blobs += rest.blobs;
  }
  return pruned;
}

}  // namespace weft::engine
