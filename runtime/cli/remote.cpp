// A server as a Target: the one file of the command line that speaks gRPC.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <charconv>
#include <mutex>

#include "runtime/cli/target.h"
#include "runtime/server/server.h"
#include "runtime/server/status.h"
#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/schedules.grpc.pb.h"
#include "weft/v1/traces.grpc.pb.h"
#include "weft/v1/workflows.grpc.pb.h"

namespace weft::cli {
namespace {

// A call that has not been answered by then will not be; waits and watches are not bounded by it.
constexpr std::chrono::seconds kAnswerMax(60);
// One Wait; a longer one is asked again.
constexpr std::int64_t kWaitPieceMs = 30'000;

class Remote final : public Target {
 public:
  explicit Remote(const std::string& address) : address_(address) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(static_cast<int>(server::kMessageBytesMax));
    arguments.SetMaxSendMessageSize(static_cast<int>(server::kMessageBytesMax));
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // What listens is on this machine.
    const auto channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    workflows_ = v1::Workflows::NewStub(channel);
    runs_ = v1::Runs::NewStub(channel);
    traces_ = v1::Traces::NewStub(channel);
    schedules_ = v1::Schedules::NewStub(channel);
  }

  Result<v1::WorkflowsCheckResponse> check(const v1::WorkflowsCheckRequest& request) override {
    return call<v1::WorkflowsCheckResponse>(*workflows_, &v1::Workflows::Stub::Check, request);
  }
  Result<v1::WorkflowsApplyResponse> apply(const v1::WorkflowsApplyRequest& request) override {
    return call<v1::WorkflowsApplyResponse>(*workflows_, &v1::Workflows::Stub::Apply, request);
  }
  Result<v1::WorkflowsGetResponse> get_workflow(const v1::WorkflowsGetRequest& request) override {
    return call<v1::WorkflowsGetResponse>(*workflows_, &v1::Workflows::Stub::Get, request);
  }
  Result<v1::WorkflowsListResponse> list_workflows(const v1::WorkflowsListRequest& request) override {
    return call<v1::WorkflowsListResponse>(*workflows_, &v1::Workflows::Stub::List, request);
  }
  Result<v1::RunsSubmitResponse> submit(const v1::RunsSubmitRequest& request) override {
    return call<v1::RunsSubmitResponse>(*runs_, &v1::Runs::Stub::Submit, request);
  }
  Result<v1::RunsGetResponse> get_run(const v1::RunsGetRequest& request) override {
    return call<v1::RunsGetResponse>(*runs_, &v1::Runs::Stub::Get, request);
  }
  Result<v1::RunsListResponse> list_runs(const v1::RunsListRequest& request) override {
    return call<v1::RunsListResponse>(*runs_, &v1::Runs::Stub::List, request);
  }
  Result<v1::RunsCancelResponse> cancel(const v1::RunsCancelRequest& request) override {
    return call<v1::RunsCancelResponse>(*runs_, &v1::Runs::Stub::Cancel, request);
  }
  Result<v1::RunsAnswerResponse> answer(const v1::RunsAnswerRequest& request) override {
    return call<v1::RunsAnswerResponse>(*runs_, &v1::Runs::Stub::Answer, request);
  }
  Result<v1::RunsSignalResponse> signal(const v1::RunsSignalRequest& request) override {
    return call<v1::RunsSignalResponse>(*runs_, &v1::Runs::Stub::Signal, request);
  }
  Result<v1::RunsPauseResponse> pause(const v1::RunsPauseRequest& request) override {
    return call<v1::RunsPauseResponse>(*runs_, &v1::Runs::Stub::Pause, request);
  }
  Result<v1::RunsResumeResponse> resume(const v1::RunsResumeRequest& request) override {
    return call<v1::RunsResumeResponse>(*runs_, &v1::Runs::Stub::Resume, request);
  }
  Result<v1::RunsRetryResponse> retry(const v1::RunsRetryRequest& request) override {
    return call<v1::RunsRetryResponse>(*runs_, &v1::Runs::Stub::Retry, request);
  }
  Result<v1::RunsForkResponse> fork(const v1::RunsForkRequest& request) override {
    return call<v1::RunsForkResponse>(*runs_, &v1::Runs::Stub::Fork, request);
  }
  Result<v1::TracesReplayResponse> replay(const v1::TracesReplayRequest& request) override {
    return call<v1::TracesReplayResponse>(*traces_, &v1::Traces::Stub::Replay, request);
  }
  Result<v1::RunsResolveResponse> resolve(const v1::RunsResolveRequest& request) override {
    return call<v1::RunsResolveResponse>(*runs_, &v1::Runs::Stub::Resolve, request);
  }
  Result<v1::SchedulesListResponse> list_schedules(const v1::SchedulesListRequest& request) override {
    return call<v1::SchedulesListResponse>(*schedules_, &v1::Schedules::Stub::List, request);
  }
  Result<v1::SchedulesGetResponse> get_schedule(const v1::SchedulesGetRequest& request) override {
    return call<v1::SchedulesGetResponse>(*schedules_, &v1::Schedules::Stub::Get, request);
  }
  Result<v1::SchedulesPauseResponse> pause_schedule(const v1::SchedulesPauseRequest& request) override {
    return call<v1::SchedulesPauseResponse>(*schedules_, &v1::Schedules::Stub::Pause, request);
  }
  Result<v1::SchedulesResumeResponse> resume_schedule(const v1::SchedulesResumeRequest& request) override {
    return call<v1::SchedulesResumeResponse>(*schedules_, &v1::Schedules::Stub::Resume, request);
  }
  Result<v1::SchedulesTriggerResponse> trigger_schedule(const v1::SchedulesTriggerRequest& request) override {
    return call<v1::SchedulesTriggerResponse>(*schedules_, &v1::Schedules::Stub::Trigger, request);
  }
  Result<v1::TracesGetResponse> get_trace(const v1::TracesGetRequest& request) override {
    return call<v1::TracesGetResponse>(*traces_, &v1::Traces::Stub::Get, request);
  }

