// A store at rest as a Target.
#include <fmt/format.h>

#include "memory/journal.h"
#include "runtime/cli/target.h"
#include "runtime/engine/engine.h"

namespace weft::cli {
namespace {

constexpr std::size_t kPageBytes = std::size_t{1} << 20;

class Archive final : public Target {
 public:
  Archive(std::string store, std::unique_ptr<engine::Reading> reading)
      : store_(std::move(store)), reading_(std::move(reading)) {}

  Result<v1::WorkflowsCheckResponse> check(const v1::WorkflowsCheckRequest&) override { return no_engine(); }
  Result<v1::WorkflowsApplyResponse> apply(const v1::WorkflowsApplyRequest&) override { return no_engine(); }
  Result<v1::RunsSubmitResponse> submit(const v1::RunsSubmitRequest&) override { return no_engine(); }
  Result<v1::RunsCancelResponse> cancel(const v1::RunsCancelRequest&) override { return no_engine(); }
  Result<v1::RunsAnswerResponse> answer(const v1::RunsAnswerRequest&) override { return no_engine(); }
  Result<v1::RunsSignalResponse> signal(const v1::RunsSignalRequest&) override { return no_engine(); }
  Result<v1::RunsPauseResponse> pause(const v1::RunsPauseRequest&) override { return no_engine(); }
  Result<v1::RunsResumeResponse> resume(const v1::RunsResumeRequest&) override { return no_engine(); }
  Result<v1::SchedulesPauseResponse> pause_schedule(const v1::SchedulesPauseRequest&) override { return no_engine(); }
  Result<v1::SchedulesResumeResponse> resume_schedule(const v1::SchedulesResumeRequest&) override {
    return no_engine();
  }
  Result<v1::SchedulesTriggerResponse> trigger_schedule(const v1::SchedulesTriggerRequest&) override {
    return no_engine();
  }
  Result<v1::SchedulesListResponse> list_schedules(const v1::SchedulesListRequest& request) override {
    return reading_->list_schedules(request);
  }
  Result<v1::SchedulesGetResponse> get_schedule(const v1::SchedulesGetRequest& request) override {
    return reading_->get_schedule(request);
  }
  Result<v1::RunsRetryResponse> retry(const v1::RunsRetryRequest&) override { return no_engine(); }
  Result<v1::RunsForkResponse> fork(const v1::RunsForkRequest&) override { return no_engine(); }
  Result<v1::TracesReplayResponse> replay(const v1::TracesReplayRequest&) override { return no_engine(); }
  Result<v1::RunsResolveResponse> resolve(const v1::RunsResolveRequest&) override { return no_engine(); }
  Result<v1::WorkflowsGetResponse> get_workflow(const v1::WorkflowsGetRequest& request) override {
    return reading_->get_workflow(request);
  }
  Result<v1::WorkflowsListResponse> list_workflows(const v1::WorkflowsListRequest& request) override {
    return reading_->list_workflows(request);
  }
  Result<v1::RunsGetResponse> get_run(const v1::RunsGetRequest& request) override { return reading_->get_run(request); }
  Result<v1::RunsListResponse> list_runs(const v1::RunsListRequest& request) override {
    return reading_->list_runs(request);
  }
  Result<v1::TracesGetResponse> get_trace(const v1::TracesGetRequest& request) override {
    return reading_->get_trace(request);
  }

  Result<v1::RunsWaitResponse> wait(const v1::RunsWaitRequest& request) override {
    WEFT_TRY(auto run, find(request.run_id()));
    if (run.ended_at_us() == 0) return stands_still(run);
    v1::RunsWaitResponse response;
    *response.mutable_run() = std::move(run);
    return response;
  }

  Status watch(const v1::RunsWatchRequest& request, const OnMessage& on_message) override {
    WEFT_TRY(const auto run, find(request.run_id()));
    v1::RunsWatchResponse message;
    std::uint64_t next = std::max<std::uint64_t>(1, request.from_seq());
    while (next <= run.last_seq()) {
      WEFT_TRY(const auto page, reading_->events(run.id(), next, kPageBytes));
      if (page.empty()) break;
      for (const auto& event : page) {
        *message.mutable_event() = event;
        next = event.seq() + 1;
        if (on_message(message) == Go::kStop) return {};
      }
    }
    if (run.ended_at_us() == 0) return stands_still(run);
    *message.mutable_ended() = run;
    on_message(message);
    return {};
  }

  Result<std::string> content(const std::string&, const std::string& sha256) override {
    WEFT_TRY(const auto bytes, reading_->content(sha256));
    return *bytes;
  }

  void interrupt() override {}

 private:
  Error no_engine() const { return unavailable(fmt::format("no engine runs on {}; `weft serve` starts one", store_)); }
  Error stands_still(const v1::Run& run) const {
    return unavailable(
        fmt::format("run {} has not ended, and no engine runs on {}; `weft serve` lets it go on", run.id(), store_));
  }
  Result<v1::Run> find(const std::string& run_id) const {
    v1::RunsGetRequest get;
    get.set_run_id(run_id);
    WEFT_TRY(auto found, reading_->get_run(get));
    return std::move(*found.mutable_run());
  }

  std::string store_;
  std::unique_ptr<engine::Reading> reading_;
};

}  // namespace

Result<std::unique_ptr<Target>> open_archive(const std::string& store) {
  auto reader = memory::open_sqlite_reader(store);
  if (!reader && reader.error().code == Code::kNotFound) return no_store(store);
  if (!reader) return std::move(reader).error();
  return std::make_unique<Archive>(store, engine::make_archive(*std::move(reader)));
}

}  // namespace weft::cli
