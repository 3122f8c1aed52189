// `weft pause` and `weft resume`.
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/one_run.h"

namespace weft::cli {
namespace {

struct PauseValues {
  std::string run;
  std::string reason;
};

Options describe(PauseValues& values) {
  return {
      run_argument(values.run),
      reason_option(values.reason),
  };
}

Exit pause_run(const Context& context, const PauseValues& values) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::RunsPauseRequest request;
  request.set_run_id(values.run);
  request.set_reason(values.reason);
  WEFT_COMMAND_TRY(context, const auto paused, target->call(&engine::Api::pause, request));
  print_run(context, paused.run());
  return Exit::kOk;
}

Exit resume_run(const Context& context, const PauseValues& values) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::RunsResumeRequest request;
  request.set_run_id(values.run);
  request.set_reason(values.reason);
  WEFT_COMMAND_TRY(context, const auto resumed, target->call(&engine::Api::resume, request));
  print_run(context, resumed.run());
  return Exit::kOk;
}

}  // namespace

Command pause_command() {
  return {"pause", Group::kSteer, "Start nothing new in a run; what is under way goes on",
          [] { return bound<PauseValues>(describe, pause_run); }};
}

Command resume_command() {
  return {"resume", Group::kSteer, "Let a paused run go on", [] { return bound<PauseValues>(describe, resume_run); }};
}

}  // namespace weft::cli