  Result<v1::RunsWaitResponse> wait(const v1::RunsWaitRequest& request) override {
    v1::RunsWaitRequest piece = request;
    std::int64_t left_ms = request.timeout_ms();
    while (true) {
      piece.set_timeout_ms(left_ms == 0 ? kWaitPieceMs : std::min(left_ms, kWaitPieceMs));
      WEFT_TRY(auto response, call<v1::RunsWaitResponse>(*runs_, &v1::Runs::Stub::Wait, piece));
      const v1::RunStatus status = response.run().status();
      if (!is_under_way(status)) return response;
      if (left_ms == 0) continue;
      left_ms -= piece.timeout_ms();
      if (left_ms <= 0) return response;
    }
  }

  Status watch(const v1::RunsWatchRequest& request, const OnMessage& on_message) override {
    v1::RunsWatchRequest rest = request;
    while (true) {
      const Status status = watch_once(rest, on_message);
      // A watch that was too slow is cut off, with the position to go on from.
      if (status || status.error().code != Code::kResourceExhausted || next_seq(status.error()) == 0) return status;
      rest.set_from_seq(next_seq(status.error()));
    }
  }

  Result<std::string> content(const std::string& run_id, const std::string& sha256) override {
    grpc::ClientContext context;
    v1::TracesGetContentRequest request;
    request.set_run_id(run_id);
    request.set_sha256(sha256);
    auto reader = traces_->GetContent(&context, request);
    std::string bytes;
    for (v1::TracesGetContentResponse piece; reader->Read(&piece);) bytes += piece.bytes();
    const grpc::Status status = reader->Finish();
    if (!status.ok()) return error(status);
    return bytes;
  }

  void interrupt() override {
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
    if (watching_ != nullptr) watching_->TryCancel();
  }

 private:
  Status watch_once(const v1::RunsWatchRequest& request, const OnMessage& on_message) {
    grpc::ClientContext context;
    {
      const std::lock_guard lock(mutex_);
      watching_ = &context;
      if (interrupted_) context.TryCancel();
    }
    auto reader = runs_->Watch(&context, request);
    bool stopped = false;
    for (v1::RunsWatchResponse message; !stopped && reader->Read(&message);) {
      stopped = on_message(message) == Go::kStop;
    }
    if (stopped) context.TryCancel();
    const grpc::Status status = reader->Finish();
    const std::lock_guard lock(mutex_);
    watching_ = nullptr;
    if (stopped || status.ok()) return {};
    return error(status);
  }

  static std::uint64_t next_seq(const Error& error) {
    std::uint64_t seq = 0;
    for (const Detail& detail : error.details) {
      if (detail.key != "next_seq") continue;
      std::from_chars(detail.value.data(), detail.value.data() + detail.value.size(), seq);
    }
    return seq;
  }

  template <class Response, class Stub, class Request>
  Result<Response> call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                        const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kAnswerMax);
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return error(status);
    return response;
  }

  // What gRPC itself says about a connection is of no use to a person.
  Error error(const grpc::Status& status) const {
    Error error = server::from_grpc(status);
    if (error.code == Code::kUnavailable && status.error_details().empty()) {
      error.message = fmt::format("no server answers on {}", address_);
    }
    return error;
  }

  const std::string address_;
  std::unique_ptr<v1::Workflows::Stub> workflows_;
  std::unique_ptr<v1::Runs::Stub> runs_;
  std::unique_ptr<v1::Traces::Stub> traces_;
  std::unique_ptr<v1::Schedules::Stub> schedules_;
  std::mutex mutex_;
  grpc::ClientContext* watching_ = nullptr;  // Guarded by mutex_.
  bool interrupted_ = false;                 // Guarded by mutex_.
};

}  // namespace

std::unique_ptr<Target> connect(const std::string& address) { return std::make_unique<Remote>(address); }

}  // namespace weft::cli
