// The real server under load, ended at any moment: SIGKILL at random times and at every failpoint, SIGSTOP and SIGCONT.
// After each round the counts of the world outside are held against what the server recorded.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "tests/cli/program.h"
#include "tests/crash/failpoints/failpoint.h"
#include "tests/crash/market.h"

using namespace weft;
using namespace weft::crash;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;
namespace fs = std::filesystem;

namespace {

struct Failpoint {
  const char* name;
  const char* passed_by;  // load, doubt, start, stop or care.
};
constexpr Failpoint kFailpoints[] = {
#include "failpoint_names.inc"
};

// Rounds beyond one for each failpoint.
constexpr int kMoreRounds = 30;
// Longer than the tools' timeouts.
constexpr auto kStill = 700ms;
constexpr auto kReachedWithin = 5s;
constexpr auto kLaterWithin = 1s;  // A later pass of a failpoint, which may never come.

enum class End : std::uint8_t { kKill, kStop };

struct Row {
  int rounds = 0;
  int reached = 0;
  Findings sum;
};

class Loop {
 public:
  Loop() : market_(folder_) {
    const std::string path = folder_ / "orders";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(::ftruncate(file, sizeof(FailOrders)) == 0);
    void* mapped = ::mmap(nullptr, sizeof(FailOrders), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    REQUIRE(mapped != MAP_FAILED);
    orders_ = new (mapped) FailOrders();
    start(Built::kAsShipped);
    for (const std::string& workflow : Market::workflow_files()) {
      const cli::Outcome applied = cli::run_program(folder_.path(), {"apply", workflow});
      INFO(applied.err);
      REQUIRE(applied.exit == 0);
    }
    kill();
  }
  ~Loop() { ::munmap(orders_, sizeof *orders_); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void at_failpoint(const Failpoint& point, FailOrders::Act act, int pass);
  void at_random(End end);

  // Compares, prints, and fails where a failpoint was never reached.
  void conclude();

 private:
  enum class Built : std::uint8_t { kAsShipped, kWithFailpoints };

  std::vector<std::string> serve() const { return {"serve", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0"}; }
  void launch(Built built) {
    auto variables = market_.variables();
    variables["WEFT_FAILPOINTS"] = folder_ / "orders";
    server_ = std::make_unique<cli::Program>(folder_.path(), serve(), variables, "",
                                             built == Built::kAsShipped ? WEFT_PROGRAM : WEFT_WITH_FAILPOINTS);
  }
  void start(Built built) {
    launch(built);
    server_->wait_for_out("weft: ready");
  }
  void kill() {
    server_->signal(SIGKILL);
    server_->signal(SIGCONT);
    ended();
  }
  void ended() {
    server_->wait();
    market_.wait_until_quiet();
  }
  void arm(const std::string& name, FailOrders::Act act, int pass) {
    orders_->passes_left = 0;
    orders_->acted = 0;
    orders_->act = act;
    std::strncpy(orders_->armed, name.c_str(), sizeof orders_->armed - 1);
    orders_->passes_left = pass;
  }
  bool acts_within(std::chrono::milliseconds patience) const {
    const auto until = Steady::now() + patience;
    while (orders_->acted == 0 && Steady::now() < until) std::this_thread::sleep_for(1ms);
    return orders_->acted > 0;
  }
  void sleep_a_little(int ms_max) {
    std::this_thread::sleep_for(std::chrono::microseconds(random_() % (ms_max * 1'000)));
  }

  void stand_still();
  void finish(const std::string& row, bool reached);

  Folder folder_;
  Market market_;
  FailOrders* orders_ = nullptr;
  std::unique_ptr<cli::Program> server_;
  std::minstd_rand random_{7};
  int round_ = 0;
  std::map<std::string, Row> rows_;
  std::vector<std::string> faults_;
};

// The server stands still for longer than its calls may take. Whoever starts another one meanwhile is refused.
void Loop::stand_still() {
  const auto until = Steady::now() + kStill;
  const cli::Outcome second = cli::run_program(folder_.path(), serve(), market_.variables());
  if (second.exit == 0 || second.err.find(fmt::format("is in use by process {}", server_->pid())) == std::string::npos)
    faults_.push_back("a second server was not refused: " + second.out + second.err);
  std::this_thread::sleep_until(until);
  server_->signal(SIGCONT);
}

void Loop::at_failpoint(const Failpoint& point, FailOrders::Act act, int pass) {
  const std::string by = point.passed_by;
  const std::chrono::milliseconds patience = pass == 1 ? kReachedWithin : kLaterWithin;
  market_.lose_answers(by == "doubt");
  if (by == "start") {
    start(Built::kAsShipped);
    market_.open(++round_);
    REQUIRE(market_.wait_until_acknowledged(kKinds / 2));
    sleep_a_little(20);
    kill();
    arm(point.name, act, pass);
    launch(Built::kWithFailpoints);
  } else {
    start(Built::kWithFailpoints);
    arm(point.name, act, pass);
    market_.open(++round_);
  }
  if (by == "stop") {
    sleep_a_little(150);
    server_->signal(SIGTERM);
  }
  if (by == "care") {
    const std::string copy = folder_ / fmt::format("copy-{}.db", round_);
    std::this_thread::sleep_for(50ms);
    const auto until = Steady::now() + patience;
    while (orders_->acted == 0 && Steady::now() < until) {
      if (std::string(point.name).starts_with("prune")) market_.prune_chaff();
      if (std::string(point.name).starts_with("backup") && !fs::exists(copy)) market_.back_up(copy);
      std::this_thread::sleep_for(5ms);
    }
    // A copy is whole, or it does not bear its name.
    if (fs::exists(copy)) {
      const cli::Outcome verified = cli::run_program(folder_.path(), {"db", "verify", "--store", copy});
      if (verified.exit != 0) faults_.push_back("a copy that was cut off is not whole: " + verified.out + verified.err);
    }
  }
  const bool reached = acts_within(patience);
  orders_->passes_left = 0;
  if (reached && act == FailOrders::Act::kStop) {
    stand_still();
    sleep_a_little(20);
  }
  kill();
  start(Built::kAsShipped);
  finish(point.name, reached);
}

void Loop::at_random(End end) {
  const bool stops = end == End::kStop;
  market_.lose_answers(random_() % 4 == 0);
  start(Built::kAsShipped);
  market_.open(++round_);
  sleep_a_little(stops ? 100 : 250);
  if (stops) {
    server_->signal(SIGSTOP);
    stand_still();
    sleep_a_little(50);
    // Of those that go on, every second one is left alone.
    if (round_ % 2 == 0) return finish("SIGSTOP, SIGCONT", true);
  }
  kill();
  start(Built::kAsShipped);
  if (random_() % 3 == 0) {
    sleep_a_little(30);
    kill();
    start(Built::kAsShipped);
  }
  finish(stops ? "SIGSTOP, SIGCONT, SIGKILL" : "SIGKILL at random", true);
}

// The server that is up goes on until every order has ended, and what it recorded is compared.
void Loop::finish(const std::string& row, bool reached) {
  const Findings found = market_.check(market_.close());
  kill();
  Row& sum = rows_[row];
  ++sum.rounds;
  sum.reached += reached ? 1 : 0;
  sum.sum.runs += found.runs;
  sum.sum.doubts += found.doubts;
  sum.sum.resolved += found.resolved;
  sum.sum.effects += found.effects;
  sum.sum.duplicates += found.duplicates;
  sum.sum.lost_calls += found.lost_calls;
  for (const std::string& fault : found.faults) faults_.push_back(fmt::format("round {} ({}): {}", round_, row, fault));
}

void Loop::conclude() {
  fmt::print("{:26} {:>6} {:>7} {:>5} {:>7} {:>10} {:>6} {:>8} {:>10}\n", "ended at", "rounds", "reached", "runs",
             "effects", "duplicates", "doubts", "resolved", "lost calls");
  Row all;
  const auto print = [](const std::string& name, const Row& row) {
    fmt::print("{:26} {:>6} {:>7} {:>5} {:>7} {:>10} {:>6} {:>8} {:>10}\n", name, row.rounds, row.reached, row.sum.runs,
               row.sum.effects, row.sum.duplicates, row.sum.doubts, row.sum.resolved, row.sum.lost_calls);
  };
  for (const auto& [name, row] : rows_) {
    print(name, row);
    all.rounds += row.rounds;
    all.reached += row.reached;
    all.sum.runs += row.sum.runs;
    all.sum.effects += row.sum.effects;
    all.sum.duplicates += row.sum.duplicates;
    all.sum.doubts += row.sum.doubts;
    all.sum.resolved += row.sum.resolved;
    all.sum.lost_calls += row.sum.lost_calls;
  }
  print("all", all);
  for (const Failpoint& point : kFailpoints) {
    INFO(point.name << " is never reached");
    CHECK(rows_[point.name].reached > 0);
  }
  for (const std::string& fault : market_.check_ledger()) faults_.push_back(fault);
  for (const std::string& fault : faults_) {
    INFO(fault);
    CHECK(fault.empty());
  }
  CHECK(all.sum.duplicates == 0);
  CHECK(all.sum.doubts > 0);
  CHECK(all.sum.lost_calls > 0);
  const cli::Outcome verified = cli::run_program(folder_.path(), {"db", "verify"});
  INFO(verified.out + verified.err);
  CHECK(verified.exit == 0);
}

}  // namespace

TEST_CASE(
    "a server that is killed or stopped at any place and time loses nothing that it acknowledged, pays for no "
    "answer twice, does nothing twice, and shows every doubt") {
  constexpr int kFailpointRounds = static_cast<int>(std::size(kFailpoints));
  const char* wanted = std::getenv("WEFT_ROUNDS");
  const int rounds = wanted == nullptr ? kFailpointRounds + kMoreRounds : std::max(1, std::atoi(wanted));
  Loop loop;
  std::minstd_rand random(42);
  for (int round = 0; round < rounds; ++round) {
    // Each failpoint once; then three rounds of five at a random time, two at any failpoint and pass.
    const int way = round % 5;
    if (round < kFailpointRounds) {
      loop.at_failpoint(kFailpoints[round], FailOrders::Act::kKill, 1);
    } else if (way < 3) {
      loop.at_random(way == 0 ? End::kStop : End::kKill);
    } else {
      const auto act = way == 3 ? FailOrders::Act::kStop : FailOrders::Act::kKill;
      loop.at_failpoint(kFailpoints[random() % kFailpointRounds], act, 1 + static_cast<int>(random() % 4));
    }
  }
  loop.conclude();
}
