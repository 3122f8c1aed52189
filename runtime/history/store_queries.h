// Queries answered from a store, the same whether an engine runs on it or not.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "memory/journal/journal.h"
#include "runtime/history/queries.h"
#include "runtime/history/summaries.h"

namespace weft::history {

// Sets the status and waits_for of a run that has not ended, where it waits for something. Thread-safe.
using LiveStatus = std::function<void(v1::Run& run)>;

// Thread-safe. The reader and the summaries outlive it.
class StoreQueries : public Queries {
 public:
  static constexpr std::uint32_t kPageSize = 50;
  static constexpr std::uint32_t kPageSizeMax = 1'000;
  static constexpr int kFilterPartsMax = kLabelsMax;  // Labels, and statuses, of one filter.

  StoreQueries(const memory::Reader& reader, LiveStatus live_status, const Clock& clock, Summaries& summaries)
      : reader_(reader), live_status_(std::move(live_status)), clock_(clock), summaries_(summaries) {}

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
  Result<memory::BlobPiece> content_piece(std::string_view run_id, std::string_view sha256, std::uint64_t offset,
                                          std::size_t bytes_max) const override;

  // The run as its row has it, with its live status. The sums over its events are there only once it has ended.
  Result<v1::Run> outline(const memory::RunRow& row) const;

 private:
  Result<v1::Run> describe(const memory::RunRow& row) const;
  const memory::Reader& reader_;
  const LiveStatus live_status_;
  const Clock& clock_;
  Summaries& summaries_;
};

// The queries of a store on which no engine runs.
std::unique_ptr<Queries> make_archive(std::unique_ptr<memory::Reader> reader);

}  // namespace weft::history
