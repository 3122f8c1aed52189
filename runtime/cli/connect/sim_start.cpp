#include "runtime/cli/connect/sim_start.h"

#include "runtime/cli/files.h"
#include "runtime/server/address.h"
#include "sim/script.h"

namespace weft::cli {
namespace {

constexpr std::size_t kScriptBytesMax = std::size_t{1} << 20;

Result<std::shared_ptr<const sim::Script>> read_script(const std::string& path) {
  if (path.empty()) return sim::Script::echo();
  WEFT_TRY(const std::string text, read_file(path, kScriptBytesMax, Pipes::kTaken));
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

}  // namespace weft::cli
