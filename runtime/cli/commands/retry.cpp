// `weft retry`: begins again what failed.
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/one_run.h"

namespace weft::cli {
namespace {

struct RetryValues {
  std::string run;
  std::string reason;
};

Options describe(RetryValues& values) {
  return {
      run_argument(values.run),
      reason_option(values.reason),
  };
}

Exit retry(const Context& context, const RetryValues& values) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::RunsRetryRequest request;
  request.set_run_id(values.run);
  request.set_reason(values.reason);
  WEFT_COMMAND_TRY(context, const auto retried, target->call(&engine::Api::retry, request));
  print_run(context, retried.run());
  return Exit::kOk;
}

}  // namespace

Command retry_command() {
  return {"retry", Group::kPast, "Begin again what failed or was cut off; keeps what is done",
          [] { return bound<RetryValues>(describe, retry); }};
}

}  // namespace weft::cli
