// The commands that say something to a run: cancel, kill, resolve.
#include <nlohmann/json.hpp>

#include "runtime/cli/commands.h"
#include "runtime/cli/figures.h"
#include "runtime/cli/files.h"
#include "runtime/cli/target.h"

namespace weft::cli {
namespace {

// No store is NOT_FOUND before no engine is UNAVAILABLE.
Result<std::unique_ptr<Target>> open_existing(const Place& place) {
  if (place.server.empty() && !place.store_exists) return no_store(place.store);
  return open_engine(place);
}

void print_run(const Context& context, const v1::Run& run) {
  if (context.terminal.is_text()) {
    context.terminal.out_line(run_line(run, context.terminal.out_look()));
  } else {
    context.terminal.out_line(to_text(run_row_json(run)));
  }
}

}  // namespace

Exit execute(const Context& context, const CancelOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  WEFT_COMMAND_TRY(context, const auto target, open_existing(place));
  v1::RunsCancelRequest request;
  request.set_run_id(options.run);
  request.set_reason(options.reason);
  request.set_kill(options.kill);
  WEFT_COMMAND_TRY(context, const auto cancelled, target->cancel(request));
  print_run(context, cancelled.run());
  return Exit::kOk;
}

Exit execute(const Context& context, const ResolveOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  WEFT_COMMAND_TRY(context, const auto target, open_existing(place));
  v1::RunsResolveRequest request;
  request.set_run_id(options.run);
  request.set_path(options.path);
  request.set_resolution(options.how == "done"    ? v1::RESOLUTION_DONE
                         : options.how == "retry" ? v1::RESOLUTION_RETRY
                         : options.how == "skip"  ? v1::RESOLUTION_SKIP
                                                  : v1::RESOLUTION_UNKNOWN);
  request.set_output_json(options.output);
  request.set_new_key(options.new_key);
  request.set_reason(options.reason);
  WEFT_COMMAND_TRY(context, const auto resolved, target->resolve(request));
  print_run(context, resolved.run());
  return Exit::kOk;
}

}  // namespace weft::cli
