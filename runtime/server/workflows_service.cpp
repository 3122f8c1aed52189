#include "runtime/server/reply.h"
#include "runtime/server/services.h"

namespace weft::server {

grpc::ServerUnaryReactor* WorkflowsService::Check(grpc::CallbackServerContext* context,
                                                  const v1::WorkflowsCheckRequest* request,
                                                  v1::WorkflowsCheckResponse* response) {
  return answered(context, api_.check(*request), response);
}

grpc::ServerUnaryReactor* WorkflowsService::Apply(grpc::CallbackServerContext* context,
                                                  const v1::WorkflowsApplyRequest* request,
                                                  v1::WorkflowsApplyResponse* response) {
  auto* reactor = context->DefaultReactor();
  api_.apply(*request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* WorkflowsService::Get(grpc::CallbackServerContext* context,
                                                const v1::WorkflowsGetRequest* request,
                                                v1::WorkflowsGetResponse* response) {
  return answered(context, api_.get_workflow(*request), response);
}

grpc::ServerUnaryReactor* WorkflowsService::List(grpc::CallbackServerContext* context,
                                                 const v1::WorkflowsListRequest* request,
                                                 v1::WorkflowsListResponse* response) {
  return answered(context, api_.list_workflows(*request), response);
}

}  // namespace weft::server
