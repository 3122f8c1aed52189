// Tools that change the world, and crashes around them: what is recorded is never done again, what is in doubt says so.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/shop.h"
#include "weft/v1/runs.grpc.pb.h"

using namespace weft;
using namespace std::chrono_literals;

namespace {

// Ten lines, one after another, each a write with its intent durable before it.
std::string workflow() {
  std::string text = "weft: 1\nname: lines\nsteps:\n";
  for (int i = 0; i < 10; ++i) {
    text += fmt::format("  s{}: {{tool: fs.append, args: {{path: out.txt, line: \"line {}\"}}, needs: [{}]}}\n", i, i,
                        i == 0 ? "" : fmt::format("s{}", i - 1));
  }
  return text;
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// How long a run takes here when nobody kills its server.
std::chrono::microseconds undisturbed(const std::filesystem::path& folder, const std::vector<std::string>& serve) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "lines.yaml") << workflow();
  cli::Program server(folder, serve);
  server.wait_for_out("weft: ready");
  const cli::Outcome submitted = cli::run_program(folder, {"submit", "lines.yaml"});
  INFO(submitted.err);
  REQUIRE(submitted.exit == 0);
  const auto begun = std::chrono::steady_clock::now();
  const std::string run = submitted.out.substr(0, submitted.out.find('\n'));
  REQUIRE(cli::run_program(folder, {"wait", run, "--timeout", "20s"}).exit == 0);
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
}

}  // namespace

TEST_CASE("a killed server does no write twice: a run ends with every line once, or in doubt") {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("weft-effect-{}", ::getpid());
  int in_doubt = 0;
  int whole = 0;
  // At least twelve, and more until both ends were seen: when a kill falls, the machine decides.
  constexpr int kRounds = 12;
  constexpr int kRoundsMax = 100;
  const std::vector<std::string> serve = {"serve",       "--root",   folder.string(), "--http",
                                          "127.0.0.1:0", "--listen", "127.0.0.1:0"};
  const std::chrono::microseconds took = undisturbed(folder, serve);
  for (int round = 0; round < kRounds || ((whole == 0 || in_doubt == 0) && round < kRoundsMax); ++round) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "lines.yaml") << workflow();
    auto server = std::make_unique<cli::Program>(folder, serve);
    server->wait_for_out("weft: ready");
    const cli::Outcome submitted = cli::run_program(folder, {"submit", "lines.yaml"});
    INFO(submitted.err);
    REQUIRE(submitted.exit == 0);
    const std::string run = submitted.out.substr(0, submitted.out.find('\n'));
    std::this_thread::sleep_for(took * (round * 17 % 40) / 30);  // From its beginning to behind its end.
    server->signal(SIGKILL);
    server->wait();
    const std::size_t before = lines_of(folder / "out.txt").size();
    server = std::make_unique<cli::Program>(folder, serve);
    server->wait_for_out("weft: ready");
    const cli::Outcome ended = cli::run_program(folder, {"wait", run, "--timeout", "20s", "-o", "json"});
    const auto summary = parse_untrusted(ended.out);
    INFO(ended.out << ended.err);
    REQUIRE(summary);
    const auto lines = lines_of(folder / "out.txt");
    for (std::size_t i = 0; i < lines.size(); ++i) CHECK(lines[i] == fmt::format("line {}", i));
    if ((*summary)["status"] == "succeeded") {
      CHECK(lines.size() == 10);
      ++whole;
    } else {
      CHECK((*summary)["status"] == "in_doubt");
      CHECK(ended.exit == 7);
      CHECK(lines.size() == before);
      ++in_doubt;
    }
  }
  std::filesystem::remove_all(folder);
  fmt::print("{} runs ended whole, {} in doubt\n", whole, in_doubt);
  CHECK(whole > 0);
  CHECK(in_doubt > 0);
}

