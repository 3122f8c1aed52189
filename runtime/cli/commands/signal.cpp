// `weft signal`: a message to a run.
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/one_run.h"

namespace weft::cli {
namespace {

struct SignalValues {
  std::string run;
  std::string name;
  std::string payload;
  std::string id;
};

Options describe(SignalValues& values) {
  return {
      run_argument(values.run),
      required("NAME", "The signal that a step waits for", &values.name),
      optional("JSON", "The payload; null by default", &values.payload),
      option("--id", "ID", "The same id is the same signal", &values.id),
  };
}

Exit send_signal(const Context& context, const SignalValues& values) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::RunsSignalRequest request;
  request.set_run_id(values.run);
  request.set_name(values.name);
  request.set_payload_json(values.payload);
  request.set_signal_id(values.id);
  WEFT_COMMAND_TRY(context, const auto sent, target->call(&engine::Api::signal, request));
  print_run(context, sent.run());
  if (sent.existing()) context.terminal.err_line("it had come before");
  return Exit::kOk;
}

}  // namespace

Command signal_command() {
  return {"signal", Group::kSteer, "Send a run a message", [] { return bound<SignalValues>(describe, send_signal); }};
}

}  // namespace weft::cli
