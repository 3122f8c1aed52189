#include "runtime/server/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpcpp/grpcpp.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "runtime/server/status.h"
#include "tests/folder.h"
#include "tests/server/fake_api.h"
#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/traces.grpc.pb.h"
#include "weft/v1/workflows.grpc.pb.h"

namespace weft::server {
namespace {

ServerOptions on_picked_port() {
  ServerOptions options;
  options.grpc.push_back({"127.0.0.1:0"});
  return options;
}

std::unique_ptr<Server> started(engine::Api& api, const ServerOptions& options = on_picked_port()) {
  auto server = Server::start(api, options);
  if (!server) FAIL(server.error().message);
  return *std::move(server);
}

std::shared_ptr<grpc::Channel> channel_to(const Server& server, int receive_bytes_max = 256 << 20) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(receive_bytes_max);
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomChannel(server.grpc_addresses().front(), grpc::InsecureChannelCredentials(), arguments);
}

// A listening socket on a port of 127.0.0.1 that the kernel picked.
class TakenPort {
 public:
  TakenPort() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&name), size) == 0);
    REQUIRE(::listen(socket_, 1) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&name), &size) == 0);
    port_ = ntohs(name.sin_port);
  }
  ~TakenPort() { ::close(socket_); }
  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }

 private:
  int socket_;
  int port_ = 0;
};

}  // namespace

TEST_CASE("every call reaches the engine and its answer comes back") {
  FakeApi api;
  api.add_run("run-1");
  const auto server = started(api);
  const auto channel = channel_to(*server);
  const auto workflows = v1::Workflows::NewStub(channel);
  const auto runs = v1::Runs::NewStub(channel);
  const auto traces = v1::Traces::NewStub(channel);

  grpc::ClientContext check;
  v1::WorkflowsCheckRequest check_request;
  check_request.mutable_bundle()->set_file("flow.yaml");
  v1::WorkflowsCheckResponse checked;
  REQUIRE(workflows->Check(&check, check_request, &checked).ok());
  CHECK(checked.diagnostics(0).file() == "flow.yaml");

  grpc::ClientContext list;
  v1::WorkflowsListResponse listed;
  REQUIRE(workflows->List(&list, {}, &listed).ok());
  CHECK(listed.workflows(0).name() == "hello");

  grpc::ClientContext submit;
  v1::RunsSubmitRequest submission;
  submission.set_workflow("hello");
  v1::RunsSubmitResponse submitted;
  REQUIRE(runs->Submit(&submit, submission, &submitted).ok());
  CHECK(submitted.run_id() == "run-1");

  grpc::ClientContext cancel;
  v1::RunsCancelRequest cancellation;
  cancellation.set_run_id("run-1");
  v1::RunsCancelResponse cancelled;
  REQUIRE(runs->Cancel(&cancel, cancellation, &cancelled).ok());
  CHECK(cancelled.run().status() == v1::RUN_STATUS_CANCELLED);

  grpc::ClientContext get;
  v1::TracesGetRequest trace_request;
  trace_request.set_run_id("run-1");
  v1::TracesGetResponse trace;
  REQUIRE(traces->Get(&get, trace_request, &trace).ok());
  CHECK(trace.events(0).has_run_ended());
}

TEST_CASE("an error arrives with its code, its sentence and its details") {
  FakeApi api;
  const auto server = started(api);
  const auto channel = channel_to(*server);

  grpc::ClientContext get;
  v1::RunsGetRequest request;
  request.set_run_id("nope");
  v1::RunsGetResponse response;
  const grpc::Status missing = v1::Runs::NewStub(channel)->Get(&get, request, &response);
  CHECK(missing.error_code() == grpc::StatusCode::NOT_FOUND);
  CHECK(missing.error_message() == "there is no run \"nope\"");

  grpc::ClientContext apply;
  v1::WorkflowsApplyResponse applied;
  const Error refused = from_grpc(v1::Workflows::NewStub(channel)->Apply(&apply, {}, &applied));
  CHECK(refused.code == Code::kInvalidArgument);
  CHECK(refused.details == std::vector<Detail>{{"flow.yaml:3:7", "unknown key \"stpes\""}});
}