namespace {

// Each class of tools that the experiment compares: how it is declared, and what the workflow may do about a doubt.
struct Class {
  const char* name;
  const char* declaration;
  bool asks;  // Somebody looks at the shop's books and resolves.
};

constexpr Class kClasses[] = {
    {"undeclared", R"(http: {post: "URL/undeclared", json: "{{ args }}"})", true},
    {"write", R"(effect: write, http: {post: "URL/write", json: "{{ args }}"})", true},
    {"write_verify",
     R"(effect: write, verify: {tool: books, args: {path: write_verify, order: "{{ args.order }}"}}, http: {post: "URL/write_verify", json: "{{ args }}"})",
     false},
    {"write_skip", R"(effect: write, on_doubt: skip, http: {post: "URL/write_skip", json: "{{ args }}"})", false},
    {"write_retry_key",
     R"(effect: write, on_doubt: retry, http: {post: "URL/write_retry_key", json: "{{ args }}", idempotency_key: "{{ call.key }}"})",
     false},
    {"idempotent",
     R"(effect: idempotent, http: {post: "URL/idempotent", json: "{{ args }}", idempotency_key: "{{ call.key }}"})",
     false},
    {"declared_wrongly", R"(effect: read, http: {post: "URL/declared_wrongly", json: "{{ args }}"})", false},
};

// The shop's books: refunds by order, and the keys it has seen.
struct Books {
  std::mutex mutex;
  std::map<std::string, std::map<std::string, int>> refunds;  // By path, by order.
  std::set<std::string> keys;
  int held = 0;
  bool hold = true;
};

}  // namespace

