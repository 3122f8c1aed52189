// `weft cancel` and `weft kill`.
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/one_run.h"

namespace weft::cli {
namespace {

struct CancelValues {
  std::string run;
  std::string reason;
  bool kill = false;  // The command `kill`.
};

Options describe(CancelValues& values) {
  return {
      run_argument(values.run),
      reason_option(values.reason),
  };
}

Exit cancel(const Context& context, const CancelValues& values) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::RunsCancelRequest request;
  request.set_run_id(values.run);
  request.set_reason(values.reason);
  request.set_kill(values.kill);
  WEFT_COMMAND_TRY(context, const auto cancelled, target->call(&engine::Api::cancel, request));
  print_run(context, cancelled.run());
  return Exit::kOk;
}

Exit kill_run(const Context& context, const CancelValues& values) {
  CancelValues kill = values;
  kill.kill = true;
  return cancel(context, kill);
}

}  // namespace

Command cancel_command() {
  return {"cancel", Group::kSteer, "Cancel a run: calls under way are awaited, effects undone",
          [] { return bound<CancelValues>(describe, cancel); }};
}

Command kill_command() {
  return {"kill", Group::kSteer, "Cancel a run at once: nothing is awaited, and nothing undone",
          [] { return bound<CancelValues>(describe, kill_run); }};
}

}  // namespace weft::cli
