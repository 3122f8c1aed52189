#include "runtime/server/server.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>

#include "runtime/server/address.h"
#include "runtime/server/http_face.h"
#include "runtime/server/services.h"

namespace weft::server {
namespace {

constexpr int kStreamsPerConnectionMax = 1000;
constexpr int kMetadataBytesMax = 16 << 10;

// Linking gRPC's reflection library registers it for every server of the process; this decides for one server.
class ReflectionOption final : public grpc::ServerBuilderOption {
 public:
  explicit ReflectionOption(ServerOptions::Reflection reflection) : reflection_(reflection) {}
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    auto wanted = std::make_unique<grpc::reflection::ProtoServerReflectionPlugin>();
    std::erase_if(*plugins, [&](const auto& plugin) { return plugin->name() == wanted->name(); });
    if (reflection_ == ServerOptions::Reflection::kOn) plugins->push_back(std::move(wanted));
  }

 private:
  ServerOptions::Reflection reflection_;
};

// Files made while this lives are for their owner alone. The mask is the process's, so it lives shortly.
class PrivateFiles {
 public:
  PrivateFiles() : before_(::umask(0077)) {}
  ~PrivateFiles() { ::umask(before_); }
  PrivateFiles(const PrivateFiles&) = delete;
  PrivateFiles& operator=(const PrivateFiles&) = delete;

 private:
  mode_t before_;
};

// The addresses that are free. One that may be left out and is taken is left out.
Result<std::vector<Address>> free_addresses(const std::vector<Listen>& wanted) {
  std::vector<Address> found;
  for (const Listen& listen : wanted) {
    WEFT_TRY(Address address, parse_address(listen.address));
    if (address.kind == Address::Kind::kUnix) {
      WEFT_RETURN_IF_ERROR(clear_dead_socket(address.path));
    } else if (is_taken(address)) {
      if (listen.if_taken == Listen::IfTaken::kLeaveOut) continue;
      return failed_precondition(fmt::format("cannot listen on {}: the port is taken", to_text(address)));
    }
    found.push_back(std::move(address));
  }
  return found;
}

class GrpcServer final : public Server {
 public:
  GrpcServer(engine::Api& api, const ServerOptions& options)
      : api_(api),
        tokens_(options.tokens),
        shared_(api, tokens_, options.watch_stall_max),
        workflows_(shared_),
        runs_(shared_),
        traces_(shared_),
        schedules_(shared_),
        admin_(shared_),
        token_service_(shared_) {}
  ~GrpcServer() override { stop(Duration::zero()); }

  Status listen(const ServerOptions& options) {
    WEFT_TRY(addresses_, free_addresses(options.grpc));
    const bool has_port =
        std::ranges::any_of(addresses_, [](const Address& a) { return a.kind == Address::Kind::kTcp; });
    if (has_port || options.http) {
      WEFT_TRY(const std::string own, tokens_.own());
    }
    WEFT_RETURN_IF_ERROR(listen_grpc(options));
    if (!options.http) return {};
    WEFT_TRY(const Address http, parse_address(options.http->address));
    if (http.kind != Address::Kind::kTcp) return invalid_argument("the HTTP face listens on HOST:PORT only");
    const bool may_leave_out = options.http->if_taken == Listen::IfTaken::kLeaveOut;
    if (may_leave_out && is_taken(http)) {
      http_missing_ = fmt::format("the port {} is taken by another process", to_text(http));
      return {};
    }
    WEFT_TRY(page_, HttpFace::start(http, tokens_, [this] { return api_.admits(); }));
    return {};
  }

  std::vector<std::string> grpc_addresses() const override {
    std::vector<std::string> texts;
    for (const Address& address : addresses_) texts.push_back(to_text(address));
    return texts;
  }
  std::string http_missing() const override { return http_missing_; }
  std::string http_address() const override { return page_ ? page_->address() : std::string(); }

  void set_draining() override {
    if (auto* health = server_ ? server_->GetHealthCheckService() : nullptr) health->SetServingStatus(false);
    if (page_) page_->set_draining();
  }

  void stop(Duration patience) override {
    if (!server_) return;
    set_draining();
    shared_.followers.close();
    server_->Shutdown(std::chrono::system_clock::now() + patience);
    shared_.close();  // What still waits for a thread is answered; what works sees that its call is over.
    server_->Wait();
    server_.reset();
    page_.reset();
    for (const Address& address : addresses_) {
      if (address.kind == Address::Kind::kUnix) ::unlink(address.path.c_str());
    }
  }

 private:
  Status listen_grpc(const ServerOptions& options) {
    capture_parse_faults();
    static std::once_flag health;
    std::call_once(health, [] { grpc::EnableDefaultHealthCheckService(true); });

    grpc::ServerBuilder builder;
    builder.SetOption(std::make_unique<ReflectionOption>(options.reflection));
    builder.SetMaxReceiveMessageSize(static_cast<int>(kMessageBytesMax));
    builder.SetMaxSendMessageSize(static_cast<int>(kMessageBytesMax));
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // Two servers would share a port unnoticed.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               static_cast<int>(kPingEveryMin / std::chrono::milliseconds(1)));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    grpc::ResourceQuota quota("weft");
    quota.Resize(kArrivingBytesMax);
    builder.SetResourceQuota(quota);
    builder.RegisterService(&workflows_);
    builder.RegisterService(&runs_);
    builder.RegisterService(&traces_);
    builder.RegisterService(&schedules_);
    builder.RegisterService(&admin_);
    builder.RegisterService(&token_service_);
    std::vector<int> ports(addresses_.size(), 0);
    for (std::size_t i = 0; i < addresses_.size(); ++i) {
      const bool port = addresses_[i].kind == Address::Kind::kTcp;
      builder.AddListeningPort(to_target(addresses_[i]),
                               port ? port_credentials(tokens_) : grpc::InsecureServerCredentials(), &ports[i]);
    }
    {
      const PrivateFiles mask;
      server_ = builder.BuildAndStart();
    }
    if (!server_) {
      std::string all;
      for (const Address& address : addresses_) all += (all.empty() ? "" : ", ") + to_text(address);
      return failed_precondition(fmt::format("cannot listen on {}", all));
    }
    for (std::size_t i = 0; i < addresses_.size(); ++i) {
      if (addresses_[i].kind == Address::Kind::kTcp) {
        addresses_[i].port = ports[i];
      } else {
        ::chmod(addresses_[i].path.c_str(), S_IRUSR | S_IWUSR);
      }
    }
    return {};
  }

  engine::Api& api_;
  Tokens tokens_;
  Shared shared_;
  WorkflowsService workflows_;
  RunsService runs_;
  TracesService traces_;
  SchedulesService schedules_;
  AdminService admin_;
  TokensService token_service_;
  std::vector<Address> addresses_;
  std::string http_missing_;
  std::unique_ptr<grpc::Server> server_;  // After the services: it ends first.
  std::unique_ptr<HttpFace> page_;
};

}  // namespace

Status check_free(const std::vector<Listen>& wanted) {
  const auto found = free_addresses(wanted);
  return found ? Status() : Status(found.error());
}

Result<std::unique_ptr<Server>> Server::start(engine::Api& api, const ServerOptions& options) {
  auto server = std::make_unique<GrpcServer>(api, options);
  WEFT_RETURN_IF_ERROR(server->listen(options));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace weft::server
