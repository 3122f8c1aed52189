#include "memory/journal/sqlite_catalog.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace weft::memory {

Result<SqliteCatalog> SqliteCatalog::prepare(const Connection& connection) {
  SqliteCatalog catalog;
  const std::pair<Statement*, std::string_view> all[] = {
      {&catalog.epoch_, "SELECT epoch FROM partitions WHERE id = ?"},
      {&catalog.next_epoch_, "SELECT coalesce(max(epoch), 0) + 1 FROM partitions"},
      {&catalog.claim_,
       "INSERT INTO partitions (id, epoch) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch"},
      {&catalog.workflow_by_hash_, "SELECT key, name, version, bundle, summary FROM workflows WHERE hash = ?"},
      {&catalog.workflow_applied_, "UPDATE workflows SET applied = ?, applied_at = ? WHERE key = ?"},
      {&catalog.workflow_last_,
       "SELECT coalesce(max(applied), 0), coalesce(max(version), 0) FROM workflows WHERE name = ?"},
      {&catalog.put_schedule_, "INSERT OR REPLACE INTO schedules (name, state) VALUES (?, ?)"},
      {&catalog.remove_schedule_, "DELETE FROM schedules WHERE name = ?"},
      {&catalog.insert_workflow_,
       "INSERT INTO workflows (hash, name, version, applied, applied_at, summary, bundle) VALUES (?, ?, ?, ?, ?, ?, "
       "?)"},
  };
  for (const auto& [statement, sql] : all) {
    WEFT_TRY(*statement, connection.prepare(sql));
  }
  return catalog;
}

Result<WorkflowRow> SqliteCatalog::put_workflow(const WorkflowRow& row) {
  WorkflowRow stored = row;
  std::int64_t key = 0;
  {
    Use use(workflow_by_hash_);
    WEFT_TRY(const bool found, use.text(row.hash).step());
    if (found) {
      key = use.integer_at(0);
      stored.name = use.string_at(1);
      stored.version = use.unsigned_at(2);
      stored.bundle = use.string_at(3);
      stored.summary = use.string_at(4);
    }
  }
  std::uint64_t applied = 0;
  {
    Use use(workflow_last_);
    WEFT_RETURN_IF_ERROR(use.text(stored.name).step());
    applied = use.unsigned_at(0) + 1;
    if (key == 0) stored.version = use.unsigned_at(1) + 1;
  }
  if (key != 0) {
    Use use(workflow_applied_);
    WEFT_RETURN_IF_ERROR(
        use.unsigned_integer(applied).integer(row.applied_at.time_since_epoch().count()).integer(key).run());
    return stored;
  }
  Use use(insert_workflow_);
  use.text(stored.hash).text(stored.name).unsigned_integer(stored.version).unsigned_integer(applied);
  WEFT_RETURN_IF_ERROR(
      use.integer(row.applied_at.time_since_epoch().count()).blob(stored.summary).blob(stored.bundle).run());
  return stored;
}

Result<Status> SqliteCatalog::put_schedule(const ScheduleRow& row) {
  {
    Use use(epoch_);
    WEFT_TRY(const bool claimed, use.integer(0).step());
    if (!claimed || use.unsigned_at(0) != row.epoch)
      return Status(aborted(fmt::format("schedules have another owner than that of epoch {}", row.epoch)));
  }
  if (row.state.empty()) {
    Use use(remove_schedule_);
    WEFT_RETURN_IF_ERROR(use.text(row.name).run());
    return Status();
  }
  Use use(put_schedule_);
  WEFT_RETURN_IF_ERROR(use.text(row.name).blob(row.state).run());
  return Status();
}

Result<std::vector<Claim>> SqliteCatalog::claim_all() {
  Epoch epoch = 0;
  {
    Use use(next_epoch_);
    WEFT_RETURN_IF_ERROR(use.step());
    epoch = use.unsigned_at(0);
  }
  std::vector<Claim> claims;
  claims.reserve(kPartitions);
  for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
    Use use(claim_);
    WEFT_RETURN_IF_ERROR(use.integer(partition).unsigned_integer(epoch).run());
    claims.push_back({partition, epoch});
  }
  return claims;
}

}  // namespace weft::memory
