// What can be read of a store: workflows, schedules, runs, events and contents.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "memory/journal/journal.h"
#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"
#include "weft/v1/schedules.pb.h"
#include "weft/v1/traces.pb.h"
#include "weft/v1/workflows.pb.h"

namespace weft::history {

inline constexpr std::size_t kTracePageBytes = std::size_t{1} << 20;
inline constexpr int kLabelsMax = 64;  // Of one run.

// The run goes on only when a person or another program acts, or never.
inline bool is_at_rest(v1::RunStatus status) { return status >= v1::RUN_STATUS_WAITING; }

// The same requests and answers as over gRPC, served by a running engine and, where none runs, by the store alone
// (make_archive). Queries see what is durable, the caller's own writes included.
// Thread-safe; a call may take milliseconds (SQLite).
class Queries {
 public:
  virtual ~Queries() = default;
  virtual Result<v1::WorkflowsGetResponse> get_workflow(const v1::WorkflowsGetRequest& request) const = 0;
  virtual Result<v1::WorkflowsListResponse> list_workflows(const v1::WorkflowsListRequest& request) const = 0;
  virtual Result<v1::SchedulesListResponse> list_schedules(const v1::SchedulesListRequest& request) const = 0;
  virtual Result<v1::SchedulesGetResponse> get_schedule(const v1::SchedulesGetRequest& request) const = 0;
  virtual Result<v1::RunsGetResponse> get_run(const v1::RunsGetRequest& request) const = 0;
  virtual Result<v1::RunsListResponse> list_runs(const v1::RunsListRequest& request) const = 0;
  virtual Result<v1::TracesGetResponse> get_trace(const v1::TracesGetRequest& request) const = 0;
  // Events from `from_seq` on, about `bytes_max` of them, at least one where there is one.
  virtual Result<std::vector<v1::Event>> events(std::string_view run_id, std::uint64_t from_seq,
                                                std::size_t bytes_max) const = 0;
  virtual Result<std::shared_ptr<const std::string>> content(std::string_view sha256) const = 0;
  // At most `bytes_max` of a content of the run, from `offset` on. `run_id` as of get_run; NOT_FOUND for a content that
  // is not the run's.
  virtual Result<memory::BlobPiece> content_piece(std::string_view run_id, std::string_view sha256,
                                                  std::uint64_t offset, std::size_t bytes_max) const = 0;
};

}  // namespace weft::history
