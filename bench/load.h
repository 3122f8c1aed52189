// Closed-loop load over gRPC: so many runs, so many of them in flight, each submitted and awaited to its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace weft::bench {

struct Load {
  std::string workflow_hash;
  std::size_t runs = 0;
  std::size_t in_flight = 1;
  std::function<std::string(std::size_t index)> input;                      // JSON.
  std::function<bool(std::size_t index, const std::string& output)> right;  // Whether the run's output is what it is.
  double begin_over_ms = 0;  // The first runs begin spread over so long; 0: all at once.
};

struct Loaded {
  std::vector<double> latencies_ms;  // Of each run, from its submission to the answer of its wait.
  std::vector<std::string> run_ids;
  double seconds = 0;
};

// Nearest rank; 0 of nothing.
double percentile(std::vector<double> values, double percent);

// Thread-safe.
class Client {
 public:
  virtual ~Client() = default;
  virtual Result<std::string> apply(const std::string& yaml) = 0;  // The version's hash.
  // The first wrong output, failed run or refused call ends it with an error.
  virtual Result<Loaded> drive(const Load& load) = 0;
  // Submits only; the runs' ids in the order of their submission.
  virtual Result<std::vector<std::string>> submit(const Load& load) = 0;
  // Waits until the run has ended; its output.
  virtual Result<std::string> wait(const std::string& run_id) = 0;
  // When each of the run's calls of tools ended, in its order; microseconds since 1970.
  virtual Result<std::vector<std::int64_t>> calls_ended_us(const std::string& run_id) = 0;
};

std::unique_ptr<Client> connect(const std::string& address);

}  // namespace weft::bench
