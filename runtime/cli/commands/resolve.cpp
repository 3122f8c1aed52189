// `weft resolve`: what became of a call in doubt.
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/one_run.h"

namespace weft::cli {
namespace {

struct ResolveValues {
  std::string run;
  std::string path;
  std::string how;     // done, retry, skip, unknown
  std::string output;  // JSON; empty: null.
  bool new_key = false;
  std::string reason;
};

Options describe(ResolveValues& values) {
  return {
      run_argument(values.run),
      required("PATH", "Of the call, or of its step: refund, refund[inv-12], draft:4.2", &values.path),
      one_of({"done", "retry", "skip", "unknown"}, required("HOW",
                                                            "done: it was done; retry: it is made again; skip: the run "
                                                            "goes on without it; unknown: it stays in doubt",
                                                            &values.how)),
      option("--output", "JSON", "done: the result of the call", &values.output),
      flag("--new-key", "retry: nothing was done for certain, so the call is made under a new key", &values.new_key),
      needed(option("--reason", "TEXT", "How that is known; kept with the run", &values.reason)),
  };
}

Exit resolve(const Context& context, const ResolveValues& values) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::RunsResolveRequest request;
  request.set_run_id(values.run);
  request.set_path(values.path);
  request.set_resolution(values.how == "done"    ? v1::RESOLUTION_DONE
                         : values.how == "retry" ? v1::RESOLUTION_RETRY
                         : values.how == "skip"  ? v1::RESOLUTION_SKIP
                                                 : v1::RESOLUTION_UNKNOWN);
  request.set_output_json(values.output);
  request.set_new_key(values.new_key);
  request.set_reason(values.reason);
  WEFT_COMMAND_TRY(context, const auto resolved, target->call(&engine::Api::resolve, request));
  print_run(context, resolved.run());
  return Exit::kOk;
}

}  // namespace

Command resolve_command() {
  return {"resolve", Group::kSteer, "Settle a call of which it is not known whether it was done",
          [] { return bound<ResolveValues>(describe, resolve); }};
}

}  // namespace weft::cli
