#include <fmt/format.h>
#include <unistd.h>

#include <semaphore>

#include "runtime/cli/commands.h"
#include "runtime/cli/files.h"
#include "runtime/cli/signals.h"
#include "runtime/cli/sim_start.h"
#include "runtime/server/address.h"
#include "sim/script.h"

namespace weft::cli {
namespace {

constexpr std::size_t kScriptBytesMax = std::size_t{1} << 20;

Result<std::shared_ptr<const sim::Script>> read_script(const std::string& path) {
  if (path.empty()) return sim::Script::echo();
  WEFT_TRY(const std::string text, read_file(path, kScriptBytesMax));
  workflows::Diagnostics diagnostics(path);
  auto script = sim::Script::read(text, diagnostics);
  if (script) return script;
  Error error = invalid_argument(path + " is no valid script");
  for (const auto& diagnostic : diagnostics.take()) error.message += "\n  " + workflows::to_text(diagnostic);
  return error;
}

}  // namespace

Result<std::unique_ptr<sim::Provider>> start_sim(const std::string& script, const std::string& listen,
                                                 const std::string& log) {
  WEFT_TRY(auto read, read_script(script));
  WEFT_TRY(const server::Address address, server::parse_address(listen));
  if (address.kind != server::Address::Kind::kTcp) return invalid_argument("weft sim listens on HOST:PORT only");
  sim::ProviderOptions options;
  options.host = address.host;
  options.port = address.port;
  options.log_path = log;
  return sim::Provider::start(std::move(read), options);
}

Exit execute(const Context& context, const SimOptions& options) {
  std::binary_semaphore stop(0);
  const Signals signals([&stop](int count) {
    if (count == 1) stop.release();
  });
  WEFT_COMMAND_TRY(context, const auto provider, start_sim(options.script, options.listen, options.log));
  context.terminal.out_line(fmt::format("weft sim: ready url={} pid={}", provider->base_url(), ::getpid()));
  stop.acquire();
  return Exit::kOk;
}

}  // namespace weft::cli
