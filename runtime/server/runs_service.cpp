#include "runtime/server/services.h"

namespace weft::server {
namespace {

// A token that reads its own runs alone sees no others in a list; a page may then hold fewer than it could.
Result<v1::RunsListResponse> list(const engine::Api& api, const v1::RunsListRequest& request, const Caller& caller) {
  WEFT_TRY(v1::RunsListResponse response, api.list_runs(request));
  auto& runs = *response.mutable_runs();
  runs.erase(std::remove_if(runs.begin(), runs.end(), [&](const v1::Run& run) { return !is_own(caller, run); }),
             runs.end());
  return response;
}

}  // namespace

RunsService::RunsService(Shared& shared) : Methods(shared) {
  engine::Api& api = shared.api;
  add_handler<v1::RunsSubmitRequest, v1::RunsSubmitResponse>(
      {Access::kSubmit, Lane::kAtOnce},
      [&api](v1::RunsSubmitRequest& request, UnaryCall& call, engine::Reply<v1::RunsSubmitResponse> done) {
        // W3C Trace Context comes as a header from clients that know nothing of weft's field.
        if (request.traceparent().empty()) request.set_traceparent(call.header("traceparent"));
        api.submit(request, std::move(done));
      });
  add_reader<v1::RunsListRequest, v1::RunsListResponse>(
      {Access::kList, Lane::kReads},
      [&api](const v1::RunsListRequest& request, UnaryCall& call) { return list(api, request, call.caller()); });
  add_stream<v1::RunsWatchRequest, v1::RunsWatchResponse>(
      [&shared](grpc::CallbackServerContext* context, const grpc::ByteBuffer& request) {
        return start_watch(shared, context, request);
      });
  add_handler<v1::RunsWaitRequest, v1::RunsWaitResponse>(
      {Access::kOwnRun, Lane::kAtOnce},
      [&shared](const v1::RunsWaitRequest& request, UnaryCall& call, engine::Reply<v1::RunsWaitResponse> done) {
        start_wait(shared, request, call, std::move(done));
      });
  const auto engine = engine_of(api);
  add({Access::kOwnRun, Lane::kReads}, engine, &engine::Api::get_run);
  add({Access::kAll, Lane::kAtOnce}, engine, &engine::Api::cancel);
  add({Access::kAll, Lane::kAtOnce}, engine, &engine::Api::resolve);
  add({Access::kAll, Lane::kAtOnce}, engine, &engine::Api::answer);
  add({Access::kAll, Lane::kAtOnce}, engine, &engine::Api::signal);
  add({Access::kAll, Lane::kAtOnce}, engine, &engine::Api::pause);
  add({Access::kAll, Lane::kAtOnce}, engine, &engine::Api::resume);
  // They read and check a run's past, or a definition, before they hand over.
  add({Access::kAll, Lane::kLong}, engine, &engine::Api::retry);
  add({Access::kAll, Lane::kLong}, engine, &engine::Api::fork);
}

}  // namespace weft::server
