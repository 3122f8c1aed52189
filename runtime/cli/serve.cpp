#include <fmt/format.h>
#include <unistd.h>

#include <semaphore>

#include "base/bytes.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/local_engine.h"
#include "runtime/cli/place.h"
#include "runtime/cli/signals.h"

namespace weft::cli {
namespace {

constexpr const char* kGrpcDefault = "127.0.0.1:7460";
constexpr const char* kHttpDefault = "127.0.0.1:7461";

LocalEngineOptions engine_options(const ServeOptions& options, const engine::Config& config) {
  using IfTaken = server::Listen::IfTaken;
  LocalEngineOptions result;
  result.schedules = engine::Schedules::kStarted;
  result.root = options.root.empty() ? config.tools_root : options.root;
  const auto& listen = options.listen.empty() ? config.listen : options.listen;
  for (const std::string& address : listen) result.grpc.push_back({address, IfTaken::kFail});
  if (listen.empty()) result.grpc.push_back({kGrpcDefault, IfTaken::kLeaveOut});
  const std::string http = options.http.empty() ? config.http.value_or("") : options.http;
  result.http = http.empty() ? server::Listen{kHttpDefault, IfTaken::kLeaveOut} : server::Listen{http, IfTaken::kFail};
  if (options.dev) result.reflection = server::ServerOptions::Reflection::kOn;
  return result;
}

std::string ready_line(const LocalEngine& engine, const Place& place) {
  std::string line = "weft: ready";
  for (const std::string& address : engine.server().grpc_addresses()) line += " grpc=" + address;
  if (!engine.server().http_address().empty()) line += " http=" + engine.server().http_address();
  return line + fmt::format(" store={} pid={}", place.store, ::getpid());
}

}  // namespace

Exit execute(const Context& context, const ServeOptions& options) {
  WEFT_COMMAND_TRY(context, Place place, find_place(context.global, context.environment, context.folder));
  if (!place.server.empty()) {
    return fail(context, invalid_argument("serve starts a server: --server and WEFT_SERVER name another one"));
  }
  std::binary_semaphore stop(0);
  const Signals signals([&stop](int count) {
    if (count == 1) stop.release();
    if (count == 2) ::_exit(static_cast<int>(Exit::kInterrupted));
  });
  WEFT_COMMAND_TRY(context, const auto engine,
                   LocalEngine::start(place, context.environment, engine_options(options, place.config)));
  context.terminal.out_line(ready_line(*engine, place));
  stop.acquire();
  context.terminal.err_line("weft: draining; a second signal leaves at once");
  engine->stop(place.config.drain);
  return Exit::kOk;
}

}  // namespace weft::cli
