#include "bench/measured_server.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace weft::bench {
namespace {

constexpr std::chrono::seconds kStartPatience{60};

}  // namespace

double rounded(double value, int digits) {
  const double scale = std::pow(10.0, digits);
  return std::round(value * scale) / scale;
}

std::string pool_threads(std::size_t threads) { return "WEFT_BENCH_TOOL_THREADS=" + std::to_string(threads); }

Result<MeasuredServer> start_server(const Arguments& arguments, const std::string& store,
                                    const std::vector<std::string>& environment) {
  std::vector<std::string> settings = environment;
  if (const std::string preload = arguments.text("preload"); !preload.empty()) {
    settings.push_back("LD_PRELOAD=" + preload);
  }
  WEFT_TRY(Process process,
           Process::start({arguments.text("server"), store, "unix:" + store + ".sock", arguments.text("shards", "1")},
                          settings));
  WEFT_TRY(const std::string address, process.await("bench_server: ready grpc=", kStartPatience));
  auto client = connect(address);
  return MeasuredServer{std::move(process), std::move(client), address};
}

Result<Json> measure(MeasuredServer& server, const Load& load, double base_ms) {
  server.process.reset_peak();
  const double cpu_before = server.process.cpu_seconds();
  const double own_before = own_cpu_seconds();
  const double written_before = server.process.written_bytes();
  WEFT_TRY(const Loaded loaded, server.client->drive(load));
  const double cpu = server.process.cpu_seconds() - cpu_before;
  const auto runs = static_cast<double>(load.runs);
  Json row = Json::object();
  row["n"] = load.runs;
  row["c"] = load.in_flight;
  row["wall"] = rounded(loaded.seconds, 2);
  row["runs_s"] = rounded(runs / loaded.seconds, 1);
  row["p50"] = rounded(percentile(loaded.latencies_ms, 50) - base_ms, 2);
  row["p99"] = rounded(percentile(loaded.latencies_ms, 99) - base_ms, 2);
  row["cpu_s"] = rounded(cpu, 2);
  row["cpu_per_1000_runs"] = rounded(cpu / runs * 1000, 3);
  row["client_cpu_s"] = rounded(own_cpu_seconds() - own_before, 2);
  row["rss_mb"] = rounded(server.process.resident_peak_mb(), 1);
  row["written_b"] = server.process.written_bytes() - written_before;
  return row;
}

}  // namespace weft::bench
