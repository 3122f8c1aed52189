// The services, one file each.
#pragma once

#include <grpcpp/grpcpp.h>

#include "base/time.h"
#include "runtime/engine/admin.h"
#include "runtime/engine/api.h"
#include "runtime/server/followers.h"
#include "weft/v1/admin.grpc.pb.h"
#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/schedules.grpc.pb.h"
#include "weft/v1/traces.grpc.pb.h"
#include "weft/v1/workflows.grpc.pb.h"

namespace weft::server {

class WorkflowsService final : public v1::Workflows::CallbackService {
 public:
  explicit WorkflowsService(engine::Api& api) : api_(api) {}
  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context, const v1::WorkflowsCheckRequest* request,
                                  v1::WorkflowsCheckResponse* response) override;
  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context, const v1::WorkflowsApplyRequest* request,
                                  v1::WorkflowsApplyResponse* response) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::WorkflowsGetRequest* request,
                                v1::WorkflowsGetResponse* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::WorkflowsListRequest* request,
                                 v1::WorkflowsListResponse* response) override;

 private:
  engine::Api& api_;
};

class RunsService final : public v1::Runs::CallbackService {
 public:
  RunsService(engine::Api& api, Followers& followers, Duration watch_stall_max)
      : api_(api), followers_(followers), watch_stall_max_(watch_stall_max) {}
  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context, const v1::RunsSubmitRequest* request,
                                   v1::RunsSubmitResponse* response) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::RunsGetRequest* request,
                                v1::RunsGetResponse* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::RunsListRequest* request,
                                 v1::RunsListResponse* response) override;
  grpc::ServerWriteReactor<v1::RunsWatchResponse>* Watch(grpc::CallbackServerContext* context,
                                                         const v1::RunsWatchRequest* request) override;
  grpc::ServerUnaryReactor* Wait(grpc::CallbackServerContext* context, const v1::RunsWaitRequest* request,
                                 v1::RunsWaitResponse* response) override;
  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context, const v1::RunsCancelRequest* request,
                                   v1::RunsCancelResponse* response) override;
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const v1::RunsAnswerRequest* request,
                                   v1::RunsAnswerResponse* response) override;
  grpc::ServerUnaryReactor* Signal(grpc::CallbackServerContext* context, const v1::RunsSignalRequest* request,
                                   v1::RunsSignalResponse* response) override;
  grpc::ServerUnaryReactor* Pause(grpc::CallbackServerContext* context, const v1::RunsPauseRequest* request,
                                  v1::RunsPauseResponse* response) override;
  grpc::ServerUnaryReactor* Resume(grpc::CallbackServerContext* context, const v1::RunsResumeRequest* request,
                                   v1::RunsResumeResponse* response) override;
  grpc::ServerUnaryReactor* Retry(grpc::CallbackServerContext* context, const v1::RunsRetryRequest* request,
                                  v1::RunsRetryResponse* response) override;
  grpc::ServerUnaryReactor* Fork(grpc::CallbackServerContext* context, const v1::RunsForkRequest* request,
                                 v1::RunsForkResponse* response) override;
  grpc::ServerUnaryReactor* Resolve(grpc::CallbackServerContext* context, const v1::RunsResolveRequest* request,
                                    v1::RunsResolveResponse* response) override;

 private:
  engine::Api& api_;
  Followers& followers_;
  Duration watch_stall_max_;
};

class TracesService final : public v1::Traces::CallbackService {
 public:
  explicit TracesService(engine::Api& api) : api_(api) {}
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::TracesGetRequest* request,
                                v1::TracesGetResponse* response) override;
  grpc::ServerWriteReactor<v1::TracesGetContentResponse>* GetContent(
      grpc::CallbackServerContext* context, const v1::TracesGetContentRequest* request) override;
  grpc::ServerUnaryReactor* Replay(grpc::CallbackServerContext* context, const v1::TracesReplayRequest* request,
                                   v1::TracesReplayResponse* response) override;

 private:
  engine::Api& api_;
};

class SchedulesService final : public v1::Schedules::CallbackService {
 public:
  explicit SchedulesService(engine::Api& api) : api_(api) {}
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context, const v1::SchedulesListRequest* request,
                                 v1::SchedulesListResponse* response) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::SchedulesGetRequest* request,
                                v1::SchedulesGetResponse* response) override;
  grpc::ServerUnaryReactor* Pause(grpc::CallbackServerContext* context, const v1::SchedulesPauseRequest* request,
                                  v1::SchedulesPauseResponse* response) override;
  grpc::ServerUnaryReactor* Resume(grpc::CallbackServerContext* context, const v1::SchedulesResumeRequest* request,
                                   v1::SchedulesResumeResponse* response) override;
  grpc::ServerUnaryReactor* Trigger(grpc::CallbackServerContext* context, const v1::SchedulesTriggerRequest* request,
                                    v1::SchedulesTriggerResponse* response) override;

 private:
  engine::Api& api_;
};

// On the socket beside the store alone.
class AdminService final : public v1::Admin::CallbackService {
 public:
  explicit AdminService(engine::Api& api) : api_(api) {}
  grpc::ServerUnaryReactor* Backup(grpc::CallbackServerContext* context, const v1::AdminBackupRequest* request,
                                   v1::AdminBackupResponse* response) override;
  grpc::ServerUnaryReactor* Prune(grpc::CallbackServerContext* context, const v1::AdminPruneRequest* request,
                                  v1::AdminPruneResponse* response) override;
  grpc::ServerUnaryReactor* Stats(grpc::CallbackServerContext* context, const v1::AdminStatsRequest* request,
                                  v1::AdminStatsResponse* response) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context, const v1::AdminDrainRequest* request,
                                  v1::AdminDrainResponse* response) override;

 private:
  Result<engine::Admin*> admitted(const grpc::CallbackServerContext& context) const;
  template <class Request, class Response>
  grpc::ServerUnaryReactor* ask(grpc::CallbackServerContext* context, const Request& request, Response* response,
                                void (engine::Admin::*call)(const Request&, engine::Done<Response>));

  engine::Api& api_;
};

// A Watch of one run (watch_call.cpp) and a Wait for one (wait_call.cpp). They own themselves until gRPC is done.
grpc::ServerWriteReactor<v1::RunsWatchResponse>* start_watch(engine::Api& api, Followers& followers, Duration stall_max,
                                                             grpc::CallbackServerContext* context,
                                                             const v1::RunsWatchRequest& request);
grpc::ServerUnaryReactor* start_wait(engine::Api& api, Followers& followers, grpc::CallbackServerContext* context,
                                     const v1::RunsWaitRequest& request, v1::RunsWaitResponse* response);

}  // namespace weft::server
