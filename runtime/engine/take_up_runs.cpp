#include "runtime/engine/take_up_runs.h"

#include <spdlog/spdlog.h>

#include <map>
#include <string>
#include <utility>

#include "runtime/engine/maintenance/crash_loop_guard.h"

namespace weft::engine {
namespace {

Status take_up(const TakeUpWorld& world, const memory::RunRow& row, CrashLoopGuard& crash_guard) {
  WEFT_TRY(const history::RunDefinition definition, world.registry.definition_of(row));
  return world.shard_of(row.partition).recover(row, definition, crash_guard);
}

}  // namespace

Status take_up_runs(const TakeUpWorld& world, memory::Left left) {
  WEFT_TRY(const auto rows, world.journal.unfinished(world.claims.partitions()));
  CrashLoopGuard crash_guard(std::move(left), world.crashes_max, rows.size());
  std::map<std::string, std::string> quarantined;
  for (const memory::RunRow& row : rows) {
    if (auto why = crash_guard.count_unread(row.id, row.last_seq)) quarantined[row.id] = *std::move(why);
  }
  if (world.maintenance != nullptr) WEFT_RETURN_IF_ERROR(world.maintenance->count_crashes(crash_guard.counted()));
  for (const memory::RunRow& row : rows) {
    const auto alone = quarantined.find(row.id);
    const Status taken =
        alone == quarantined.end() ? take_up(world, row, crash_guard) : failed_precondition(alone->second);
    if (taken) continue;
    if (taken.error().code == Code::kUnavailable) {
      world.shard_of(row.partition)
          .recover_later(row, [&registry = world.registry, row] { return registry.definition_of(row); }, taken.error());
      continue;
    }
    spdlog::error("run {} is parked: {}", row.id, taken.error().message);
    world.wait_reasons.add(row.id, "somebody who looks at it: " + taken.error().message, WaitReasons::Counts::kIdle);
  }
  if (world.maintenance != nullptr) WEFT_RETURN_IF_ERROR(world.maintenance->count_crashes(crash_guard.counted()));
  return {};
}

}  // namespace weft::engine
