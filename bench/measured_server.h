// The bench's server in a process of its own, with a client, and what a load cost it.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "bench/arguments.h"
#include "bench/load.h"
#include "bench/process.h"

namespace weft::bench {

struct MeasuredServer {
  Process process;
  std::unique_ptr<Client> client;
  std::string address;
};

double rounded(double value, int digits);

// The setting by which a server has so many threads for tools that block.
std::string pool_threads(std::size_t threads);

// Options: --server (the program), --shards, --preload (a library that slows syncs). `environment` as for a Process.
Result<MeasuredServer> start_server(const Arguments& arguments, const std::string& store,
                                    const std::vector<std::string>& environment = {});

// Drives the load; the row that the table reads: runs_s, p50, p99 (ms), cpu_s of the server and of the client, rss_mb,
// written bytes. `base_ms` is taken off every latency.
Result<Json> measure(MeasuredServer& server, const Load& load, double base_ms = 0);

}  // namespace weft::bench
