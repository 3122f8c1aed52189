// How far one store reaches: durable submissions, one step's cost, fan-out, recovery, and history.
//
// reach --server PROGRAM --scratch FOLDER --what submit|step|own-step|fan-out|recovery|effects|history|shares [--n N]
//       [--results FILE]
//
// submit    N runs that wait for an answer, 256 in flight: submissions a second, each durable.
// step      N runs of W1-gate, 64 in flight: what one of its steps takes (a run's time by ten), beside the disk's sync.
// own-step  the same with tools that take 50 ms each: from a result to the next one, less those 50 ms.
// fan-out   one run with N elements, each a tool call with a result of its own (W3).
// recovery  N runs that wait; kill -9; how long until the next server is ready.
// effects   1,000 runs of ten steps, each of which writes a line outside first; kill -9 after N lines; how long until
//           the next server has written one and until all runs have ended, how many lines stand twice, and how many
//           keys came again (W4).
// history   N ended runs; then W1-gate at 16 in flight there and in an empty store, five times in turn (W5).
// shares    for N seconds: what each of two values of `fair_by` has of 8 places, where one offers ten times as much.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "bench/bench_tools.h"
#include "bench/chain.h"
#include "bench/measured_server.h"
#include "bench/scratch.h"
#include "bench/shares.h"

namespace weft::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point begun) {
  return std::chrono::duration<double>(SteadyClock::now() - begun).count();
}

constexpr const char* kAsks = "weft: 1\nname: asks\nsteps:\n  sure: {ask: Sure?}\n";
constexpr const char* kOne =
    "weft: 1\nname: one\ninput: {v: integer}\nsteps:\n"
    "  step: {needs: [], tool: bench.step, args: {v: \"{{ input.v }}\", i: 0}, output: integer}\n";
constexpr const char* kSquares =
    "weft: 1\nname: squares\ninput: {list: [number]}\nsteps:\n"
    "  all: {for_each: input.list, max_parallel: 1000, tool: bench.mul, args: {a: \"{{ item }}\", b: \"{{ item }}\"}, "
    "output: number}\n"
    "  sum: {set: \"{{ steps.all.output.sum() }}\"}\n";

Load nothing_asked(const std::string& hash, std::size_t runs, std::size_t in_flight) {
  return {hash, runs, in_flight, [](std::size_t) { return std::string("{}"); },
          [](std::size_t, const std::string&) { return true; }};
}

Result<Json> submit(const Arguments& arguments, const std::string& store, std::size_t n) {
  WEFT_TRY(MeasuredServer server, start_server(arguments, store));
  WEFT_TRY(const std::string hash, server.client->apply(kAsks));
  const auto begun = SteadyClock::now();
  WEFT_TRY(const auto runs, server.client->submit(nothing_asked(hash, n, 256)));
  const double took = seconds_since(begun);
  server.process.stop();
  return Json{{"per_s", std::round(static_cast<double>(n) / took)}};
}

Result<Json> one_step(const Arguments& arguments, const std::string& store, std::size_t n) {
  WEFT_TRY(MeasuredServer server, start_server(arguments, store));
  WEFT_TRY(const std::string hash, server.client->apply(chain_workflow("w1-gate", "bench.step")));
  WEFT_TRY(const Loaded warm, server.client->drive(chain_load(hash, 200, 64)));
  WEFT_TRY(const Loaded loaded, server.client->drive(chain_load(hash, n, 64)));
  server.process.stop();
  const auto a_step = [&](double percent) { return percentile(loaded.latencies_ms, percent) / kChainSteps; };
  return Json{{"p50", rounded(a_step(50), 2)},
              {"p95", rounded(a_step(95), 2)},
              {"per_s", std::round(static_cast<double>(n * kChainSteps) / loaded.seconds)}};
}

