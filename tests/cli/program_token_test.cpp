// Who may call a server: the owner of its socket, and tokens on a port.
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <list>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/folder.h"
#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/traces.grpc.pb.h"

namespace weft::cli {
namespace {

constexpr const char* kAsk = R"(weft: 1
name: asks
steps:
  sign_off: {ask: "Publish?", choices: [yes, no]}
)";
constexpr const char* kSet = "weft: 1\nname: sets\nsteps:\n  one: {set: 1}\n";

const std::vector<std::string> kSocketAlone{"serve", "--http", "127.0.0.1:0"};

std::string line_of(const Outcome& outcome) { return outcome.out.substr(0, outcome.out.find('\n')); }

// A command for a server's port, from a folder without a store.
Outcome on_port(const std::string& port, std::vector<std::string> arguments, const std::string& token) {
  arguments.insert(arguments.end(), {"--server", "127.0.0.1:" + port});
  std::map<std::string, std::string> variables;
  if (!token.empty()) variables["WEFT_TOKEN"] = token;
  return run_program("/", arguments, variables);
}

std::size_t resident_mib(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6)) / 1024;
  }
  return 0;
}

}  // namespace

TEST_CASE("a server listens on its socket alone unless a port is asked for") {
  const Folder folder;
  Program serve(folder.path(), kSocketAlone);
  const std::string ready = serve.wait_for_out("\n");
  CHECK(ready.starts_with("weft: ready grpc=unix:" + (folder / ".weft/weft.sock") + " http=127.0.0.1:"));
  struct stat found{};
  REQUIRE(::stat((folder / ".weft/token").c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
}

TEST_CASE("a port takes a token, from a file, the environment, or the store beside which one calls") {
  const Folder folder;
  Program serve(folder.path(), kServe);
  const std::string port = word(serve.wait_for_out("\n"), " grpc=127.0.0.1:");
  const Outcome without = on_port(port, {"runs"}, "");
  CHECK(without.exit == 4);
  CHECK(without.err.find("--token-file") != std::string::npos);
  CHECK(without.err.find("WEFT_TOKEN") != std::string::npos);
  CHECK(on_port(port, {"runs"}, "weft_wrong").exit == 4);
  std::ifstream in(folder / ".weft/token");
  std::string own;
  std::getline(in, own);
  CHECK(on_port(port, {"runs"}, own).exit == 0);
  CHECK(run_program("/", {"runs", "--server", "127.0.0.1:" + port, "--token-file", folder / ".weft/token"}).exit == 0);
  CHECK(run_program(folder.path(), {"runs", "--server", "127.0.0.1:" + port}).exit == 0);
  const Outcome stats = on_port(port, {"stats"}, own);
  CHECK(stats.exit == 4);
  CHECK(stats.err.find("on the socket") != std::string::npos);
  CHECK(on_port(port, {"token", "list"}, own).exit == 4);
}

TEST_CASE("a token submits its workflows, reads its own runs, and opens nothing once it is revoked") {
  const Folder folder;
  folder.write("sets.yaml", kSet);
  folder.write("asks.yaml", kAsk);
  CHECK(run_program(folder.path(), {"token", "new", "ci", "--scope", "all"}).exit == 6);  // There is no store yet.
  Program serve(folder.path(), kServe);
  const std::string port = word(serve.wait_for_out("\n"), " grpc=127.0.0.1:");
  REQUIRE(run_program(folder.path(), {"apply", "sets.yaml", "asks.yaml"}).exit == 0);
  const Outcome mine = run_program(folder.path(), {"submit", "sets"});
  REQUIRE(mine.exit == 0);

  const Outcome made = run_program(folder.path(), {"token", "new", "ci", "--scope", "submit:sets"});
  INFO(made.err);
  REQUIRE(made.exit == 0);
  const std::string token = line_of(made);
  CHECK(made.err.find("shown this once") != std::string::npos);
  CHECK(run_program(folder.path(), {"token", "new", "ci", "--scope", "all"}).exit == 2);
  CHECK(run_program(folder.path(), {"token", "new", "c2", "--scope", "everything"}).exit == 2);
  CHECK(run_program(folder.path(), {"token", "new", "c2"}).exit == 2);
  CHECK(run_program(folder.path(), {"token", "new", "c2", "--scope", "relay:fast"}).err.find("in this version") !=
        std::string::npos);

  const auto runs = v1::Runs::NewStub(grpc::CreateChannel("127.0.0.1:" + port, grpc::InsecureChannelCredentials()));
  const auto submit = [&](const std::string& workflow, std::string& id) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    v1::RunsSubmitRequest request;
    request.set_workflow(workflow);
    request.set_by("somebody else");
    v1::RunsSubmitResponse response;
    const grpc::Status status = runs->Submit(&context, request, &response);
    id = response.run_id();
    return status.error_code();
  };
  std::string id;
  CHECK(submit("asks", id) == grpc::StatusCode::PERMISSION_DENIED);
  REQUIRE(submit("sets", id) == grpc::StatusCode::OK);
  CHECK(on_port(port, {"wait", id}, token).exit == 0);
  CHECK(line_of(on_port(port, {"output", id}, token)) == "1");
  CHECK(on_port(port, {"trace", id}, token).exit == 0);
  CHECK(on_port(port, {"trace", line_of(mine)}, token).exit == 6);
  CHECK(on_port(port, {"cancel", id}, token).exit == 4);
  const Json listed = json_of(on_port(port, {"runs", "-o", "json"}, token).out);
  REQUIRE(listed["runs"].size() == 1);
  CHECK(listed["runs"][0]["by"] == "ci");
  CHECK(listed["runs"][0]["by_token"] == true);
  CHECK(json_of(run_program(folder.path(), {"runs", "-o", "json"}).out)["runs"].size() == 2);

  CHECK(run_program(folder.path(), {"token", "revoke", "ci"}).exit == 0);
  CHECK(on_port(port, {"runs"}, token).exit == 4);
  serve.signal(SIGTERM);
  serve.wait();
  // At rest the same files are read and written.
  const Json tokens = json_of(run_program(folder.path(), {"token", "list", "-o", "json"}).out);
  REQUIRE(tokens["tokens"].size() == 1);
  CHECK(tokens["tokens"][0]["scope"] == "submit:sets");
  CHECK(tokens["tokens"][0]["revoked_at_us"].is_number());
  CHECK(run_program(folder.path(), {"token", "new", "later", "--scope", "all"}).exit == 0);
  CHECK(run_program(folder.path(), {"token", "list"}).out.find("later") != std::string::npos);
}

TEST_CASE("a token that may not read a workflow submits it by its name, and the server reads what was typed") {
  const Folder folder;
  folder.write("takes.yaml", R"(weft: 1
name: takes
input: {count: integer, word: string, rest: [string]}
steps:
  one: {set: {count: "{{ input.count }}", word: "{{ input.word }}", rest: "{{ input.rest }}"}}
)");
  folder.write("sets.yaml", kSet);
  const std::string word_file = folder.write("word", "7");
  Program serve(folder.path(), kServe);
  const std::string port = word(serve.wait_for_out("\n"), " grpc=127.0.0.1:");
  REQUIRE(run_program(folder.path(), {"apply", "takes.yaml", "sets.yaml"}).exit == 0);
  const std::string token = line_of(run_program(folder.path(), {"token", "new", "ci", "--scope", "submit:takes"}));
  const Outcome submitted = on_port(
      port, {"submit", "takes", "-i", "count=3", "-i", "word=@" + word_file, "-i", R"(rest=["a"])", "--label", "k=v"},
      token);
  INFO(submitted.err);
  REQUIRE(submitted.exit == 0);
  const std::string id = line_of(submitted);
  CHECK(on_port(port, {"wait", id}, token).exit == 0);
  CHECK(json_of(on_port(port, {"output", id, "-o", "json"}, token).out) ==
        Json{{"count", 3}, {"word", "7"}, {"rest", Json::array({"a"})}});
  const Outcome waited = on_port(
      port, {"submit", "takes", "-i", "count=4", "-i", "word=x", "-i", "rest=[]", "--wait", "-o", "json"}, token);
  INFO(waited.err);
  CHECK(waited.exit == 0);
  CHECK(json_of(waited.out)["output"]["count"] == 4);
  const auto refused = [&](const std::vector<std::string>& inputs) {
    std::vector<std::string> arguments{"submit", "takes"};
    for (const std::string& input : inputs) arguments.insert(arguments.end(), {"-i", input});
    const Outcome outcome = on_port(port, arguments, token);
    CHECK(outcome.exit == 2);
    CHECK(outcome.out.empty());
    return outcome.err;
  };
  CHECK(refused({"count=many", "word=x"}).find("input \"count\": expected integer") != std::string::npos);
  CHECK(refused({"count=1", "wrod=x"}).find("did you mean \"word\"?") != std::string::npos);
  CHECK(refused({"count=1", "count=2", "word=x"}).find("given twice") != std::string::npos);
  CHECK(refused({"count=1"}).find("word") != std::string::npos);
  const Outcome other = on_port(port, {"submit", "sets"}, token);
  CHECK(other.exit == 4);
  CHECK(other.err.find("does not reach the workflow sets") != std::string::npos);
  CHECK(on_port(port, {"submit", folder / "sets.yaml"}, token).exit == 4);  // A file is applied first.
}

TEST_CASE("who answers on the socket claims his name, who answers on a port has his token's") {
  const Folder folder;
  folder.write("asks.yaml", kAsk);
  Program serve(folder.path(), kServe);
  const std::string port = word(serve.wait_for_out("\n"), " grpc=127.0.0.1:");
  const std::string token = line_of(run_program(folder.path(), {"token", "new", "ada", "--scope", "all"}));
  const auto answered = [&](const Outcome& answer, const std::string& id) {
    INFO(answer.err);
    REQUIRE(answer.exit == 0);
    REQUIRE(run_program(folder.path(), {"wait", id}).exit == 0);
    return run_program(folder.path(), {"trace", id}).out;
  };
  const std::string first = line_of(run_program(folder.path(), {"submit", "asks.yaml"}));
  CHECK(answered(run_program(folder.path(), {"answer", first, "sign_off", "yes", "--by", "boss"}), first)
            .find("by boss (claimed)") != std::string::npos);
  const std::string second = line_of(run_program(folder.path(), {"submit", "asks.yaml"}));
  const std::string trace =
      answered(on_port(port, {"answer", second, "sign_off", "yes", "--by", "boss"}, token), second);
  CHECK(trace.find("by ada") != std::string::npos);
  CHECK(trace.find("claimed") == std::string::npos);
  CHECK(trace.find("boss") == std::string::npos);
}

TEST_CASE("every command works in folders whose names mean something in a URI") {
  for (const char* name : {"C#", "what?", "a,b", "a%20b", "two words"}) {
    const Folder folder;
    const std::string inside = folder / name;
    std::filesystem::create_directory(inside);
    std::ofstream(inside + "/sets.yaml") << kSet;
    INFO(name);
    Program serve(inside, kSocketAlone);
    serve.wait_for_out("\n");
    const Outcome submitted = run_program(inside, {"submit", "sets.yaml", "--wait"});
    INFO(submitted.err);
    CHECK(submitted.exit == 0);
    CHECK(run_program(inside, {"stats"}).exit == 0);
    CHECK(run_program("/", {"runs", "--server", "unix:" + inside + "/.weft/weft.sock"}).exit == 0);
    serve.signal(SIGTERM);
    CHECK(serve.wait().exit == 0);
    const Outcome ran = run_program(inside, {"run", "sets.yaml"});
    CHECK(ran.out == "1\n");
  }
}

TEST_CASE("150 contents of 15 MB that nobody reads cost the server little, and a content is its run's alone") {
  const Folder folder;
  folder.write("keeps.yaml",
               "weft: 1\nname: keeps\ninput: {text: string}\nsteps:\n  one: {set: \"{{ input.text }}\"}\n");
  folder.write("sets.yaml", kSet);
  Program serve(folder.path(), kSocketAlone);
  serve.wait_for_out("\n");
  folder.write("long.txt", std::string(std::size_t{15} << 20, 'x'));
  const Outcome submitted = run_program(
      folder.path(), {"submit", "keeps.yaml", "-i", "text=@" + (folder / "long.txt"), "--wait", "-o", "json"});
  INFO(submitted.err);
  REQUIRE(submitted.exit == 0);
  const std::string id = json_of(submitted.out)["run_id"].get<std::string>();
  const Json other = json_of(run_program(folder.path(), {"submit", "sets.yaml", "--wait", "-o", "json"}).out);

  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  const auto channel =
      grpc::CreateCustomChannel("unix:" + (folder / ".weft/weft.sock"), grpc::InsecureChannelCredentials(), arguments);
  v1::RunsGetResponse run;
  {
    grpc::ClientContext context;
    v1::RunsGetRequest get;
    get.set_run_id(id);
    REQUIRE(v1::Runs::NewStub(channel)->Get(&context, get, &run).ok());
  }
  REQUIRE(run.run().output_json().has_blob());
  const auto traces = v1::Traces::NewStub(channel);
  v1::TracesGetContentRequest request;
  request.set_sha256(run.run().output_json().blob().sha256());
  {
    grpc::ClientContext context;
    request.set_run_id(other["run_id"].get<std::string>());
    const auto reader = traces->GetContent(&context, request);
    v1::TracesGetContentResponse piece;
    CHECK_FALSE(reader->Read(&piece));
    CHECK(reader->Finish().error_code() == grpc::StatusCode::NOT_FOUND);
  }
  request.set_run_id(id);
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::TracesGetContentResponse>> reader;
  };
  const std::size_t before = resident_mib(serve.pid());
  std::list<Stream> streams;
  for (int i = 0; i < 150; ++i) {
    Stream& stream = streams.emplace_back();
    stream.reader = traces->GetContent(&stream.context, request);
  }
  std::size_t most = before;
  for (int i = 0; i < 100; ++i) {
    most = std::max(most, resident_mib(serve.pid()));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  INFO("before " << before << " MiB, with them " << most << " MiB");
  CHECK(most < before + 150);  // 2,600 MiB, were they held whole.
  for (Stream& stream : streams) stream.context.TryCancel();
  for (Stream& stream : streams) (void)stream.reader->Finish();
  CHECK(run_program(folder.path(), {"output", id}).out.size() == (std::size_t{15} << 20) + 1);
}

}  // namespace weft::cli
