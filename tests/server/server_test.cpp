#include "runtime/server/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
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
#include "tests/server/serving.h"
#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/traces.grpc.pb.h"
#include "weft/v1/workflows.grpc.pb.h"

namespace weft::server {
namespace {

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

TEST_CASE("a call whose request the engine lets go of ends with UNAVAILABLE, and the server can stop") {
  FakeApi api;
  const ServerPlace place;
  const auto server = started(api, place.options);
  const auto runs = v1::Runs::NewStub(channel_to(*server));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  v1::RunsSubmitRequest request;
  request.set_workflow("let-go");
  v1::RunsSubmitResponse response;
  const grpc::Status status = runs->Submit(&context, request, &response);
  CHECK(status.error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(status.error_message() == engine::kDropped);
}

TEST_CASE("every call reaches the engine and its answer comes back") {
  FakeApi api;
  api.add_run("run-1");
  const ServerPlace place;
  const auto server = started(api, place.options);
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
  const ServerPlace place;
  const auto server = started(api, place.options);
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
  const ServerPlace place;
  const auto server = started(api, place.options);
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
  const ServerPlace place;
  const auto server = started(api, place.options);
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
  const ServerPlace place;
  const auto server = started(api, place.options);
  const auto traces = v1::Traces::NewStub(channel_to(*server));
  grpc::ClientContext context;
  v1::TracesGetRequest request;
  request.set_run_id("big");
  v1::TracesGetResponse response;
  const Error error = from_grpc(traces->Get(&context, request, &response));
  CHECK(error.code == Code::kResourceExhausted);
  CHECK(error.message.find("67108864 (64 MiB)") != std::string::npos);
}

TEST_CASE("a content of a run comes whole, in pieces of at most 256 KiB, and of no other run") {
  FakeApi api;
  api.add_run("run-1");
  api.add_run("run-2");
  std::string bytes(3'500'000, 'a');
  for (std::size_t i = 0; i < bytes.size(); i += 1000) bytes[i] = static_cast<char>('b' + i / 1000 % 20);
  const std::string name = api.add_content("run-1", bytes);
  const ServerPlace place;
  const auto server = started(api, place.options);
  const auto traces = v1::Traces::NewStub(channel_to(*server));
  v1::TracesGetContentRequest request;
  request.set_sha256(name);
  request.set_run_id("run-1");
  grpc::ClientContext context;
  auto reader = traces->GetContent(&context, request);
  std::string received;
  std::size_t pieces = 0;
  for (v1::TracesGetContentResponse piece; reader->Read(&piece); ++pieces) {
    CHECK(piece.bytes().size() <= (std::size_t{256} << 10));
    received += piece.bytes();
  }
  CHECK(reader->Finish().ok());
  CHECK(pieces == 14);
  CHECK(received == bytes);

  const auto code = [&] {
    grpc::ClientContext wrong;
    auto refused = traces->GetContent(&wrong, request);
    v1::TracesGetContentResponse piece;
    CHECK_FALSE(refused->Read(&piece));
    return refused->Finish().error_code();
  };
  request.set_run_id("run-2");
  CHECK(code() == grpc::StatusCode::NOT_FOUND);
  request.clear_run_id();
  CHECK(code() == grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_CASE("health says SERVING, and NOT_SERVING while the server drains") {
  FakeApi api;
  ServerPlace place;
  place.options.http = Listen{"127.0.0.1:0"};
  const auto server = started(api, place.options);
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
  server->set_draining();
  CHECK(asked() == grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  CHECK(http.Get("/healthz")->status == 200);
  CHECK(http.Get("/readyz")->status == 503);
}

TEST_CASE("reflection is off unless it is asked for") {
  FakeApi api;
  const auto serves_reflection = [&](ServerOptions::Reflection reflection) {
    ServerPlace place;
    place.options.reflection = reflection;
    const auto server = started(api, place.options);
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
  options.tokens = token_files(folder / "weft.db");
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
  options.tokens = token_files(folder / "weft.db");
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

TEST_CASE("a taken port that was asked for is an error, a taken default is done without and said") {
  FakeApi api;
  const TakenPort taken;
  ServerPlace place;
  place.options.grpc.push_back({taken.address()});
  const auto refused = Server::start(api, place.options);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find(taken.address()) != std::string::npos);

  place.options.grpc.pop_back();
  place.options.http = Listen{taken.address(), Listen::IfTaken::kLeaveOut};
  {
    const auto server = started(api, place.options);
    CHECK(server->http_address().empty());
    CHECK(server->http_missing().find(taken.address()) != std::string::npos);
  }
  place.options.http->if_taken = Listen::IfTaken::kFail;
  CHECK_FALSE(Server::start(api, place.options));
}

TEST_CASE("a request that is not UTF-8 is refused with the field's name, and one that is nothing at all in words") {
  FakeApi api;
  const ServerPlace place;
  const auto server = started(api, place.options);
  const auto channel = channel_to(*server);
  const grpc::internal::RpcMethod method("/weft.v1.Runs/Get", grpc::internal::RpcMethod::NORMAL_RPC, channel);
  const auto answer = [&](const std::string& bytes) {
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::ClientContext context;
    return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(channel.get(), method, &context,
                                                                                 request, &response);
  };
  const grpc::Status unreadable = answer("\x0a\x02\xc3\x28");
  CHECK(unreadable.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(unreadable.error_message() == "the field weft.v1.RunsGetRequest.run_id is not UTF-8");
  const grpc::Status cut = answer("\x0a\x7f");
  CHECK(cut.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(cut.error_message() == "the request is no weft.v1.RunsGetRequest");
}

TEST_CASE("folders whose names mean something in a URI have a socket like any other") {
  FakeApi api;
  api.add_run("run-1");
  for (const char* name : {"C#", "what?", "a%20b", "a b", "%", "ü:;@&=+$"}) {
    INFO(name);
    ServerPlace place;
    const std::string folder = place.folder / name;
    std::filesystem::create_directory(folder);
    place.options.grpc.front().address = "unix:" + folder + "/weft.sock";
    const auto server = started(api, place.options);
    CHECK(server->grpc_addresses().front() == "unix:" + folder + "/weft.sock");
    CHECK(std::filesystem::is_socket(folder + "/weft.sock"));
    grpc::ClientContext context;
    v1::RunsListResponse response;
    CHECK(v1::Runs::NewStub(channel_to(*server))->List(&context, {}, &response).ok());
  }
}

TEST_CASE("a client that pings every six seconds without a call is not sent away") {
  FakeApi api;
  const ServerPlace place;
  const auto server = started(api, place.options);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 6'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  const auto channel = grpc::CreateCustomChannel(to_target(*parse_address(server->grpc_addresses().front())),
                                                 grpc::InsecureChannelCredentials(), arguments);
  const auto runs = v1::Runs::NewStub(channel);
  {
    grpc::ClientContext context;
    v1::RunsListResponse response;
    REQUIRE(runs->List(&context, {}, &response).ok());
  }
  // Over it gRPC lets two pings pass, and ends the connection at the third; a state that does not change is waited for.
  CHECK_FALSE(
      channel->WaitForStateChange(GRPC_CHANNEL_READY, std::chrono::system_clock::now() + std::chrono::seconds(26)));
}

}  // namespace weft::server
