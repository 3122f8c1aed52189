// W1, the durable chain: ten steps v = (v * 31 + i) % 1000003, over gRPC, closed loop.
//
// w1 --server PROGRAM --scratch FOLDER --form pure|gate --in-flight N --runs N [--results FILE] [--preload LIBRARY]
//
// pure: ten `set` steps, which may share a commit. gate: ten calls of a tool of class write, each with its intent
// durable before it and its result before the next.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/chain.h"
#include "bench/measured_server.h"
#include "bench/scratch.h"

namespace weft::bench {
namespace {

constexpr std::size_t kWarmUpRuns = 200;

enum class Form : std::uint8_t { kPure, kGate };

std::string workflow(Form form) {
  return form == Form::kPure ? chain_workflow("w1-pure", "") : chain_workflow("w1-gate", "bench.step");
}

Status run(const Arguments& arguments) {
  const Form form = arguments.text("form", "pure") == "gate" ? Form::kGate : Form::kPure;
  const std::size_t runs = arguments.number("runs", 1000);
  const std::size_t in_flight = arguments.number("in-flight", 256);
  WEFT_TRY(const Scratch scratch, Scratch::make(arguments.text("scratch", ".")));
  const std::string store = scratch.file("weft.db");

  // A life before the measured one, so that the store's own size and the warm-up are known and taken off.
  double bytes_before = 0;
  std::string hash;
  {
    WEFT_TRY(MeasuredServer server, start_server(arguments, store));
    WEFT_TRY(hash, server.client->apply(workflow(form)));
    server.process.stop();
    bytes_before = file_bytes(store);
  }
  const double syncs = syncs_per_second(scratch.file("sync"));
  WEFT_TRY(MeasuredServer server, start_server(arguments, store));
  WEFT_TRY(const Loaded warm, server.client->drive(chain_load(hash, kWarmUpRuns, in_flight)));
  WEFT_TRY(Json row, measure(server, chain_load(hash, runs, in_flight)));
  server.process.stop();

  const auto steps = static_cast<double>(runs * kChainSteps);
  const auto stored_steps = static_cast<double>((runs + warm.latencies_ms.size()) * kChainSteps);
  Json whole = Json::object();
  whole["engine"] = form == Form::kPure ? "weft W1-pure" : "weft W1-gate";
  whole["variant"] = arguments.text("preload").empty() ? "FULL" : "FULL, sync + 2 ms";
  whole.update(row);
  whole["steps_s"] = std::round(row["runs_s"].get<double>() * kChainSteps);
  whole["cpu_per_1000_steps"] = row["cpu_per_1000_runs"].get<double>() / kChainSteps;
  whole["disk_b_per_step"] = std::round((file_bytes(store) - bytes_before) / stored_steps);
  whole["written_b_per_step"] = std::round(row["written_b"].get<double>() / steps);
  whole["fsync_s"] = std::round(syncs);
  return report(whole, arguments);
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) { return weft::bench::bench_main(count, arguments, weft::bench::run); }