TEST_CASE("a trace context that comes as a header is taken over, and the request's own wins") {
  FakeApi api;
  const auto server = started(api);
  const auto runs = v1::Runs::NewStub(channel_to(*server));
  const std::string traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  v1::RunsSubmitRequest request;
  v1::RunsSubmitResponse response;
  {
    grpc::ClientContext context;
    context.AddMetadata("traceparent", traceparent);
    REQUIRE(runs->Submit(&context, request, &response).ok());
    CHECK(api.last_submission().traceparent() == traceparent);
  }
  request.set_traceparent("own");
  grpc::ClientContext context;
  context.AddMetadata("traceparent", traceparent);
  REQUIRE(runs->Submit(&context, request, &response).ok());
  CHECK(api.last_submission().traceparent() == "own");
}

TEST_CASE("a message over 64 MiB is refused with RESOURCE_EXHAUSTED and the limit, and one below it is taken") {
  FakeApi api;
  const auto server = started(api);
  const auto runs = v1::Runs::NewStub(channel_to(*server));
  v1::RunsSubmitRequest request;
  v1::RunsSubmitResponse response;
  request.set_input_json(std::string(kMessageBytesMax - 1024, ' '));
  grpc::ClientContext below;
  CHECK(runs->Submit(&below, request, &response).ok());
  request.set_input_json(std::string(kMessageBytesMax + 1, ' '));
  grpc::ClientContext over;
  const grpc::Status status = runs->Submit(&over, request, &response);
  CHECK(status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(status.error_message().find("67108864") != std::string::npos);
}

TEST_CASE("an answer over 64 MiB is refused with RESOURCE_EXHAUSTED and the limit") {
  FakeApi api;
  api.add_run("big");
  for (int i = 0; i < 65; ++i) api.append("big", std::size_t{1} << 20);
  const auto server = started(api);
  const auto traces = v1::Traces::NewStub(channel_to(*server));
  grpc::ClientContext context;
  v1::TracesGetRequest request;
  request.set_run_id("big");
  v1::TracesGetResponse response;
  const Error error = from_grpc(traces->Get(&context, request, &response));
  CHECK(error.code == Code::kResourceExhausted);
  CHECK(error.message.find("67108864 (64 MiB)") != std::string::npos);
}

TEST_CASE("a content comes whole, in pieces of at most 1 MiB") {
  FakeApi api;
  std::string bytes(3'500'000, 'a');
  for (std::size_t i = 0; i < bytes.size(); i += 1000) bytes[i] = static_cast<char>('b' + i / 1000 % 20);
  const std::string name = api.add_content(bytes);
  const auto server = started(api);
  const auto traces = v1::Traces::NewStub(channel_to(*server));
  v1::TracesGetContentRequest request;
  request.set_sha256(name);
  grpc::ClientContext context;
  auto reader = traces->GetContent(&context, request);
  std::string received;
  std::size_t pieces = 0;
  for (v1::TracesGetContentResponse piece; reader->Read(&piece); ++pieces) {
    CHECK(piece.bytes().size() <= (std::size_t{1} << 20));
    received += piece.bytes();
  }
  CHECK(reader->Finish().ok());
  CHECK(pieces == 4);
  CHECK(received == bytes);

  request.set_sha256("short");
  grpc::ClientContext wrong;
  auto refused = traces->GetContent(&wrong, request);
  v1::TracesGetContentResponse piece;
  CHECK_FALSE(refused->Read(&piece));
  CHECK(refused->Finish().error_code() == grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_CASE("health says SERVING, and NOT_SERVING while the server drains") {
  FakeApi api;
  ServerOptions options = on_picked_port();
  options.http = Listen{"127.0.0.1:0"};
  const auto server = started(api, options);
  const auto health = grpc::health::v1::Health::NewStub(channel_to(*server));
  const auto asked = [&] {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckResponse response;
    REQUIRE(health->Check(&context, {}, &response).ok());
    return response.status();
  };
  httplib::Client http("http://" + server->http_address());
  CHECK(asked() == grpc::health::v1::HealthCheckResponse::SERVING);
  CHECK(http.Get("/healthz")->body == "ok\n");
  CHECK(http.Get("/readyz")->status == 200);
  CHECK(http.Get("/other")->status == 404);
  server->set_draining();
  CHECK(asked() == grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  CHECK(http.Get("/healthz")->status == 200);
  CHECK(http.Get("/readyz")->status == 503);
}

TEST_CASE("reflection is off unless it is asked for") {
  FakeApi api;
  const auto serves_reflection = [&](ServerOptions::Reflection reflection) {
    ServerOptions options = on_picked_port();
    options.reflection = reflection;
    const auto server = started(api, options);
    // A call with no message: a method that is not there answers UNIMPLEMENTED, the stream that is there ends well.
    const auto channel = channel_to(*server);
    grpc::internal::RpcMethod method("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                     grpc::internal::RpcMethod::BIDI_STREAMING, channel);
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::Label, v1::Label>> stream(
        grpc::internal::ClientReaderWriterFactory<v1::Label, v1::Label>::Create(channel.get(), method, &context));
    stream->WritesDone();
    return stream->Finish().error_code() != grpc::StatusCode::UNIMPLEMENTED;
  };
  CHECK_FALSE(serves_reflection(ServerOptions::Reflection::kOff));
  CHECK(serves_reflection(ServerOptions::Reflection::kOn));
  CHECK_FALSE(serves_reflection(ServerOptions::Reflection::kOff));
}

TEST_CASE("a unix socket is the owner's alone, and goes with the server") {
  FakeApi api;
  const Folder folder;
  const std::string path = folder / "weft.sock";
  ServerOptions options;
  options.grpc.push_back({"unix:" + path});
  auto server = started(api, options);
  struct stat found{};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
  grpc::ClientContext context;
  v1::RunsListResponse response;
  CHECK(v1::Runs::NewStub(channel_to(*server))->List(&context, {}, &response).ok());
  server->stop(Duration::zero());
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a socket whose owner is dead is replaced, one that answers and a plain file are not") {
  FakeApi api;
  const Folder folder;
  const std::string path = folder / "weft.sock";
  {
    const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    REQUIRE(::bind(dead, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
    ::close(dead);
  }
  ServerOptions options;
  options.grpc.push_back({"unix:" + path});
  const auto server = started(api, options);
  const auto second = Server::start(api, options);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::kFailedPrecondition);
  CHECK(std::filesystem::exists(path));

  const std::string plain = folder / "plain";
  std::ofstream(plain) << "mine";
  options.grpc.front().address = "unix:" + plain;
  CHECK_FALSE(Server::start(api, options));
  CHECK(std::filesystem::exists(plain));
}

TEST_CASE("a taken port that was asked for is an error, a taken default is done without") {
  FakeApi api;
  const TakenPort taken;
  ServerOptions options;
  options.grpc = {{taken.address()}};
  const auto refused = Server::start(api, options);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find(taken.address()) != std::string::npos);

  options.grpc = {{taken.address(), Listen::IfTaken::kLeaveOut}, {"127.0.0.1:0"}};
  options.http = Listen{taken.address(), Listen::IfTaken::kLeaveOut};
  const auto server = started(api, options);
  REQUIRE(server->grpc_addresses().size() == 1);
  CHECK(server->grpc_addresses().front() != taken.address());
  CHECK(server->http_address().empty());

  options.http->if_taken = Listen::IfTaken::kFail;
  CHECK_FALSE(Server::start(api, options));
}

}  // namespace weft::server
