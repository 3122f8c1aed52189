// kill -9, again and again, while clients submit and models stream: no acknowledged run is lost, none runs twice, and
// a model is asked again only for what was in flight.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <httplib.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "base/json.h"
#include "sim/provider.h"
#include "tests/cli/program.h"
#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/workflows.grpc.pb.h"

using namespace weft;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

namespace {

constexpr int kKills = 60;
constexpr int kClients = 4;
constexpr int kRunsPerClient = 125;
constexpr int kElements = 16;
constexpr int kStreamsWanted = 50;

// Every element's call streams for about a quarter of a second.
constexpr const char* kScript = R"(
sim: 1
cache: {delay: 0s}
rules:
  - reply: {text: "one two three four five six seven eight nine ten", tokens_per_second: 50}
)";

constexpr const char* kWorkflow = R"(
weft: 1
name: fan
input: {name: string}
steps:
  each: {for_each: "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]", prompt: "Say {{ item }} to {{ input.name }}"}
  count: {set: "{{ size(steps.each.output) }}"}
)";

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / fmt::format("weft-kill-{}", ::getpid())) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

class World {
 public:
  World() {
    workflows::Diagnostics diagnostics("script");
    const auto script = sim::Script::read(kScript, diagnostics);
    REQUIRE(script);
    auto started = sim::Provider::start(script, {});
    REQUIRE(started);
    provider_ = *std::move(started);
    channel_ = grpc::CreateChannel("unix:" + (folder_.path / "weft.sock").string(), grpc::InsecureChannelCredentials());
  }

  void start() {
    server_ = std::make_unique<cli::Program>(
        folder_.path,
        std::vector<std::string>{"serve", "--store", (folder_.path / "weft.db").string(), "--listen",
                                 "unix:" + (folder_.path / "weft.sock").string(), "--http", "127.0.0.1:0"},
        std::map<std::string, std::string>{{"WEFT_SIM_URL", provider_->base_url()}});
    server_->wait_for_out("weft: ready");
  }
  void kill() {
    server_->signal(SIGKILL);
    server_->wait();
  }
  int streams() const {
    httplib::Client client("127.0.0.1", provider_->port());
    const auto response = client.Get("/stats");
    if (!response) return 0;
    return (*parse_untrusted(response->body))["streams"].get<int>();
  }

  std::unique_ptr<v1::Runs::Stub> runs() const { return v1::Runs::NewStub(channel_); }
  std::unique_ptr<v1::Workflows::Stub> workflows() const { return v1::Workflows::NewStub(channel_); }
  const sim::Provider& provider() const { return *provider_; }

 private:
  Folder folder_;
  std::unique_ptr<sim::Provider> provider_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<cli::Program> server_;
};

std::unique_ptr<grpc::ClientContext> context(std::chrono::milliseconds patience) {
  auto made = std::make_unique<grpc::ClientContext>();
  made->set_deadline(std::chrono::system_clock::now() + patience);
  made->set_wait_for_ready(true);
  return made;
}

// Submits until it is acknowledged; the same request id each time.
std::string submit(v1::Runs::Stub& stub, const std::string& name, const std::atomic<bool>& stop) {
  v1::RunsSubmitRequest request;
  request.set_workflow("fan");
  request.set_input_json(fmt::format(R"({{"name": "{}"}})", name));
  request.set_request_id(name);
  while (!stop) {
    v1::RunsSubmitResponse response;
    const grpc::Status status = stub.Submit(context(2s).get(), request, &response);
    if (status.ok()) return response.run_id();
    std::this_thread::sleep_for(5ms);
  }
  return "";
}

std::vector<v1::Run> all_runs(v1::Runs::Stub& stub) {
  std::vector<v1::Run> all;
  v1::RunsListRequest request;
  request.set_page_size(1000);
  do {
    v1::RunsListResponse response;
    const grpc::Status status = stub.List(context(30s).get(), request, &response);
    INFO(status.error_message());
    REQUIRE(status.ok());
    for (const v1::Run& run : response.runs()) all.push_back(run);
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

}  // namespace

TEST_CASE("60 kills during submission and streaming lose no acknowledged run and run none twice") {
  World world;
  world.start();
  v1::WorkflowsApplyRequest apply;
  apply.mutable_bundle()->set_file("fan.yaml");
  apply.mutable_bundle()->set_text(kWorkflow);
  v1::WorkflowsApplyResponse applied;
  REQUIRE(world.workflows()->Apply(context(10s).get(), apply, &applied).ok());

  std::atomic<bool> stop = false;
  std::atomic<int> acknowledged = 0;
  std::vector<std::vector<std::string>> ids(kClients);
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      const auto stub = world.runs();
      for (int i = 0; i < kRunsPerClient && !stop; ++i) {
        ids[static_cast<std::size_t>(client)].push_back(submit(*stub, fmt::format("c{}-{}", client, i), stop));
        ++acknowledged;
        std::this_thread::sleep_for(400ms);  // The pace of a client, so that submission lasts as long as the kills do.
      }
    });
  }

  std::minstd_rand random(42);
  int with_many_streams = 0;
  int fewest = 1'000'000;
  int most = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const auto until = Steady::now() + (acknowledged < kClients * kRunsPerClient ? 4000ms : 1000ms);
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 400));
    // Last, so that a slow machine kills as many streams as a fast one.
    int open = world.streams();
    while (open < kStreamsWanted && Steady::now() < until) {
      std::this_thread::sleep_for(5ms);
      open = world.streams();
    }
    world.kill();
    with_many_streams += open >= kStreamsWanted;
    fewest = std::min(fewest, open);
    most = std::max(most, open);
    world.start();
  }
  for (std::thread& client : clients) client.join();
  stop = true;
  fmt::print("kills: {}, of them {} with {} or more streams open (fewest {}, most {})\n", kKills, with_many_streams,
             kStreamsWanted, fewest, most);

  const auto stub = world.runs();
  const auto until = Steady::now() + 120s;
  std::vector<v1::Run> runs;
  while (Steady::now() < until) {
    runs = all_runs(*stub);
    if (std::ranges::all_of(runs, [](const v1::Run& run) { return run.ended_at_us() != 0; })) break;
    std::this_thread::sleep_for(100ms);
  }

  std::set<std::string> distinct;
  for (const auto& of_client : ids) distinct.insert(of_client.begin(), of_client.end());
  CHECK(acknowledged == kClients * kRunsPerClient);
  CHECK(distinct.size() == kClients * kRunsPerClient);
  CHECK(runs.size() == distinct.size());
  std::uint64_t lost = 0;
  for (const v1::Run& run : runs) {
    INFO(run.ShortDebugString());
    REQUIRE(distinct.contains(run.id()));
    REQUIRE(run.status() == v1::RUN_STATUS_SUCCEEDED);
    REQUIRE(run.output_json().inline_() == "16");
    lost += run.model_calls_lost();
  }
  const std::uint64_t needed = static_cast<std::uint64_t>(kClients) * kRunsPerClient * kElements;
  fmt::print("runs: {}, model calls: {} needed, {} received, {} booked as lost\n", runs.size(), needed,
             world.provider().requests(), lost);
  CHECK(world.provider().requests() >= needed);
  CHECK(world.provider().requests() <= needed + lost);
  CHECK(with_many_streams >= 40);
}
