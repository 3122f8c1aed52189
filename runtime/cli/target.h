// What a command talks to: a server, or a store at rest. Both answer alike; a store at rest refuses what needs an
// engine.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/cli/json_view.h"
#include "runtime/cli/place.h"
#include "weft/v1/runs.pb.h"
#include "weft/v1/schedules.pb.h"
#include "weft/v1/traces.pb.h"
#include "weft/v1/workflows.pb.h"

namespace weft::cli {

enum class Go : std::uint8_t { kOn, kStop };
using OnMessage = std::function<Go(const v1::RunsWatchResponse& message)>;

// Whether the engine that has the run moves it.
inline bool is_under_way(v1::RunStatus status) {
  return status == v1::RUN_STATUS_QUEUED || status == v1::RUN_STATUS_RUNNING;
}

// Thread-safe. Calls block until they are answered.
class Target {
 public:
  virtual ~Target() = default;
  virtual Result<v1::WorkflowsCheckResponse> check(const v1::WorkflowsCheckRequest& request) = 0;
  virtual Result<v1::WorkflowsApplyResponse> apply(const v1::WorkflowsApplyRequest& request) = 0;
  virtual Result<v1::WorkflowsGetResponse> get_workflow(const v1::WorkflowsGetRequest& request) = 0;
  virtual Result<v1::WorkflowsListResponse> list_workflows(const v1::WorkflowsListRequest& request) = 0;
  virtual Result<v1::RunsSubmitResponse> submit(const v1::RunsSubmitRequest& request) = 0;
  virtual Result<v1::RunsGetResponse> get_run(const v1::RunsGetRequest& request) = 0;
  virtual Result<v1::RunsListResponse> list_runs(const v1::RunsListRequest& request) = 0;
  virtual Result<v1::RunsCancelResponse> cancel(const v1::RunsCancelRequest& request) = 0;
  virtual Result<v1::RunsAnswerResponse> answer(const v1::RunsAnswerRequest& request) = 0;
  virtual Result<v1::RunsSignalResponse> signal(const v1::RunsSignalRequest& request) = 0;
  virtual Result<v1::RunsPauseResponse> pause(const v1::RunsPauseRequest& request) = 0;
  virtual Result<v1::RunsResumeResponse> resume(const v1::RunsResumeRequest& request) = 0;
  virtual Result<v1::SchedulesListResponse> list_schedules(const v1::SchedulesListRequest& request) = 0;
  virtual Result<v1::SchedulesGetResponse> get_schedule(const v1::SchedulesGetRequest& request) = 0;
  virtual Result<v1::SchedulesPauseResponse> pause_schedule(const v1::SchedulesPauseRequest& request) = 0;
  virtual Result<v1::SchedulesResumeResponse> resume_schedule(const v1::SchedulesResumeRequest& request) = 0;
  virtual Result<v1::SchedulesTriggerResponse> trigger_schedule(const v1::SchedulesTriggerRequest& request) = 0;
  virtual Result<v1::RunsRetryResponse> retry(const v1::RunsRetryRequest& request) = 0;
  virtual Result<v1::RunsForkResponse> fork(const v1::RunsForkRequest& request) = 0;
  virtual Result<v1::TracesReplayResponse> replay(const v1::TracesReplayRequest& request) = 0;
  virtual Result<v1::RunsResolveResponse> resolve(const v1::RunsResolveRequest& request) = 0;
  // The run as it is when it has ended, needs somebody, or `timeout_ms` is over.
  virtual Result<v1::RunsWaitResponse> wait(const v1::RunsWaitRequest& request) = 0;
  // Calls `on_message` for each message, in order, until the run has ended, `on_message` says so, or interrupt().
  virtual Status watch(const v1::RunsWatchRequest& request, const OnMessage& on_message) = 0;
  virtual Result<v1::TracesGetResponse> get_trace(const v1::TracesGetRequest& request) = 0;
  virtual Result<std::string> content(const std::string& run_id, const std::string& sha256) = 0;
  // Ends watch() from another thread: it returns CANCELLED.
  virtual void interrupt() = 0;

  // Every event of a run, page by page.
  Status for_each_event(const std::string& run_id, std::uint64_t from_seq,
                        const std::function<void(const v1::Event& event)>& on_event);
  FetchContent fetch(const std::string& run_id);
};

// Over gRPC: "unix:PATH" or "HOST:PORT". Connects with the first call.
std::unique_ptr<Target> connect(const std::string& address);
// Says how a store comes to be.
Error no_store(const std::string& store);
// The store alone, read-only; takes no lock. NOT_FOUND where there is none.
Result<std::unique_ptr<Target>> open_archive(const std::string& store);

// The server that was named, the engine that runs on the store, or the store at rest.
Result<std::unique_ptr<Target>> open_for_reading(const Place& place);
// The same, but for a store at rest: UNAVAILABLE with the sentence that starts an engine.
Result<std::unique_ptr<Target>> open_engine(const Place& place);

}  // namespace weft::cli
