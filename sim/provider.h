// The simulated provider: scripted models over real HTTP in the OpenAI ChatCompletions format, streaming or not, with a
// prefix cache of its own. It shares no code with runtime/model on purpose: it is the independent check of it.
//
// A thread serves each stream (cpp-httplib), so the number of streams has a limit with a name.
// POST /v1/chat/completions (also without /v1), GET /v1/models, /health, /stats.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "sim/script.h"

namespace weft::sim {

struct ProviderOptions {
  std::string host = "127.0.0.1";
  int port = 0;                     // 0 picks one.
  std::size_t streams_max = 1'000;  // 429 over it, as a provider's limit on concurrency; a script's own wins.
  std::string log_path = {};        // One JSON object a line for each request received; empty: none.
};

// Thread-safe.
class Provider {
 public:
  // Errors: UNAVAILABLE where the address or the log cannot be had.
  static Result<std::unique_ptr<Provider>> start(std::shared_ptr<const Script> script, const ProviderOptions& options);
  virtual ~Provider() = default;  // Ends all streams and connections, and waits for its threads.
  virtual int port() const = 0;
  virtual std::string base_url() const = 0;    // "http://127.0.0.1:PORT/v1"
  virtual std::uint64_t requests() const = 0;  // Received since start.
};

}  // namespace weft::sim
