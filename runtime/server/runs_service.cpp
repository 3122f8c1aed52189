#include "runtime/server/reply.h"
#include "runtime/server/services.h"

namespace weft::server {

grpc::ServerUnaryReactor* RunsService::Submit(grpc::CallbackServerContext* context,
                                              const v1::RunsSubmitRequest* request, v1::RunsSubmitResponse* response) {
  auto* reactor = context->DefaultReactor();
  // W3C Trace Context comes as a header from clients that know nothing of weft's field.
  const auto header = context->client_metadata().find("traceparent");
  if (request->traceparent().empty() && header != context->client_metadata().end()) {
    v1::RunsSubmitRequest traced = *request;
    traced.set_traceparent(std::string(header->second.data(), header->second.size()));
    api_.submit(traced, answer_later(reactor, response));
  } else {
    api_.submit(*request, answer_later(reactor, response));
  }
  return reactor;
}

grpc::ServerUnaryReactor* RunsService::Get(grpc::CallbackServerContext* context, const v1::RunsGetRequest* request,
                                           v1::RunsGetResponse* response) {
  return answered(context, api_.get_run(*request), response);
}

grpc::ServerUnaryReactor* RunsService::List(grpc::CallbackServerContext* context, const v1::RunsListRequest* request,
                                            v1::RunsListResponse* response) {
  return answered(context, api_.list_runs(*request), response);
}

grpc::ServerWriteReactor<v1::RunsWatchResponse>* RunsService::Watch(grpc::CallbackServerContext* context,
                                                                    const v1::RunsWatchRequest* request) {
  return start_watch(api_, followers_, watch_stall_max_, context, *request);
}

grpc::ServerUnaryReactor* RunsService::Wait(grpc::CallbackServerContext* context, const v1::RunsWaitRequest* request,
                                            v1::RunsWaitResponse* response) {
  return start_wait(api_, followers_, context, *request, response);
}

grpc::ServerUnaryReactor* RunsService::Cancel(grpc::CallbackServerContext* context,
                                              const v1::RunsCancelRequest* request, v1::RunsCancelResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.cancel(*request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* RunsService::Resolve(grpc::CallbackServerContext* context,
                                               const v1::RunsResolveRequest* request,
                                               v1::RunsResolveResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.resolve(*request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* RunsService::Answer(grpc::CallbackServerContext* context,
                                              const v1::RunsAnswerRequest* request, v1::RunsAnswerResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.answer(*request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* RunsService::Signal(grpc::CallbackServerContext* context,
                                              const v1::RunsSignalRequest* request, v1::RunsSignalResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.signal(*request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* RunsService::Retry(grpc::CallbackServerContext* context, const v1::RunsRetryRequest* request,
                                             v1::RunsRetryResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.retry(*request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* RunsService::Fork(grpc::CallbackServerContext* context, const v1::RunsForkRequest* request,
                                            v1::RunsForkResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.fork(*request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* RunsService::Pause(grpc::CallbackServerContext* context, const v1::RunsPauseRequest* request,
                                             v1::RunsPauseResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.pause(*request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* RunsService::Resume(grpc::CallbackServerContext* context,
                                              const v1::RunsResumeRequest* request, v1::RunsResumeResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.resume(*request, answer_later(reactor, response));
  return reactor;
}

}  // namespace weft::server