TEST_CASE("a refund tool that is killed between effect and result: duplicates by the class that it declares") {
  constexpr int kRefundKills = 20;
  constexpr int kRunsEach = 10;  // For each class and kill: 200 rounds a class.
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("weft-refund-{}", ::getpid());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  Books books;
  test::Shop shop([&](const test::Shop::Request& request) -> test::Shop::Answer {
    const std::lock_guard lock(books.mutex);
    if (request.method == "GET") {  // /books/PATH/ORDER
      const std::size_t slash = request.path.rfind('/');
      const auto& of_path = books.refunds[request.path.substr(6, slash - 6)];
      const auto found = of_path.find(request.path.substr(slash + 1));
      return found == of_path.end() ? test::Shop::Answer{404, "none"}
                                    : test::Shop::Answer{200, R"({"refunded": true})"};
    }
    const std::string order = (*parse_untrusted(request.body))["order"].get<std::string>();
    const bool known = !request.key.empty() && !books.keys.insert(request.key).second;
    if (!known) ++books.refunds[request.path][order];
    if (books.hold) ++books.held;
    return {.status = 200, .body = R"({"refunded": true})", .held = books.hold};
  });

  std::string tools = "tools:\n  books: {effect: read, input: {path: string, order: string}, http: {get: \"" +
                      shop.url() + "/books/{{ args.path }}/{{ args.order }}\"}}\n";
  for (const Class& one : kClasses) {
    std::string declaration = one.declaration;
    declaration.replace(declaration.find("URL"), 3, shop.url());
    tools += fmt::format("  {}: {{input: {{order: string}}, {}}}\n", one.name, declaration);
    std::ofstream(folder / (std::string(one.name) + ".yaml"))
        << "weft: 1\nname: " << one.name << "\ninput: {order: string}\n"
        << tools << "steps:\n  refund: {tool: " << one.name << ", args: {order: \"{{ input.order }}\"}, needs: []}\n";
  }

  const std::vector<std::string> serve = {"serve", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0"};
  auto server = std::make_unique<cli::Program>(folder, serve);
  server->wait_for_out("weft: ready");
  std::unique_ptr<v1::Runs::Stub> runs;
  int connections = 0;
  // A channel of its own for each life of the server: an old one may still hold the dead connection.
  const auto connect = [&] {
    grpc::ChannelArguments own;
    own.SetInt("life", ++connections);
    runs = v1::Runs::NewStub(grpc::CreateCustomChannel("unix:" + (folder / ".weft" / "weft.sock").string(),
                                                       grpc::InsecureChannelCredentials(), own));
  };
  connect();
  for (const Class& one : kClasses) {
    const cli::Outcome applied = cli::run_program(folder, {"apply", std::string(one.name) + ".yaml"});
    INFO(applied.err);
    REQUIRE(applied.exit == 0);
  }
  const auto call = [&](auto method, const auto& request, auto& response) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + 30s);
    return (runs.get()->*method)(&context, request, &response);
  };

  std::map<std::string, std::vector<std::string>> ids;  // By class.
  std::map<std::string, int> asked;
  for (int kill = 0; kill < kRefundKills; ++kill) {
    {
      const std::lock_guard lock(books.mutex);
      books.hold = true;
      books.held = 0;
    }
    std::vector<std::pair<const Class*, std::string>> open;
    for (int i = 0; i < kRunsEach; ++i) {
      for (const Class& one : kClasses) {
        v1::RunsSubmitRequest request;
        request.set_workflow(one.name);
        request.set_input_json(fmt::format(R"({{"order": "{}-{}"}})", kill, i));
        v1::RunsSubmitResponse response;
        REQUIRE(call(&v1::Runs::Stub::Submit, request, response).ok());
        open.emplace_back(&one, response.run_id());
      }
    }
    // Killed when every effect has happened and no result is recorded: the shop took each refund and answered nobody.
    const auto until = std::chrono::steady_clock::now() + 20s;
    const auto all = static_cast<int>(std::size(kClasses)) * kRunsEach;
    while (std::chrono::steady_clock::now() < until) {
      const std::lock_guard lock(books.mutex);
      if (books.held >= all) break;
    }
    server->signal(SIGKILL);
    server->wait();
    {
      const std::lock_guard lock(books.mutex);
      REQUIRE(books.held >= all);
      books.hold = false;
    }
    server = std::make_unique<cli::Program>(folder, serve);
    server->wait_for_out("weft: ready");
    connect();
    for (const auto& [one, id] : open) {
      v1::RunsWaitRequest wait;
      wait.set_run_id(id);
      wait.set_timeout_ms(20'000);
      v1::RunsWaitResponse answer;
      REQUIRE(call(&v1::Runs::Stub::Wait, wait, answer).ok());
      INFO(answer.run().ShortDebugString());
      if (answer.run().status() == v1::RUN_STATUS_IN_DOUBT) {
        REQUIRE(one->asks);
        ++asked[one->name];
        v1::RunsResolveRequest resolve;
        resolve.set_run_id(id);
        resolve.set_path("refund");
        resolve.set_resolution(v1::RESOLUTION_DONE);
        resolve.set_reason("it stands in the shop's books");
        v1::RunsResolveResponse resolved;
        REQUIRE(call(&v1::Runs::Stub::Resolve, resolve, resolved).ok());
        REQUIRE(call(&v1::Runs::Stub::Wait, wait, answer).ok());
      }
      REQUIRE(answer.run().status() == v1::RUN_STATUS_SUCCEEDED);
      REQUIRE(answer.run().doubts_open() == 0);
      ids[one->name].push_back(id);
    }
  }
  fmt::print("{:18} {:>7} {:>8} {:>11} {:>14}\n", "class", "rounds", "refunds", "duplicates", "asked a person");
  for (const Class& one : kClasses) {
    int refunds = 0;
    int duplicates = 0;
    for (const auto& [order, count] : books.refunds["/" + std::string(one.name)]) {
      refunds += count;
      duplicates += count - 1;
    }
    fmt::print("{:18} {:>7} {:>8} {:>11} {:>14}\n", one.name, ids[one.name].size(), refunds, duplicates,
               asked[one.name]);
    CHECK(ids[one.name].size() == kRefundKills * kRunsEach);
    // Only a tool that says that it changes nothing, and does, is done twice.
    if (one.name != std::string("declared_wrongly")) CHECK(duplicates == 0);
    CHECK(refunds - duplicates == kRefundKills * kRunsEach);
  }
  server.reset();
  std::filesystem::remove_all(folder);
}
