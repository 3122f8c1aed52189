// Readings of a store, the same whether an engine runs on it or not.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "memory/journal.h"
#include "runtime/engine/api.h"

namespace weft::engine {

// Says of a run that has not ended how it stands: sets its status and waits_for where nothing moves it. Thread-safe.
using Standing = std::function<void(v1::Run& run)>;

// Thread-safe. The reader outlives it.
class StoreReading : public Reading {
 public:
  static constexpr std::uint32_t kPageSize = 50;
  static constexpr std::uint32_t kPageSizeMax = 1'000;
  static constexpr int kFilterPartsMax = kLabelsMax;  // Labels, and statuses, of one filter.

  StoreReading(const memory::Reader& reader, Standing standing, const Clock& clock)
      : reader_(reader), standing_(std::move(standing)), clock_(clock) {}

  Result<v1::WorkflowsGetResponse> get_workflow(const v1::WorkflowsGetRequest& request) const override;
  Result<v1::WorkflowsListResponse> list_workflows(const v1::WorkflowsListRequest& request) const override;
  Result<v1::SchedulesListResponse> list_schedules(const v1::SchedulesListRequest& request) const override;
  Result<v1::SchedulesGetResponse> get_schedule(const v1::SchedulesGetRequest& request) const override;
  Result<v1::RunsGetResponse> get_run(const v1::RunsGetRequest& request) const override;
  Result<v1::RunsListResponse> list_runs(const v1::RunsListRequest& request) const override;
  Result<v1::TracesGetResponse> get_trace(const v1::TracesGetRequest& request) const override;
  Result<std::vector<v1::Event>> events(std::string_view run_id, std::uint64_t from_seq,
                                        std::size_t bytes_max) const override;
  Result<std::shared_ptr<const std::string>> content(std::string_view sha256) const override;

  // As its row has it, and how it stands now; what its events add up to is there once it has ended.
  Result<v1::Run> outline(const memory::RunRow& row) const;

 private:
  Result<v1::Run> describe(const memory::RunRow& row) const;
  const memory::Reader& reader_;
  const Standing standing_;
  const Clock& clock_;
};

}  // namespace weft::engine
