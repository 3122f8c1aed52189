// The product's engine and server with the workloads' tools: bench_server STORE ADDRESS [SHARDS]. Where a model
// answers, WEFT_MODEL_URL says; WEFT_BENCH_CONFIG is the text of a weft.yaml. Prints "bench_server: ready grpc=ADDRESS"
// and serves until SIGTERM.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/id.h"
#include "bench/bench_tools.h"
#include "memory/journal/sqlite_store.h"
#include "runtime/engine/engine.h"
#include "runtime/server/server.h"

namespace weft::bench {
namespace {

constexpr Duration kPatience{2'000'000};

int fail(const Error& error) {
  fmt::print(stderr, "bench_server: {}\n", error.message);
  return 1;
}

int serve(const std::string& store, const std::string& address, std::uint32_t shards) {
  // Blocked before any thread starts, so that only the wait below takes them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  SystemClock clock;
  SystemEntropy entropy;
  engine::EngineParts parts;
  parts.tools = std::make_unique<tools::Toolbox>();
  add_bench_tools(*parts.tools);
  memory::SqliteOptions options;
  options.path = store;
  auto journal = memory::open_sqlite(options);
  if (!journal) return fail(journal.error());
  parts.journal = *std::move(journal);
  parts.clock = &clock;
  parts.entropy = &entropy;
  engine::EngineOptions engine_options;
  engine_options.environment = engine::system_environment();
  if (const char* yaml = std::getenv("WEFT_BENCH_CONFIG")) {
    workflows::Diagnostics diagnostics("WEFT_BENCH_CONFIG");
    auto config = engine::read_config(yaml, diagnostics);
    if (!config) return fail(invalid_argument("WEFT_BENCH_CONFIG is no configuration"));
    engine_options.config = *std::move(config);
  }
  engine::apply_environment(engine_options.config, engine_options.environment);
  if (const char* threads = std::getenv("WEFT_BENCH_TOOL_THREADS")) {
    const std::size_t count = std::strtoull(threads, nullptr, 10);
    engine_options.config.limits.tool_threads = {.tool_threads_max = count, .threads_per_tool_max = count};
  }
  engine_options.shards = shards;
  auto engine = engine::Engine::start(std::move(parts), std::move(engine_options));
  if (!engine) return fail(engine.error());

  server::ServerOptions listen;
  listen.tokens = server::token_files(store);
  listen.grpc.push_back({address, server::Listen::IfTaken::kFail});
  auto server = server::Server::start(**engine, listen);
  if (!server) return fail(server.error());
  fmt::print("bench_server: ready grpc={}\n", (*server)->grpc_addresses().front());
  std::fflush(stdout);

  int signal = 0;
  ::sigwait(&ends, &signal);
  (*server)->set_draining();
  (*engine)->drain(kPatience);
  (*server)->stop(kPatience);
  return 0;
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) {
  if (count < 3) {
    fmt::print(stderr, "usage: bench_server STORE ADDRESS [SHARDS]\n");
    return 2;
  }
  std::uint32_t shards = 1;
  if (count > 3) {
    const std::string_view text = arguments[3];
    std::from_chars(text.data(), text.data() + text.size(), shards);
  }
  std::signal(SIGPIPE, SIG_IGN);
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  auto log = spdlog::stderr_logger_mt("weft");
  log->set_level(spdlog::level::warn);
  spdlog::set_default_logger(std::move(log));
  return weft::bench::serve(arguments[1], arguments[2], shards);
}
