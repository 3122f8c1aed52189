// `weft serve`: an engine with its server, until a signal.
#include <fmt/format.h>
#include <unistd.h>

#include <semaphore>

#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/local_engine.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/signals.h"

namespace weft::cli {
namespace {

constexpr const char* kHttpDefault = "127.0.0.1:7461";

struct ServeValues {
  std::vector<std::string> listen;
  std::string http;
  std::string root;
  bool dev = false;
};

Options describe(ServeValues& values) {
  return {
      option("--listen", "ADDR",
             "127.0.0.1:PORT, which asks for a token, or unix:PATH; only the socket beside the store by default",
             &values.listen),
      option("--http", "ADDR", "Where the HTTP face listens; 127.0.0.1:7461 by default", &values.http),
      option("--root", "DIR", "The folder that fs.* tools see; none by default", &values.root),
      flag("--dev", "Turn on server reflection", &values.dev),
  };
}

LocalEngineOptions engine_options(const ServeValues& values, const engine::Config& config) {
  using IfTaken = server::Listen::IfTaken;
  LocalEngineOptions result;
  result.schedules = engine::Schedules::kStarted;
  result.root = values.root.empty() ? config.tools_root : values.root;
  const auto& listen = values.listen.empty() ? config.listen : values.listen;
  for (const std::string& address : listen) result.grpc.push_back({address, IfTaken::kFail});
  const std::string http = values.http.empty() ? config.http.value_or("") : values.http;
  result.http = http.empty() ? server::Listen{kHttpDefault, IfTaken::kLeaveOut} : server::Listen{http, IfTaken::kFail};
  if (values.dev) result.reflection = server::ServerOptions::Reflection::kOn;
  return result;
}

std::string ready_line(const LocalEngine& engine, const Place& place) {
  std::string line = "weft: ready";
  for (const std::string& address : engine.server().grpc_addresses()) line += " grpc=" + address;
  // A face that was wanted and is missing shows, so that nobody asks whoever has its port.
  line += " http=" + (engine.server().http_address().empty() ? "none" : engine.server().http_address());
  return line + fmt::format(" store={} pid={}", place.store, ::getpid());
}

Exit serve(const Context& context, const ServeValues& values) {
  WEFT_COMMAND_TRY(context, Place place, place_for(context, Use::kAct));
  if (!place.server.empty()) {
    return fail(context, invalid_argument("serve starts a server: --server and WEFT_SERVER name another one"));
  }
  std::binary_semaphore stop(0);
  const Signals signals([&stop](int count) {
    if (count == 1) stop.release();
    if (count == 2) ::_exit(static_cast<int>(Exit::kInterrupted));
  });
  WEFT_COMMAND_TRY(context, const auto engine,
                   LocalEngine::start(place, context.environment, engine_options(values, place.config)));
  if (const std::string missing = engine->server().http_missing(); !missing.empty()) {
    context.terminal.err_line(
        fmt::format("warning: there is no HTTP face: {}; `--http 127.0.0.1:0` picks a free port", missing));
  }
  context.terminal.out_line(ready_line(*engine, place));
  stop.acquire();
  context.terminal.err_line("weft: draining; a second signal leaves at once");
  engine->stop(place.config.drain);
  return Exit::kOk;
}

}  // namespace

Command serve_command() {
  return {"serve", Group::kServe, "Run the server: gRPC and health, until SIGTERM",
          [] { return bound<ServeValues>(describe, serve); }, Command::Log::kEvents};
}

}  // namespace weft::cli
