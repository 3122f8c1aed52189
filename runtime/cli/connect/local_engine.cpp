#include "runtime/cli/connect/local_engine.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/id.h"
#include "memory/journal/sqlite_store.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/log_sink.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/known_secrets.h"
#include "runtime/server/address.h"
#include "tools/files.h"

namespace weft::cli {
namespace {

// Calls that are being answered when the server closes have this long to end.
constexpr Duration kCallsPatience{2'000'000};

Status check_address(const std::string& address) {
  const auto parsed = server::parse_address(address);
  return parsed ? Status() : Status(parsed.error());
}

// The engine listens there; what is no socket is somebody's file and stays.
Status check_socket_name(const std::string& socket) {
  struct stat found{};
  if (::lstat(socket.c_str(), &found) != 0 || S_ISSOCK(found.st_mode)) return {};
  return failed_precondition(
      fmt::format("{} is no socket, and the engine of this store listens under that name: move it away, or give the "
                  "engine a store elsewhere with --store PATH",
                  socket));
}

// What the file tools leave alone wherever their root is: what this engine stands on, and the user's own lists.
tools::ClosedPaths closed_paths(const Place& place, const engine::Getenv& environment) {
  tools::ClosedPaths closed;
  closed.stores.push_back(place.store);
  closed.files.push_back(place.socket);
  const server::TokenFiles tokens = server::token_files(place.store);
  closed.files.insert(closed.files.end(), {tokens.own, tokens.named});
  if (!place.config_file.empty()) closed.files.push_back(place.config_file);
  std::error_code fault;
  // Also where the command line named another one: the next start may read it.
  if (const auto named = environment("WEFT_CONFIG")) {
    closed.files.push_back(std::filesystem::absolute(*named, fault).string());
  }
  const std::filesystem::path home = environment("HOME").value_or("");
  const std::filesystem::path state = environment("XDG_STATE_HOME").value_or((home / ".local/state").string());
  if (state.is_absolute()) closed.folders.push_back((state / "weft").string());
  return closed;
}

// From now on log lines hold none of the secrets that this engine knows.
void mask_logs(const engine::Config& config, const engine::Getenv& environment) {
  const auto known = std::make_shared<const engine::KnownSecrets>(config, environment);
  for (const auto& sink : spdlog::default_logger()->sinks()) {
    if (auto* log = dynamic_cast<LogSink*>(sink.get())) log->mask([known] { return known->mask(); });
  }
}

class JournalledEngine final : public LocalEngine {
 public:
  ~JournalledEngine() override { stop(Duration::zero()); }

  Status open(const Place& place, const engine::Getenv& environment, LocalEngineOptions options) {
    // What can be refused without a store is refused before one is made.
    WEFT_RETURN_IF_ERROR(require_trust(place, environment));
    WEFT_RETURN_IF_ERROR(check_socket_name(place.socket));
    for (const server::Listen& listen : options.grpc) WEFT_RETURN_IF_ERROR(check_address(listen.address));
    if (options.http) WEFT_RETURN_IF_ERROR(check_address(options.http->address));
    mask_logs(place.config, environment);
    engine::EngineParts parts;
    parts.tools = std::make_unique<tools::Toolbox>();
    if (!options.root.empty()) {
      WEFT_RETURN_IF_ERROR(tools::add_file_tools(*parts.tools, options.root, {}, closed_paths(place, environment)));
    }
    memory::SqliteOptions store;
    store.path = place.store;
    WEFT_TRY(parts.journal, memory::open_sqlite(store));
    WEFT_RETURN_IF_ERROR(note_trusted(place, environment));
    server::ServerOptions listen;
    listen.grpc.push_back({"unix:" + place.socket, server::Listen::IfTaken::kFail});
    listen.grpc.insert(listen.grpc.end(), options.grpc.begin(), options.grpc.end());
    listen.http = options.http;
    listen.reflection = options.reflection;
    // Nothing that owns the store, since its lock is held here; and what follows would wait for it.
    if (const Listener listener = listener_at(place); listener == Listener::kSilent) return no_engine(place, listener);
    listen.tokens = server::token_files(place.store);
    // An engine that starts takes the store from any other, also from one whose lock's file somebody removed.
    WEFT_RETURN_IF_ERROR(server::check_free(listen.grpc));
    parts.clock = &clock_;
    parts.entropy = &entropy_;
    engine::EngineOptions engine_options;
    engine_options.config = place.config;
    engine_options.environment = environment;
    engine_options.schedules = options.schedules;
    WEFT_TRY(engine_, engine::Engine::start(std::move(parts), std::move(engine_options)));

    WEFT_TRY(server_, server::Server::start(*engine_, listen));
    return {};
  }

  const server::Server& server() const override { return *server_; }

  void stop(Duration patience) override {
    if (server_) server_->set_draining();
    if (engine_) engine_->drain(patience);
    // Before the server, which waits for the answer to each call that it took.
    if (engine_) engine_->stop();
    if (server_) server_->stop(kCallsPatience);
    server_.reset();
    engine_.reset();
  }

 private:
  SystemClock clock_;
  SystemEntropy entropy_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<server::Server> server_;  // Uses the engine: ends first.
};

}  // namespace

Result<std::unique_ptr<LocalEngine>> LocalEngine::start(const Place& place, const engine::Getenv& environment,
                                                        LocalEngineOptions options) {
  auto engine = std::make_unique<JournalledEngine>();
  WEFT_RETURN_IF_ERROR(engine->open(place, environment, std::move(options)));
  return std::unique_ptr<LocalEngine>(std::move(engine));
}

}  // namespace weft::cli
