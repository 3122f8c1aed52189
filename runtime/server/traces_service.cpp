#include "runtime/server/services.h"

namespace weft::server {

TracesService::TracesService(Shared& shared) : Methods(shared) {
  engine::Api& api = shared.api;
  add({Access::kOwnRun, Lane::kReads}, engine_of(api), &engine::Api::get_trace);
  add_reader<v1::TracesReplayRequest, v1::TracesReplayResponse>(
      {Access::kAll, Lane::kLong}, [&api](const v1::TracesReplayRequest& request, UnaryCall& call) {
        return api.replay(request, [&call] { return call.is_over(); });
      });
  add_stream<v1::TracesGetContentRequest, v1::TracesGetContentResponse>(
      [&shared](grpc::CallbackServerContext* context, const grpc::ByteBuffer& request) {
        return start_content(shared, context, request);
      });
}

}  // namespace weft::server
