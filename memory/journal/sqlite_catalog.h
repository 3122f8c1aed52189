// What a transaction on an SQLite store writes beside the runs: claims of partitions, workflows, schedules.
#pragma once

#include <vector>

#include "memory/journal/journal.h"
#include "memory/journal/sqlite.h"

namespace weft::memory {

// The journal's thread only, within a transaction. An error: the store failed, and the transaction must be rolled back.
class SqliteCatalog {
 public:
  SqliteCatalog() = default;
  // Prepared statements of the writer's connection, which outlives them.
  static Result<SqliteCatalog> prepare(const Connection& connection);

  Result<std::vector<Claim>> claim_all();
  Result<WorkflowRow> put_workflow(const WorkflowRow& row);
  // The inner status is the caller's answer (a stale epoch); then nothing is written and the transaction goes on.
  Result<Status> put_schedule(const ScheduleRow& row);

 private:
  Statement epoch_;
  Statement next_epoch_;
  Statement claim_;
  Statement workflow_by_hash_;
  Statement workflow_applied_;
  Statement workflow_last_;
  Statement insert_workflow_;
  Statement put_schedule_;
  Statement remove_schedule_;
};

}  // namespace weft::memory
