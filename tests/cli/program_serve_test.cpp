#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/folder.h"

namespace weft::cli {
namespace {

constexpr const char* kHello = R"(weft: 1
name: hello
input: {name: string}
steps:
  greet: {prompt: "Greet {{ input.name }} in one line."}
)";

}  // namespace

TEST_CASE("a workflow is applied, submitted by name over gRPC, waited for, and its output printed") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  Program sim(folder.path(), {"sim"});
  const std::string url = word(sim.wait_for_out("\n"), "url=");
  Program serve(folder.path(), kServe, {{"WEFT_MODEL_URL", url}});
  const std::string ready = serve.wait_for_out("\n");
  CHECK(ready.starts_with("weft: ready grpc=unix:" + (folder / ".weft/weft.sock") + " grpc=127.0.0.1:"));
  CHECK(word(ready, "store=") == (folder / ".weft/weft.db"));
  CHECK(word(ready, "pid=") == std::to_string(serve.pid()));

  const Outcome apply = run_program(folder.path(), {"apply", "hello.yaml"});
  INFO(apply.err);
  REQUIRE(apply.exit == 0);
  CHECK(apply.out.starts_with("hello  version 1  "));
  const Outcome submit = run_program(folder.path(), {"submit", "hello", "-i", "name=Ada"});
  INFO(submit.err);
  REQUIRE(submit.exit == 0);
  const std::string id = submit.out.substr(0, submit.out.size() - 1);
  CHECK(id.size() == 26);
  CHECK(submit.err.find("workflow ") != std::string::npos);
  CHECK(last_line(submit.err) == "weft trace " + id);
  CHECK(run_program(folder.path(), {"wait", id, "--timeout", "20s"}).exit == 0);
  CHECK(run_program(folder.path(), {"output", id}).out.find("Greet Ada") != std::string::npos);

  // From another folder, by its address.
  const std::string address = word(ready, " grpc=127.0.0.1:");
  const Outcome remote =
      run_program("/", {"trace", id, "--server", "127.0.0.1:" + address, "--token-file", folder / ".weft/token"});
  CHECK(remote.exit == 0);
  CHECK(remote.out.starts_with(id));
  const Outcome waited = run_program(folder.path(), {"submit", "hello.yaml", "-i", "name=Bob", "--wait", "-o", "json"});
  CHECK(waited.exit == 0);
  CHECK(json_of(waited.out)["status"] == "succeeded");
  CHECK(run_program(folder.path(), {"submit", "nope"}).exit == 6);
  CHECK(run_program(folder.path(), {"submit", "hello"}).exit == 2);

  const Outcome second = run_program(folder.path(), kServe);
  CHECK(second.exit == 1);
  CHECK(second.err.find(std::to_string(serve.pid())) != std::string::npos);

  serve.signal(SIGTERM);
  const Outcome ended = serve.wait();
  CHECK(ended.exit == 0);
  CHECK(ended.out == ready);
  CHECK_FALSE(std::filesystem::exists(folder / ".weft/weft.sock"));
}