// The whole way of a step but for its tool: what follows from a result, the intent's sync, the call, its result.
Result<Json> own_step(const Arguments& arguments, const std::string& store, std::size_t n) {
  WEFT_TRY(MeasuredServer server, start_server(arguments, store, {pool_threads(64)}));
  WEFT_TRY(const std::string hash, server.client->apply(chain_workflow("w1-slow", "bench.slow")));
  Load load = chain_load(hash, n, 64);
  load.begin_over_ms = static_cast<double>(kSlow.count());  // Otherwise all of them stay in step for ever.
  WEFT_TRY(const Loaded loaded, server.client->drive(load));
  std::vector<double> own_ms;
  for (const std::string& run : loaded.run_ids) {
    WEFT_TRY(const auto ended_us, server.client->calls_ended_us(run));
    for (std::size_t i = 1; i < ended_us.size(); ++i) {
      own_ms.push_back(static_cast<double>(ended_us[i] - ended_us[i - 1]) / 1e3 - static_cast<double>(kSlow.count()));
    }
  }
  server.process.stop();
  return Json{{"p50", rounded(percentile(own_ms, 50), 2)},
              {"p95", rounded(percentile(own_ms, 95), 2)},
              {"p99", rounded(percentile(own_ms, 99), 2)},
              {"per_s", std::round(static_cast<double>(n * kChainSteps) / loaded.seconds)}};
}

Result<Json> fan_out(const Arguments& arguments, const std::string& store, std::size_t n) {
  WEFT_TRY(MeasuredServer server, start_server(arguments, store));
  WEFT_TRY(const std::string hash, server.client->apply(kSquares));
  std::string list = "[";
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    list += (i == 0 ? "" : ",") + std::to_string(i);
    sum += i * i;
  }
  const std::string input = R"({"list":)" + list + "]}";
  const Load load{hash, 1, 1, [&](std::size_t) { return input; },
                  [&](std::size_t, const std::string& output) { return output == std::to_string(sum); }};
  WEFT_TRY(const Loaded cold, server.client->drive(load));
  WEFT_TRY(Json row, measure(server, load));
  server.process.stop();
  return Json{{"first_ms", rounded(cold.latencies_ms.front(), 1)},
              {"p50", row["p50"]},
              {"cpu_s", row["cpu_s"]},
              {"rss_mb", row["rss_mb"]}};
}

