// An engine in this process, with its server: what `serve` and `run` stand on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/cli/connect/place.h"
#include "runtime/engine/schedules/scheduler.h"
#include "runtime/server/server.h"

namespace weft::cli {

struct LocalEngineOptions {
  std::string root;                  // For fs.*; empty: none.
  std::vector<server::Listen> grpc;  // Beside the socket.
  std::optional<server::Listen> http;
  engine::Schedules schedules = engine::Schedules::kLeft;
  server::ServerOptions::Reflection reflection = server::ServerOptions::Reflection::kOff;
};

class LocalEngine {
 public:
  // Opens or makes the store, recovers its runs, and listens. FAILED_PRECONDITION where another engine owns the store.
  static Result<std::unique_ptr<LocalEngine>> start(const Place& place, const engine::Getenv& environment,
                                                    LocalEngineOptions options);
  virtual ~LocalEngine() = default;  // Stops as stop(0) does.
  virtual const server::Server& server() const = 0;
  // Takes no more runs, lets those that work go on for `patience`, and closes. What still runs is recovered by the next
  // start. Once.
  virtual void stop(Duration patience) = 0;
};

}  // namespace weft::cli