TEST_CASE("serve refuses addresses that others could reach, and a port that is taken") {
  const Folder folder;
  const Outcome open = run_program(folder.path(), {"serve", "--listen", "0.0.0.0:0"});
  CHECK(open.exit == 2);
  CHECK(open.err.find("until there is TLS") != std::string::npos);
  for (const char* address : {"0.0.0.0:0", "[::]:0", "192.0.2.1:7461"}) {
    const Outcome http = run_program(folder.path(), {"serve", "--http", address});
    INFO(address << ": " << http.err);
    CHECK(http.exit == 2);
    CHECK(http.err.find("until there is TLS") != std::string::npos);
    CHECK(http.out.empty());
  }
  Program first(folder.path(), kServe);
  const std::string ready = first.wait_for_out("\n");
  const Folder other;
  const Outcome taken = run_program(
      other.path(), {"serve", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:" + word(ready, " grpc=127.0.0.1:")});
  CHECK(taken.exit == 1);
  CHECK(taken.err.find("is taken") != std::string::npos);
}

TEST_CASE("who has taken the default port of HTTP is said at the start, and the ready line has no face") {
  const int squatter = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port = htons(7461);
  // Where another program has it already, it is that one that is said.
  if (::bind(squatter, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0) REQUIRE(::listen(squatter, 1) == 0);
  const Folder folder;
  {
    Program serve(folder.path(), {"serve"});
    CHECK(word(serve.wait_for_out("\n"), " http=") == "none");
    const std::string said = serve.wait_for_err("\n");
    CHECK(said.starts_with("warning: there is no HTTP face: the port 127.0.0.1:7461 is taken"));
    CHECK(said.find("`--http 127.0.0.1:0` picks a free port") != std::string::npos);
  }
  ::close(squatter);
}

TEST_CASE("a request that is not UTF-8 is refused and makes no line in a server's log") {
  const Folder folder;
  Program serve(folder.path(), kServe, {{"WEFT_MODEL_URL", "http://127.0.0.1:9/v1"}});
  serve.wait_for_out("\n");
  const auto channel = grpc::CreateChannel("unix:" + (folder / ".weft/weft.sock"), grpc::InsecureChannelCredentials());
  for (const auto& [path, bytes] : std::vector<std::pair<const char*, std::string>>{
           {"/weft.v1.Runs/Get", "\x0a\x02\xc3\x28"},     // The run's id.
           {"/weft.v1.Runs/Submit", "\x0a\x02\xff\xfe"},  // The workflow's name.
           {"/weft.v1.Runs/Get", "\x0a\x7f"}}) {          // Cut.
    const grpc::internal::RpcMethod method(path, grpc::internal::RpcMethod::NORMAL_RPC, channel);
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::ClientContext context;
    const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
        channel.get(), method, &context, request, &response);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  }
  serve.signal(SIGTERM);
  CHECK(serve.wait().err == "weft: draining; a second signal leaves at once\n");
}

TEST_CASE("an answer is taken as it is typed: a number and a null are texts where a text or a choice is asked for") {
  const Folder folder;
  folder.write("typed.yaml", R"(weft: 1
name: typed
steps:
  version: {ask: Which?, choices: ["1.1", "1.10", "null"]}
  note: {ask: Say., needs: [version]}
  nothing: {ask: Say., needs: [note]}
  form: {ask: Fill., output: {n: number}, needs: [nothing]}
returns: ["{{ steps.version.output }}", "{{ steps.note.output }}", "{{ steps.nothing.output }}", "{{ steps.form.output }}"]
)");
  Program serve(folder.path(), kServe, {{"WEFT_MODEL_URL", "http://127.0.0.1:9/v1"}});
  serve.wait_for_out("\n");
  const std::string id = run_program(folder.path(), {"submit", "typed.yaml"}).out.substr(0, 26);
  REQUIRE(id.size() == 26);
  const auto answer = [&](const std::string& path, const std::string& value) {
    CHECK(run_program(folder.path(), {"wait", id, "--timeout", "20s"}).exit == 7);
    const Outcome said = run_program(folder.path(), {"answer", id, path, value});
    INFO(path << ": " << said.err);
    CHECK(said.exit == 0);
  };
  answer("version", "1.10");
  answer("note", "42");
  answer("nothing", "null");
  answer("form", R"({"n": 1.50})");
  CHECK(run_program(folder.path(), {"wait", id, "--timeout", "20s"}).exit == 0);
  CHECK(json_of(run_program(folder.path(), {"output", id}).out) ==
        Json::parse(R"(["1.10", "42", "null", {"n": 1.5}])"));
}

TEST_CASE("a server that cannot listen takes the store from nobody, also where the lock's file was removed") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  Program sim(folder.path(), {"sim"});
  Program first(folder.path(), kServe, {{"WEFT_MODEL_URL", word(sim.wait_for_out("\n"), "url=")}});
  first.wait_for_out("\n");
  REQUIRE(std::filesystem::remove(folder / ".weft/weft.db.lock"));
  const Outcome second = run_program(folder.path(), kServe);
  CHECK(second.exit == 1);
  CHECK(second.err.find("another server listens on") != std::string::npos);
  REQUIRE(run_program(folder.path(), {"apply", "hello.yaml"}).exit == 0);
  const Outcome submit = run_program(folder.path(), {"submit", "hello", "-i", "name=Ada", "--wait"});
  INFO(submit.err);
  CHECK(submit.exit == 0);
}

TEST_CASE("submit without a server is exit 5 with the sentence that starts one, and with --wait it runs here") {
  const Folder folder;
  folder.write("flow.yaml", "weft: 1\nname: flow\nsteps:\n  one: {set: 1}\n");
  const Outcome alone = run_program(folder.path(), {"submit", "flow.yaml"});
  CHECK(alone.exit == 5);
  CHECK(alone.err.find("weft serve") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / ".weft"));
  const Outcome waited = run_program(folder.path(), {"submit", "flow.yaml", "--wait"});
  INFO(waited.err);
  CHECK(waited.exit == 0);
  CHECK(waited.out.size() == 27);
}

}  // namespace weft::cli
