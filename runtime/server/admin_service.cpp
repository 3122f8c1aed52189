#include "runtime/engine/admin.h"
#include "runtime/server/reply.h"
#include "runtime/server/services.h"

namespace weft::server {

// What an operator may do, other users of the machine may not: the socket is the owner's alone, a port is not.
Result<engine::Admin*> AdminService::admitted(const grpc::CallbackServerContext& context) const {
  if (!std::string_view(context.peer()).starts_with("unix:")) {
    return permission_denied(
        "Admin is answered on the socket beside the store alone, since a port does not ask who calls");
  }
  engine::Admin* admin = api_.admin();
  if (admin == nullptr) return unimplemented("this engine's store needs no care");
  return admin;
}

template <class Request, class Response>
grpc::ServerUnaryReactor* AdminService::ask(grpc::CallbackServerContext* context, const Request& request,
                                            Response* response,
                                            void (engine::Admin::*call)(const Request&, engine::Done<Response>)) {
  auto admin = admitted(*context);
  if (!admin) return answered(context, Result<Response>(std::move(admin).error()), response);
  auto* reactor = context->DefaultReactor();
  ((*admin)->*call)(request, answer_later(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::Backup(grpc::CallbackServerContext* context,
                                               const v1::AdminBackupRequest* request,
                                               v1::AdminBackupResponse* response) {
  return ask(context, *request, response, &engine::Admin::backup);
}

grpc::ServerUnaryReactor* AdminService::Prune(grpc::CallbackServerContext* context,
                                              const v1::AdminPruneRequest* request, v1::AdminPruneResponse* response) {
  return ask(context, *request, response, &engine::Admin::prune);
}

grpc::ServerUnaryReactor* AdminService::Drain(grpc::CallbackServerContext* context,
                                              const v1::AdminDrainRequest* request, v1::AdminDrainResponse* response) {
  return ask(context, *request, response, &engine::Admin::drain);
}

grpc::ServerUnaryReactor* AdminService::Stats(grpc::CallbackServerContext* context, const v1::AdminStatsRequest*,
                                              v1::AdminStatsResponse* response) {
  auto admin = admitted(*context);
  if (!admin) return answered(context, Result<v1::AdminStatsResponse>(std::move(admin).error()), response);
  return answered(context, (*admin)->stats(), response);
}

}  // namespace weft::server
