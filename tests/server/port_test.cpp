// What a port asks for: a token, and a scope that reaches the call.
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "runtime/server/status.h"
#include "tests/server/serving.h"
#include "weft/v1/admin.grpc.pb.h"
#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/schedules.grpc.pb.h"
#include "weft/v1/tokens.grpc.pb.h"
#include "weft/v1/traces.grpc.pb.h"
#include "weft/v1/workflows.grpc.pb.h"

namespace weft::server {
namespace {

// A server on a socket and on a port, and tokens for it.
struct Door {
  Door() {
    api.add_run("somebody's");
    place.options.grpc.push_back({"127.0.0.1:0"});
    server = started(api, place.options);
    channel = channel_to(server->grpc_addresses().back());
    own = *tokens.own();
    all = *tokens.make("operator", "all", now);
    submit = *tokens.make("ci", "submit:nightly,hello", now);
    other = *tokens.make("other", "submit:hello", now);
  }

  // What a call of this method says to this authorization; the request is empty.
  grpc::Status ask(const std::string& method, const std::string& authorization,
                   const std::shared_ptr<grpc::Channel>& over = nullptr, const std::string& request = "") {
    const auto to = over ? over : channel;
    const grpc::internal::RpcMethod rpc(method.c_str(), grpc::internal::RpcMethod::NORMAL_RPC, to);
    grpc::ClientContext context;
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
    const grpc::Slice slice(request);
    const grpc::ByteBuffer bytes(&slice, 1);
    grpc::ByteBuffer response;
    return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(to.get(), rpc, &context, bytes,
                                                                                 &response);
  }
  template <class Request>
  grpc::Status ask(const std::string& method, const std::string& token, const Request& request) {
    return ask(method, "Bearer " + token, nullptr, request.SerializeAsString());
  }

