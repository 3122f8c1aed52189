// The real server on a disk that is slow, full, failing, or loses power: what it acknowledged is there, what it cannot
// do it refuses with the cause, and it goes on by itself.
#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>

#include "tests/cli/program.h"
#include "tests/crash/broken_disk.h"
#include "tests/folder.h"
#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/workflows.grpc.pb.h"

using namespace weft;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;
namespace fs = std::filesystem;

namespace {

constexpr const char* kSet = "weft: 1\nname: flow\ninput: {text: string}\nsteps:\n  one: {set: \"{{ input.text }}\"}\n";
constexpr const char* kTwoCalls =
    "weft: 1\nname: two\nsteps:\n  first: {prompt: One}\n  second: {prompt: \"Two {{ steps.first.output }}\"}\n";
constexpr const char* kSlowModel = "sim: 1\ncache: {delay: 0s}\nrules: [{reply: {text: paid, first_token: 500ms}}]\n";

// The orders of one disk, in a file that the server maps too.
class Disk {
 public:
  Disk(const std::string& orders, const std::string& files, const std::string& journal) : path_(orders) {
    const int file = ::open(orders.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(file >= 0);
    REQUIRE(::ftruncate(file, sizeof(crash::DiskOrders)) == 0);
    void* mapped = ::mmap(nullptr, sizeof(crash::DiskOrders), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    REQUIRE(mapped != MAP_FAILED);
    orders_ = new (mapped) crash::DiskOrders();
    std::strncpy(orders_->files, files.c_str(), sizeof orders_->files - 1);
    std::strncpy(orders_->journal, journal.c_str(), sizeof orders_->journal - 1);
  }
  ~Disk() { ::munmap(orders_, sizeof *orders_); }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  crash::DiskOrders* operator->() { return orders_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  crash::DiskOrders* orders_ = nullptr;
};

enum class Unsynced { kKept, kDropped };

// A server on a disk of its own.
class World {
 public:
  explicit World(Unsynced unsynced = Unsynced::kKept, std::string store_folder = "")
      : store_folder_(store_folder.empty() ? folder_ / "store" : std::move(store_folder)),
        disk_(folder_ / "orders", store_folder_ + "/weft.db",
              unsynced == Unsynced::kDropped ? folder_ / "unsynced" : std::string()) {
    fs::create_directories(folder_ / "unsynced");
    fs::create_directories(store_folder_);
    folder_.write("slow.yaml", kSlowModel);
    sim_ = std::make_unique<cli::Program>(folder_.path(), std::vector<std::string>{"sim", "slow.yaml"});
    const std::string line = sim_->wait_for_out("\n");
    const std::size_t begin = line.find("url=") + 4;
    url_ = line.substr(begin, line.find_first_of(" \n", begin) - begin);
  }

  void start() {
    server_ = std::make_unique<cli::Program>(
        folder_.path(),
        std::vector<std::string>{"serve", "--store", store(), "--listen", "unix:" + (folder_ / "rpc.sock"), "--http",
                                 "127.0.0.1:0"},
        std::map<std::string, std::string>{
            {"WEFT_SIM_URL", url_}, {"LD_PRELOAD", WEFT_BROKEN_DISK}, {"WEFT_DISK", disk_.path()}});
    server_->wait_for_out("weft: ready");
    channel_ = grpc::CreateChannel("unix:" + (folder_ / "rpc.sock"), grpc::InsecureChannelCredentials());
  }
  void kill() {
    server_->signal(SIGKILL);
    server_->wait();
  }
  cli::Outcome verify() { return cli::run_program(folder_.path(), {"db", "verify", "--store", store()}); }

  void apply(const char* yaml) {
    v1::WorkflowsApplyRequest request;
    request.mutable_bundle()->set_file("a.yaml");
    request.mutable_bundle()->set_text(yaml);
    v1::WorkflowsApplyResponse response;
    grpc::ClientContext context;
    const grpc::Status status = v1::Workflows::NewStub(channel_)->Apply(&context, request, &response);
    INFO(status.error_message());
    REQUIRE(status.ok());
  }
  grpc::Status submit(const std::string& workflow, std::string* id = nullptr, const std::string& input = "{}",
                      std::chrono::milliseconds patience = 20s) {
    v1::RunsSubmitRequest request;
    request.set_workflow(workflow);
    request.set_input_json(input);
    v1::RunsSubmitResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patience);
    const grpc::Status status = v1::Runs::NewStub(channel_)->Submit(&context, request, &response);
    if (status.ok() && id != nullptr) *id = response.run_id();
    return status;
  }
  grpc::Status get(const std::string& id, v1::Run& run) {
    v1::RunsGetRequest request;
    request.set_run_id(id);
    v1::RunsGetResponse response;
    grpc::ClientContext context;
    const grpc::Status status = v1::Runs::NewStub(channel_)->Get(&context, request, &response);
    run = response.run();
    return status;
  }
  v1::RunStatus status_of(const std::string& id) {
    v1::Run run;
    REQUIRE(get(id, run).ok());
    return run.status();
  }
  bool becomes(const std::string& id, v1::RunStatus status, std::chrono::seconds patience = 20s) {
    const auto until = Steady::now() + patience;
    while (status_of(id) != status) {
      if (Steady::now() > until) return false;
      std::this_thread::sleep_for(10ms);
    }
    return true;
  }

  std::string store() const { return store_folder_ + "/weft.db"; }
  const Folder& folder() const { return folder_; }
  Disk& disk() { return disk_; }

 private:
  Folder folder_;
  std::string store_folder_;
  Disk disk_;
  std::unique_ptr<cli::Program> sim_;
  std::string url_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<cli::Program> server_;
};

// Submits from several clients until it is destroyed; what was acknowledged.
class Load {
 public:
  explicit Load(World& world, int clients = 4) {
    for (int i = 0; i < clients; ++i) {
      threads_.emplace_back([this, &world] {
        while (!stop_) {
          std::string id;
          if (!world.submit("flow", &id, R"({"text": "x"})", 2s).ok()) continue;
          const std::lock_guard lock(mutex_);
          ids_.push_back(id);
        }
      });
    }
  }
  std::vector<std::string> stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return ids_;
  }
  std::size_t acknowledged() {
    const std::lock_guard lock(mutex_);
    return ids_.size();
  }
  ~Load() { stop(); }

 private:
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::vector<std::string> ids_;  // Guarded by mutex_.
  std::vector<std::thread> threads_;
};

// As a power failure leaves a file: of each write that was not synced each sector of 512 bytes is either there or not.
// `kept_of_8`: how many in eight are. Returns how many writes had not been synced.
int lose_power(const std::string& file, const std::string& journal, int kept_of_8, std::minstd_rand& random) {
  std::ifstream in(journal, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  std::vector<std::size_t> records;
  const auto read = [&](std::size_t at) {
    crash::Replaced replaced;
    std::memcpy(&replaced, bytes.data() + at, sizeof replaced);
    return replaced;
  };
  // The last record may have been cut by the kill; its write then never began.
  for (std::size_t at = 0; at + sizeof(crash::Replaced) <= bytes.size();) {
    const std::size_t next = at + sizeof(crash::Replaced) + static_cast<std::size_t>(read(at).size);
    if (next > bytes.size()) break;
    records.push_back(at);
    at = next;
  }
  if (records.empty()) return 0;
  constexpr std::int64_t kSector = 512;
  const int target = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(target >= 0);
  bool whole = true;
  for (auto at = records.rbegin(); at != records.rend(); ++at) {
    const crash::Replaced replaced = read(*at);
    const char* before = bytes.data() + *at + sizeof replaced;
    for (std::int64_t sector = 0; sector < replaced.written; sector += kSector) {
      if (static_cast<int>(random() % 8) < kept_of_8) continue;
      whole = false;
      const std::int64_t end = std::min(sector + kSector, replaced.written);
      std::string old(static_cast<std::size_t>(end - sector), '\0');
      if (sector < replaced.size) {
        std::memcpy(old.data(), before + sector, static_cast<std::size_t>(std::min(end, replaced.size) - sector));
      }
      REQUIRE(::pwrite(target, old.data(), old.size(), replaced.offset + sector) == static_cast<ssize_t>(old.size()));
    }
  }
  if (!whole && kept_of_8 == 0) REQUIRE(::ftruncate(target, read(records.front()).file_size) == 0);
  ::close(target);
  fs::resize_file(journal, 0);
  return static_cast<int>(records.size());
}

struct Losses {
  int writes = 0;   // That were not synced when power was lost.
  int missing = 0;  // Acknowledged runs that are not there.
  std::size_t acknowledged = 0;
};

Losses lose_power_again_and_again(World& world, int rounds) {
  Losses losses;
  std::minstd_rand random(11);
  world.start();
  world.apply(kSet);
  for (int round = 0; round < rounds; ++round) {
    Load load(world);
    const std::size_t wanted = 5 + random() % 100;
    const auto until = Steady::now() + 10s;
    while (load.acknowledged() < wanted && Steady::now() < until) std::this_thread::sleep_for(1ms);
    world.kill();
    const auto acknowledged = load.stop();
    const int kept_of_8 = round % 2 == 0 ? 0 : 4;
    for (const char* name : {"weft.db", "weft.db-wal"}) {
      losses.writes += lose_power(world.folder() / "store" + "/" + name, world.folder() / "unsynced" + "/" + name,
                                  kept_of_8, random);
    }
    // Memory that both processes share is gone with the power.
    fs::remove(world.store() + "-shm");
    world.start();
    losses.acknowledged += acknowledged.size();
    for (const std::string& id : acknowledged) {
      v1::Run run;
      losses.missing += !world.get(id, run).ok();
    }
  }
  return losses;
}

}  // namespace

TEST_CASE("power is lost again and again, unsynced writes vanish or tear: no acknowledged run is missing") {
  World world(Unsynced::kDropped);
  const Losses losses = lose_power_again_and_again(world, 20);
  fmt::print("power lost 20 times: {} acknowledged runs, {} unsynced writes lost\n", losses.acknowledged,
             losses.writes);
  CHECK(losses.missing == 0);
  CHECK(losses.acknowledged > 100);
  CHECK(losses.writes > 0);
  const cli::Outcome verified = world.verify();
  INFO(verified.out + verified.err);
  CHECK(verified.exit == 0);
}

TEST_CASE("on a disk that lies about its syncs acknowledged runs are missing: the test above sees what it looks for") {
  World world(Unsynced::kDropped);
  world.start();
  world.apply(kSet);
  Load load(world);
  while (load.acknowledged() < 20) std::this_thread::sleep_for(1ms);
  world.disk()->syncs_lie = 1;
  const std::size_t before = load.acknowledged();
  while (load.acknowledged() < before + 50) std::this_thread::sleep_for(1ms);
  world.kill();
  const auto acknowledged = load.stop();
  world.disk()->syncs_lie = 0;
  std::minstd_rand random(1);
  for (const char* name : {"weft.db", "weft.db-wal"}) {
    lose_power(world.folder() / "store" + "/" + name, world.folder() / "unsynced" + "/" + name, 0, random);
  }
  fs::remove(world.store() + "-shm");
  world.start();
  int missing = 0;
  for (const std::string& id : acknowledged) {
    v1::Run run;
    missing += !world.get(id, run).ok();
  }
  CHECK(missing > 0);
  CHECK(world.verify().exit == 0);  // What is left is a whole store all the same.
}

TEST_CASE("a disk that becomes full under load: runs stand still, new ones are refused with the cause, all go on") {
  World world;
  world.start();
  world.apply(kSet);
  world.apply(kTwoCalls);
  std::string id;
  REQUIRE(world.submit("two", &id).ok());
  Load load(world);
  while (load.acknowledged() < 20) std::this_thread::sleep_for(1ms);
  // Room for a little more, so that the last write is a short one.
  world.disk()->room_bytes = 10'000;
  REQUIRE(world.becomes(id, v1::RUN_STATUS_WAITING));
  CHECK(world.disk()->writes_refused > 0);
  const auto acknowledged = load.stop();
  for (const std::string& run : acknowledged) CHECK(world.status_of(run) == v1::RUN_STATUS_SUCCEEDED);
  v1::Run frozen;
  REQUIRE(world.get(id, frozen).ok());
  CHECK(frozen.waits_for().find("the disk is full") != std::string::npos);
  const grpc::Status refused = world.submit("flow", nullptr, R"({"text": "y"})");
  CHECK(refused.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(refused.error_message().find("the disk is full") != std::string::npos);
  world.disk()->room_bytes = INT64_MAX;
  REQUIRE(world.becomes(id, v1::RUN_STATUS_SUCCEEDED));
  REQUIRE(world.get(id, frozen).ok());
  CHECK(frozen.model_calls() == 2);  // The answer that came meanwhile was not asked for again.
  CHECK(frozen.model_calls_lost() == 0);
  CHECK(world.submit("flow", nullptr, R"({"text": "z"})").ok());
  world.kill();
  CHECK(world.verify().exit == 0);
}

TEST_CASE("a disk whose syncs fail for a while: UNAVAILABLE meanwhile, and nothing is lost or done twice") {
  World world;
  world.start();
  world.apply(kSet);
  world.apply(kTwoCalls);
  std::string id;
  REQUIRE(world.submit("two", &id).ok());
  world.disk()->syncs_failing = INT_MAX;
  REQUIRE(world.becomes(id, v1::RUN_STATUS_WAITING));
  const grpc::Status refused = world.submit("flow", nullptr, R"({"text": "y"})");
  CHECK(refused.error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(refused.error_message().find("the disk failed") != std::string::npos);
  world.disk()->syncs_failing = 0;
  REQUIRE(world.becomes(id, v1::RUN_STATUS_SUCCEEDED));
  v1::Run run;
  REQUIRE(world.get(id, run).ok());
  CHECK(run.model_calls() == 2);
  world.kill();
  CHECK(world.verify().exit == 0);
}

TEST_CASE("writes that fail now and then are not noticed but by who wrote them") {
  World world;
  world.start();
  world.apply(kSet);
  Load load(world);
  for (int i = 0; i < 20; ++i) {
    world.disk()->writes_failing = 1;
    std::this_thread::sleep_for(20ms);
  }
  const auto acknowledged = load.stop();
  CHECK(acknowledged.size() > 20);
  CHECK(world.disk()->writes_refused > 0);
  for (const std::string& id : acknowledged) REQUIRE(world.becomes(id, v1::RUN_STATUS_SUCCEEDED));
  world.kill();
  CHECK(world.verify().exit == 0);
}

TEST_CASE("writes that are cut short are written on, and what was acknowledged is whole") {
  World world;
  world.start();
  world.apply(kSet);
  Load load(world);
  for (int i = 0; i < 20; ++i) {
    world.disk()->writes_short = 3;
    std::this_thread::sleep_for(20ms);
  }
  const auto acknowledged = load.stop();
  CHECK(world.disk()->writes_cut > 10);
  CHECK(acknowledged.size() > 20);
  world.kill();
  world.start();
  for (const std::string& id : acknowledged) REQUIRE(world.becomes(id, v1::RUN_STATUS_SUCCEEDED));
  world.kill();
  CHECK(world.verify().exit == 0);
}

TEST_CASE("reads that fail are an error of who reads; what is at work goes on, and nothing is lost") {
  World world;
  world.start();
  world.apply(kSet);
  world.apply(kTwoCalls);
  const std::string input = fmt::format(R"({{"text": "{}"}})", std::string(100'000, 'x'));
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) REQUIRE(world.submit("flow", &ids.emplace_back(), input).ok());
  std::string at_work;
  REQUIRE(world.submit("two", &at_work).ok());
  for (const std::string& id : ids) REQUIRE(world.becomes(id, v1::RUN_STATUS_SUCCEEDED));
  world.kill();  // A new server has read nothing of them yet.
  world.start();
  world.disk()->reads_failing = 6;
  int failed = 0;
  for (const std::string& id : ids) {
    v1::Run run;
    const grpc::Status status = world.get(id, run);
    failed += !status.ok();
    INFO(status.error_message());
    CHECK((status.ok() || status.error_code() == grpc::StatusCode::DATA_LOSS));
    CHECK((status.ok() || status.error_message().find("the disk failed") != std::string::npos));
  }
  CHECK(world.disk()->reads_refused > 0);
  CHECK(failed > 0);
  world.disk()->reads_failing = 0;
  for (const std::string& id : ids) CHECK(world.status_of(id) == v1::RUN_STATUS_SUCCEEDED);
  REQUIRE(world.becomes(at_work, v1::RUN_STATUS_SUCCEEDED));
  world.kill();
  CHECK(world.verify().exit == 0);
}

TEST_CASE("with a sync of 2 ms or 50 ms runs share syncs instead of queueing for them") {
  for (const int sync_ms : {2, 50}) {
    World world;
    world.start();
    world.apply(kSet);
    world.disk()->sync_us = sync_ms * 1'000;
    const int before = world.disk()->syncs;
    const auto begun = Steady::now();
    Load load(world, 32);
    while (load.acknowledged() < 320) std::this_thread::sleep_for(1ms);
    const auto acknowledged = load.stop();
    const auto took = Steady::now() - begun;
    const int syncs = world.disk()->syncs - before;
    fmt::print("sync + {} ms: {} runs from 32 clients in {:.2f} s with {} syncs\n", sync_ms, acknowledged.size(),
               std::chrono::duration<double>(took).count(), syncs);
    CHECK(syncs * 3 < static_cast<int>(acknowledged.size()));
  }
}

TEST_CASE("a file system of 20 MB is filled and freed: the server refuses, reads, and goes on") {
  const Folder mount;
  if (::mount("weft-test", mount.path().c_str(), "tmpfs", 0, "size=20m") != 0) {
    WARN("skipped: a file system cannot be mounted here (" << std::strerror(errno) << "); run as root");
    return;
  }
  struct Unmount {
    const std::string& path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } const unmount{mount.path()};
  // What somebody else keeps there, and removes when it is full.
  const std::string ballast = mount / "ballast";
  std::ofstream(ballast) << std::string(8 << 20, 'b');
  World world(Unsynced::kKept, mount / "store");
  world.start();
  world.apply(kSet);
  const std::string input = fmt::format(R"({{"text": "{}"}})", std::string(200'000, 'x'));
  std::vector<std::string> ids;
  grpc::Status full;
  for (int i = 0; i < 1'000 && full.ok(); ++i) {
    std::string id;
    full = world.submit("flow", &id, input + std::string(static_cast<std::size_t>(i), ' '));
    if (full.ok()) ids.push_back(id);
  }
  CHECK(full.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(ids.size() > 5);
  for (const std::string& id : ids) {
    v1::Run run;
    CHECK(world.get(id, run).ok());
  }
  fs::remove(ballast);
  const auto until = Steady::now() + 20s;
  grpc::Status after = full;
  while (!after.ok() && Steady::now() < until) {
    after = world.submit("flow", nullptr, input);
    std::this_thread::sleep_for(50ms);
  }
  INFO(after.error_message());
  CHECK(after.ok());
  for (const std::string& id : ids) REQUIRE(world.becomes(id, v1::RUN_STATUS_SUCCEEDED));
  world.kill();
  CHECK(world.verify().exit == 0);
}
