// `weft sim`: the simulated model provider on its own.
#include <fmt/format.h>
#include <unistd.h>

#include <semaphore>

#include "runtime/cli/connect/sim_start.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/signals.h"

namespace weft::cli {
namespace {

struct SimValues {
  std::string script;
  std::string listen = "127.0.0.1:0";
  std::string log;
};

Options describe(SimValues& values) {
  return {
      optional("SCRIPT", "What it answers; it echoes by default", &values.script),
      option("--listen", "ADDR", "127.0.0.1:PORT; picks a port by default", &values.listen),
      option("--log", "FILE", "Gets each request as a line of JSON", &values.log),
  };
}

Exit sim(const Context& context, const SimValues& values) {
  std::binary_semaphore stop(0);
  const Signals signals([&stop](int count) {
    if (count == 1) stop.release();
  });
  WEFT_COMMAND_TRY(context, const auto provider, start_sim(values.script, values.listen, values.log));
  context.terminal.out_line(fmt::format("weft sim: ready url={} pid={}", provider->base_url(), ::getpid()));
  stop.acquire();
  return Exit::kOk;
}

}  // namespace

Command sim_command() {
  return {"sim", Group::kServe, "Run a simulated model provider, in the OpenAI format",
          [] { return bound<SimValues>(describe, sim); }};
}

}  // namespace weft::cli