  FakeApi api;
  ServerPlace place;
  const Time now{Duration(1'800'000'000'000'000)};
  Tokens tokens{place.options.tokens};
  std::unique_ptr<Server> server;
  std::shared_ptr<grpc::Channel> channel;
  std::string own, all, submit, other;
};

// Every method of every service, as the .proto files have them.
std::vector<std::string> all_methods() {
  std::vector<std::string> methods;
  for (const char* name : {"Workflows", "Runs", "Traces", "Schedules", "Admin", "Tokens"}) {
    const auto* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(std::string("weft.v1.") + name);
    REQUIRE(service != nullptr);
    for (int i = 0; i < service->method_count(); ++i)
      methods.push_back("/" + service->full_name() + "/" + service->method(i)->name());
  }
  return methods;
}

}  // namespace

TEST_CASE("every method is there, and on a port none is without a token") {
  Door door;
  const auto socket = channel_to(*door.server);
  for (const std::string& method : all_methods()) {
    INFO(method);
    const grpc::Status on_socket = door.ask(method, "", socket);
    CHECK((on_socket.error_code() != grpc::StatusCode::UNIMPLEMENTED ||
           on_socket.error_message().find("not here") != std::string::npos ||
           on_socket.error_message().find("needs no care") != std::string::npos));
    for (const std::string& authorization :
         {std::string(), std::string("Bearer "), std::string("Bearer weft_00"), "Basic " + door.own, door.own,
          "Bearer " + door.own + " ", "Bearer  " + door.own}) {
      INFO(authorization);
      const grpc::Status status = door.ask(method, authorization);
      CHECK(status.error_code() == grpc::StatusCode::UNAUTHENTICATED);
      CHECK(status.error_message().find("authorization: Bearer TOKEN") != std::string::npos);
    }
  }
  CHECK(door.ask("/weft.v1.Runs/Unheard", "").error_code() == grpc::StatusCode::UNAUTHENTICATED);
}

TEST_CASE("health is free on a port") {
  Door door;
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckResponse response;
  REQUIRE(grpc::health::v1::Health::NewStub(door.channel)->Check(&context, {}, &response).ok());
  CHECK(response.status() == grpc::health::v1::HealthCheckResponse::SERVING);
}

TEST_CASE("on a port reflection takes a token, on the socket none") {
  FakeApi api;
  ServerPlace place;
  place.options.grpc.push_back({"127.0.0.1:0"});
  place.options.reflection = ServerOptions::Reflection::kOn;
  const auto server = started(api, place.options);
  const std::string own = *Tokens(place.options.tokens).own();
  const auto code = [&](const std::string& address, const std::string& token) {
    const auto channel = channel_to(address);
    const grpc::internal::RpcMethod method("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                           grpc::internal::RpcMethod::BIDI_STREAMING, channel);
    grpc::ClientContext context;
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    std::unique_ptr<grpc::ClientReaderWriter<v1::Label, v1::Label>> stream(
        grpc::internal::ClientReaderWriterFactory<v1::Label, v1::Label>::Create(channel.get(), method, &context));
    stream->WritesDone();
    return stream->Finish().error_code();
  };
  CHECK(code(server->grpc_addresses().back(), "") == grpc::StatusCode::UNAUTHENTICATED);
  CHECK(code(server->grpc_addresses().back(), own) == grpc::StatusCode::OK);
  CHECK(code(server->grpc_addresses().front(), "") == grpc::StatusCode::OK);
}

TEST_CASE("the store's own token and one of scope all reach everything but what is the socket's alone") {
  Door door;
  for (const std::string& token : {door.own, door.all}) {
    for (const std::string& method : all_methods()) {
      INFO(method);
      const grpc::Status status = door.ask(method, "Bearer " + token);
      const bool socket_alone =
          method.find("/weft.v1.Admin/") != std::string::npos || method.find("/weft.v1.Tokens/") != std::string::npos;
      CHECK((status.error_code() == grpc::StatusCode::PERMISSION_DENIED) == socket_alone);
      if (socket_alone) CHECK(status.error_message().find("on the socket") != std::string::npos);
      CHECK(status.error_code() != grpc::StatusCode::UNAUTHENTICATED);
    }
  }
}

TEST_CASE("a token that submits reaches its workflows and the runs that it started, and nothing else") {
  Door door;
  const std::map<std::string, int> reached = {{"/weft.v1.Runs/Submit", 0},      {"/weft.v1.Runs/Get", 0},
                                              {"/weft.v1.Runs/List", 0},        {"/weft.v1.Runs/Wait", 0},
                                              {"/weft.v1.Runs/Watch", 0},       {"/weft.v1.Traces/Get", 0},
                                              {"/weft.v1.Traces/GetContent", 0}};
  for (const std::string& method : all_methods()) {
    if (reached.contains(method)) continue;
    INFO(method);
    CHECK(door.ask(method, "Bearer " + door.submit).error_code() == grpc::StatusCode::PERMISSION_DENIED);
  }

  v1::RunsSubmitRequest request;
  request.set_workflow("secret");
  CHECK(door.ask("/weft.v1.Runs/Submit", door.submit, request).error_code() == grpc::StatusCode::PERMISSION_DENIED);
  request.set_workflow("nightly");
  request.set_workflow_hash("secret-1");  // The hash decides, whatever the name says.
  CHECK(door.ask("/weft.v1.Runs/Submit", door.submit, request).error_code() == grpc::StatusCode::PERMISSION_DENIED);
  request.set_workflow_hash("nightly-1");
  CHECK(door.ask("/weft.v1.Runs/Submit", door.submit, request).ok());

  for (const char* run : {"run-1", "somebody's", "nobody's"}) {
    INFO(run);
    v1::RunsGetRequest get;
    get.set_run_id(run);
    v1::TracesGetRequest trace;
    trace.set_run_id(run);
    v1::RunsWaitRequest wait;
    wait.set_run_id(run);
    wait.set_timeout_ms(1);
    const auto expected = std::string_view(run) == "run-1" ? grpc::StatusCode::OK : grpc::StatusCode::NOT_FOUND;
    CHECK(door.ask("/weft.v1.Runs/Get", door.submit, get).error_code() == expected);
    CHECK(door.ask("/weft.v1.Traces/Get", door.submit, trace).error_code() == expected);
    CHECK(door.ask("/weft.v1.Runs/Wait", door.submit, wait).error_code() == expected);
    CHECK(door.ask("/weft.v1.Runs/Get", door.other, get).error_code() == grpc::StatusCode::NOT_FOUND);
  }
  const auto listed = [&](const std::string& token) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    v1::RunsListResponse response;
    REQUIRE(v1::Runs::NewStub(door.channel)->List(&context, {}, &response).ok());
    return response.runs_size();
  };
  CHECK(listed(door.submit) == 1);
  CHECK(listed(door.other) == 0);
  CHECK(listed(door.all) == 2);
}

TEST_CASE("a stream of a run that the token did not start is NOT_FOUND") {
  Door door;
  const std::string name = door.api.add_content("somebody's", "private");
  const auto watch = [&](const std::string& token) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
    v1::RunsWatchRequest request;
    request.set_run_id("somebody's");
    auto reader = v1::Runs::NewStub(door.channel)->Watch(&context, request);
    v1::RunsWatchResponse message;
    while (reader->Read(&message)) {
    }
    return reader->Finish().error_code();
  };
  CHECK(watch(door.submit) == grpc::StatusCode::NOT_FOUND);
  CHECK(watch(door.all) == grpc::StatusCode::DEADLINE_EXCEEDED);
  const auto content = [&](const std::string& token) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    v1::TracesGetContentRequest request;
    request.set_run_id("somebody's");
    request.set_sha256(name);
    auto reader = v1::Traces::NewStub(door.channel)->GetContent(&context, request);
    std::string bytes;
    for (v1::TracesGetContentResponse piece; reader->Read(&piece);) bytes += piece.bytes();
    return reader->Finish().ok() ? bytes : "refused";
  };
  CHECK(content(door.submit) == "refused");
  CHECK(content(door.all) == "private");
}

TEST_CASE("on a port who answers and who submits is the token's name, on the socket what is claimed") {
  Door door;
  v1::RunsAnswerRequest answer;
  answer.set_by("the boss");
  answer.set_by_token(true);
  REQUIRE(door.ask("/weft.v1.Runs/Answer", door.all, answer).ok());
  CHECK(door.api.last_answer().by() == "operator");
  CHECK(door.api.last_answer().by_token());
  v1::RunsSubmitRequest submit;
  submit.set_workflow("hello");
  submit.set_by("the boss");
  REQUIRE(door.ask("/weft.v1.Runs/Submit", door.submit, submit).ok());
  CHECK(door.api.last_submission().by() == "ci");
  CHECK(door.api.last_submission().by_token());

  const auto socket = channel_to(*door.server);
  REQUIRE(door.ask("/weft.v1.Runs/Answer", "", socket, answer.SerializeAsString()).ok());
  CHECK(door.api.last_answer().by() == "the boss");
  CHECK_FALSE(door.api.last_answer().by_token());
}

TEST_CASE("a token that is revoked, and one that is made, holds from the next call on") {
  Door door;
  const std::string get = "/weft.v1.Runs/List";
  CHECK(door.ask(get, "Bearer " + door.all).ok());
  const auto admin = v1::Tokens::NewStub(channel_to(*door.server));
  {
    grpc::ClientContext context;
    v1::TokensRevokeRequest request;
    request.set_name("operator");
    v1::TokensRevokeResponse response;
    REQUIRE(admin->Revoke(&context, request, &response).ok());
    CHECK(response.token().revoked_at_us() > 0);
  }
  const grpc::Status revoked = door.ask(get, "Bearer " + door.all);
  CHECK(revoked.error_code() == grpc::StatusCode::UNAUTHENTICATED);
  CHECK(revoked.error_message().find("the token operator is revoked") != std::string::npos);
  grpc::ClientContext context;
  v1::TokensNewRequest request;
  request.set_name("new");
  request.set_scope("all");
  v1::TokensNewResponse response;
  REQUIRE(admin->New(&context, request, &response).ok());
  CHECK(door.ask(get, "bearer " + response.secret()).ok());  // The scheme's case is the client's.
  // Another process, at rest or not, changes the same files.
  REQUIRE(Tokens(door.place.options.tokens).revoke("new", door.now));
  CHECK(door.ask(get, "Bearer " + response.secret()).error_code() == grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace weft::server
