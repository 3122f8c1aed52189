// The services, one file each: what each method reaches, where its work is done, and what it asks of the engine.
#pragma once

#include <grpcpp/grpcpp.h>

#include "runtime/engine/maintenance/admin.h"
#include "runtime/server/calls.h"
#include "runtime/server/methods.h"
#include "runtime/server/token_requests.h"

namespace weft::server {

// What answers the rows of the engine's own methods.
inline auto engine_of(engine::Api& api) {
  return [&api]() -> Result<engine::Api*> { return &api; };
}

class WorkflowsService final : public Methods {
 public:
  explicit WorkflowsService(Shared& shared);
};

class RunsService final : public Methods {
 public:
  explicit RunsService(Shared& shared);
};

class TracesService final : public Methods {
 public:
  explicit TracesService(Shared& shared);
};

class SchedulesService final : public Methods {
 public:
  explicit SchedulesService(Shared& shared);
};

// On the socket beside the store alone.
class AdminService final : public Methods {
 public:
  explicit AdminService(Shared& shared);
};

// On the socket beside the store alone.
class TokensService final : public Methods {
 public:
  explicit TokensService(Shared& shared);

 private:
  TokenRequests requests_;
};

// A Watch of one run (watch_call.cpp) and a content in pieces (content_call.cpp). They own themselves until gRPC is
// done.
grpc::ServerWriteReactor<v1::RunsWatchResponse>* start_watch(Shared& shared, grpc::CallbackServerContext* context,
                                                             const grpc::ByteBuffer& request);
grpc::ServerWriteReactor<v1::TracesGetContentResponse>* start_content(Shared& shared,
                                                                      grpc::CallbackServerContext* context,
                                                                      const grpc::ByteBuffer& request);
// A Wait for a run (wait_call.cpp), answered with `done`.
void start_wait(Shared& shared, const v1::RunsWaitRequest& request, UnaryCall& call,
                engine::Reply<v1::RunsWaitResponse> done);

}  // namespace weft::server
