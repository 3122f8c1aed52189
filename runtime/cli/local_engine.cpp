#include "runtime/cli/local_engine.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/id.h"
#include "memory/journal.h"
#include "runtime/engine/engine.h"
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

class JournalledEngine final : public LocalEngine {
 public:
  ~JournalledEngine() override { stop(Duration::zero()); }

  Status open(const Place& place, const engine::Getenv& environment, LocalEngineOptions options) {
    // What can be refused without a store is refused before one is made.
    for (const server::Listen& listen : options.grpc) WEFT_RETURN_IF_ERROR(check_address(listen.address));
    if (options.http) WEFT_RETURN_IF_ERROR(check_address(options.http->address));
    engine::EngineParts parts;
    parts.tools = std::make_unique<tools::Toolbox>();
    if (!options.root.empty()) WEFT_RETURN_IF_ERROR(tools::add_file_tools(*parts.tools, options.root));
    memory::SqliteOptions store;
    store.path = place.store;
    WEFT_TRY(parts.journal, memory::open_sqlite(store));
    server::ServerOptions listen;
    listen.grpc.push_back({"unix:" + place.socket, server::Listen::IfTaken::kFail});
    listen.grpc.insert(listen.grpc.end(), options.grpc.begin(), options.grpc.end());
    listen.http = options.http;
    listen.reflection = options.reflection;
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
