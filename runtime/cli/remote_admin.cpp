#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <chrono>

#include "runtime/cli/admin.h"
#include "runtime/server/status.h"
#include "weft/v1/admin.grpc.pb.h"

namespace weft::cli {
namespace {

// A large store on a slow disk takes its time.
constexpr std::chrono::hours kAnswerMax(6);

class RemoteAdmin final : public AdminTarget {
 public:
  explicit RemoteAdmin(const std::string& address) : address_(address) {
    admin_ = v1::Admin::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  }

  Result<v1::AdminBackupResponse> backup(const v1::AdminBackupRequest& request) override {
    return call<v1::AdminBackupResponse>(&v1::Admin::Stub::Backup, request);
  }
  Result<v1::AdminStatsResponse> stats() override {
    return call<v1::AdminStatsResponse>(&v1::Admin::Stub::Stats, v1::AdminStatsRequest());
  }
  Result<v1::AdminDrainResponse> drain(const v1::AdminDrainRequest& request) override {
    return call<v1::AdminDrainResponse>(&v1::Admin::Stub::Drain, request);
  }
  Result<v1::AdminPruneResponse> prune(const v1::AdminPruneRequest& request) override {
    return call<v1::AdminPruneResponse>(&v1::Admin::Stub::Prune, request);
  }

 private:
  template <class Response, class Request>
  Result<Response> call(grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                        const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kAnswerMax);
    Response response;
    const grpc::Status status = (admin_.get()->*method)(&context, request, &response);
    if (status.ok()) return response;
    Error error = server::from_grpc(status);
    if (error.code == Code::kUnavailable && status.error_details().empty()) {
      error.message = fmt::format("no server answers on {}", address_);
    }
    return error;
  }

  const std::string address_;
  std::unique_ptr<v1::Admin::Stub> admin_;
};

}  // namespace

std::unique_ptr<AdminTarget> connect_admin(const std::string& address) {
  return std::make_unique<RemoteAdmin>(address);
}

}  // namespace weft::cli
