// The floor of W1: the same chain as bare SQLite would keep it, one INSERT and one COMMIT a step, no engine and no
// server.
//
// floor --scratch FOLDER --sync FULL|NORMAL --in-flight N --runs N [--results FILE]
//
// In flight means that the steps of so many runs interleave; one thread commits, so no two share a commit.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json.h"
#include "bench/arguments.h"
#include "bench/load.h"
#include "bench/process.h"
#include "bench/scratch.h"
#include "bench/step_table.h"

namespace weft::bench {
namespace {

constexpr std::int64_t kSteps = 10;
using SteadyClock = std::chrono::steady_clock;

struct Chain {
  std::string id;
  std::int64_t v = 0;
  std::int64_t i = 0;
  SteadyClock::time_point begun;
};

Status run(const Arguments& arguments) {
  const std::size_t runs = arguments.number("runs", 1000);
  const std::size_t in_flight = std::min(arguments.number("in-flight", 256), runs);
  const std::string sync = arguments.text("sync", "FULL");
  WEFT_TRY(const Scratch scratch, Scratch::make(arguments.text("scratch", ".")));
  const double syncs = syncs_per_second(scratch.file("sync"));
  std::vector<double> latencies_ms;
  double seconds = 0;
  const double cpu_before = own_cpu_seconds();
  {
    StepTable table;
    WEFT_RETURN_IF_ERROR(table.open(scratch.file("floor.db"), sync));
    std::size_t next = 0;
    const auto begin = [&] {
      Chain chain{fmt::format("r{}", next), static_cast<std::int64_t>(next), 0, SteadyClock::now()};
      ++next;
      return chain;
    };
    std::vector<Chain> chains;
    const auto begun = SteadyClock::now();
    while (chains.size() < in_flight) chains.push_back(begin());
    while (latencies_ms.size() < runs) {
      for (Chain& chain : chains) {
        if (chain.i == kSteps) continue;
        chain.v = (chain.v * 31 + chain.i) % 1'000'003;
        WEFT_RETURN_IF_ERROR(table.keep(chain.id, chain.i, fmt::format(R"({{"i":{},"v":{}}})", chain.i, chain.v)));
        if (++chain.i < kSteps) continue;
        latencies_ms.push_back(std::chrono::duration<double, std::milli>(SteadyClock::now() - chain.begun).count());
        if (next < runs) chain = begin();
      }
    }
    seconds = std::chrono::duration<double>(SteadyClock::now() - begun).count();
  }
  const double cpu = own_cpu_seconds() - cpu_before;
  const auto steps = static_cast<double>(runs * kSteps);
  Json row = Json::object();
  row["engine"] = "floor: bare SQLite";
  row["variant"] = std::getenv("LD_PRELOAD") == nullptr ? sync : sync + ", sync + 2 ms";
  row["n"] = runs;
  row["c"] = in_flight;
  row["runs_s"] = std::round(static_cast<double>(runs) / seconds * 10) / 10;
  row["steps_s"] = std::round(steps / seconds);
  row["p50"] = std::round(percentile(latencies_ms, 50) * 100) / 100;
  row["p99"] = std::round(percentile(latencies_ms, 99) * 100) / 100;
  row["cpu_per_1000_steps"] = std::round(cpu / steps * 1e6) / 1e3;
  row["disk_b_per_step"] = std::round(file_bytes(scratch.file("floor.db")) / steps);
  row["fsync_s"] = std::round(syncs);
  return report(row, arguments);
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) { return weft::bench::bench_main(count, arguments, weft::bench::run); }