Result<Json> recovery(const Arguments& arguments, const std::string& store, std::size_t n) {
  {
    WEFT_TRY(MeasuredServer server, start_server(arguments, store));
    WEFT_TRY(const std::string hash, server.client->apply(kAsks));
    WEFT_TRY(const auto runs, server.client->submit(nothing_asked(hash, n, 256)));
    server.process.signal(SIGKILL);
  }
  const auto begun = SteadyClock::now();
  WEFT_TRY(MeasuredServer server, start_server(arguments, store));
  const double took = seconds_since(begun);
  const double rss = server.process.resident_mb();
  server.process.stop();
  return Json{{"ready_s", rounded(took, 3)}, {"rss_mb", rounded(rss, 1)}};
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

Result<Json> effects(const Arguments& arguments, const std::string& store, std::size_t n, const std::string& file) {
  constexpr std::size_t kRuns = 1'000;
  const std::vector<std::string> environment = {"WEFT_BENCH_EFFECTS=" + file};
  const auto await_lines = [&](std::size_t lines) {
    while (lines_of(file).size() < lines) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  std::vector<std::string> runs;
  {
    WEFT_TRY(MeasuredServer server, start_server(arguments, store, environment));
    WEFT_TRY(const std::string hash, server.client->apply(chain_workflow("w4", "bench.effect")));
    WEFT_TRY(runs, server.client->submit(chain_load(hash, kRuns, kRuns)));
    await_lines(n);
    server.process.signal(SIGKILL);
  }
  const std::size_t before = lines_of(file).size();
  const auto begun = SteadyClock::now();
  WEFT_TRY(MeasuredServer server, start_server(arguments, store, environment));
  const double ready = seconds_since(begun);
  if (before < kRuns * kChainSteps) await_lines(before + 1);
  const double first = seconds_since(begun);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    WEFT_TRY(const std::string output, server.client->wait(runs[i]));
    if (output != chain_output(i)) return internal(fmt::format("run {} has the wrong output {}", runs[i], output));
  }
  const double all = seconds_since(begun);
  server.process.stop();
  const std::vector<std::string> lines = lines_of(file);
  const std::set<std::string> different(lines.begin(), lines.end());
  return Json{{"killed_at", before},
              {"ready_s", rounded(ready, 3)},
              {"first_s", rounded(first, 3)},
              {"all_s", rounded(all, 3)},
              {"effects", different.size()},
              {"twice", lines.size() - different.size()},
              {"again", lines_of(file + ".again").size()}};
}

// Beside an empty store in turn, since the machine varies by more than a history costs.
Result<Json> history(const Arguments& arguments, const std::string& store, std::size_t n) {
  constexpr std::size_t kRuns = 1'000;
  constexpr std::size_t kRounds = 5;
  WEFT_TRY(MeasuredServer full, start_server(arguments, store));
  WEFT_TRY(MeasuredServer empty, start_server(arguments, store + ".empty"));
  if (n > 0) {
    WEFT_TRY(const std::string done, full.client->apply(kOne));
    const Load past{done, n, 256, [](std::size_t i) { return fmt::format(R"({{"v":{}}})", i); },
                    [](std::size_t, const std::string&) { return true; }};
    WEFT_TRY(const Loaded loaded, full.client->drive(past));
  }
  const std::string chain = chain_workflow("w1-gate", "bench.step");
  WEFT_TRY(const std::string hash, full.client->apply(chain));
  WEFT_TRY(const std::string same, empty.client->apply(chain));
  WEFT_TRY(const Loaded warm, full.client->drive(chain_load(hash, 200, 16)));
  WEFT_TRY(const Loaded warm_too, empty.client->drive(chain_load(same, 200, 16)));
  std::vector<double> p50;
  std::vector<double> empty_p50;
  std::vector<double> ratios;
  std::vector<double> runs_s;
  double rss = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    WEFT_TRY(const Json with, measure(full, chain_load(hash, kRuns, 16)));
    WEFT_TRY(const Json without, measure(empty, chain_load(same, kRuns, 16)));
    p50.push_back(with["p50"].get<double>());
    empty_p50.push_back(without["p50"].get<double>());
    ratios.push_back(p50.back() / empty_p50.back());
    runs_s.push_back(with["runs_s"].get<double>());
    rss = with["rss_mb"].get<double>();
  }
  full.process.stop();
  empty.process.stop();
  return Json{{"c", 16},
              {"p50", percentile(p50, 50)},
              {"empty_p50", percentile(empty_p50, 50)},
              {"times", rounded(percentile(ratios, 50), 2)},
              {"steps_s", std::round(percentile(runs_s, 50) * kChainSteps)},
              {"rss_mb", rss},
              {"store_mb", std::round(file_bytes(store) / (1 << 20))}};
}

Status run(const Arguments& arguments) {
  const std::string what = arguments.text("what");
  const std::size_t n = arguments.number("n", 1'000);
  WEFT_TRY(const Scratch scratch, Scratch::make(arguments.text("scratch", ".")));
  const std::string store = scratch.file("weft.db");
  Json row = Json::object();
  row["engine"] = "weft " + what;
  row["variant"] = fmt::format("{}", n);
  row["c"] = 1;
  row["fsync_s"] = std::round(syncs_per_second(scratch.file("sync")));
  Result<Json> measured =
      invalid_argument("--what is submit, step, own-step, fan-out, recovery, effects, history or shares");
  if (what == "submit") measured = submit(arguments, store, n);
  if (what == "step") measured = one_step(arguments, store, n);
  if (what == "own-step") measured = own_step(arguments, store, n);
  if (what == "shares") measured = shares(arguments, store, n);
  if (what == "fan-out") measured = fan_out(arguments, store, n);
  if (what == "recovery") measured = recovery(arguments, store, n);
  if (what == "effects") measured = effects(arguments, store, n, scratch.file("effects"));
  if (what == "history") measured = history(arguments, store, n);
  if (!measured) return measured.error();
  row.update(*measured);
  return report(row, arguments);
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) { return weft::bench::bench_main(count, arguments, weft::bench::run); }
