// The commands that say something to a run: cancel, kill, resolve, answer, signal, pause, resume.
#include <nlohmann/json.hpp>

#include "runtime/cli/commands.h"
#include "runtime/cli/figures.h"
#include "runtime/cli/files.h"
#include "runtime/cli/target.h"

namespace weft::cli {
namespace {

// The engine that has the runs; no store is NOT_FOUND before no engine is UNAVAILABLE.
Result<std::unique_ptr<Target>> open_existing(const Context& context) {
  WEFT_TRY(const Place place, find_place(context.global, context.environment, context.folder));
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
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::RunsCancelRequest request;
  request.set_run_id(options.run);
  request.set_reason(options.reason);
  request.set_kill(options.kill);
  WEFT_COMMAND_TRY(context, const auto cancelled, target->cancel(request));
  print_run(context, cancelled.run());
  return Exit::kOk;
}

Exit execute(const Context& context, const ResolveOptions& options) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
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

Exit execute(const Context& context, const AnswerOptions& options) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::RunsAnswerRequest request;
  request.set_run_id(options.run);
  request.set_path(options.path);
  // JSON where it is JSON, else the text itself: `send` needs no quotes.
  const auto json = parse_untrusted(options.value);
  request.set_value_json(json ? to_text(*json) : to_text(Json(options.value)));
  request.set_by(options.by);
  WEFT_COMMAND_TRY(context, const auto answered, target->answer(request));
  print_run(context, answered.run());
  if (answered.existing()) context.terminal.err_line("it had been answered so before");
  return Exit::kOk;
}

Exit execute(const Context& context, const SignalOptions& options) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::RunsSignalRequest request;
  request.set_run_id(options.run);
  request.set_name(options.name);
  request.set_payload_json(options.payload);
  request.set_signal_id(options.id);
  WEFT_COMMAND_TRY(context, const auto sent, target->signal(request));
  print_run(context, sent.run());
  if (sent.existing()) context.terminal.err_line("it had come before");
  return Exit::kOk;
}

Exit execute(const Context& context, const HoldOptions& options) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::Run run;
  if (options.resume) {
    v1::RunsResumeRequest request;
    request.set_run_id(options.run);
    request.set_reason(options.reason);
    WEFT_COMMAND_TRY(context, auto resumed, target->resume(request));
    run.Swap(resumed.mutable_run());
  } else {
    v1::RunsPauseRequest request;
    request.set_run_id(options.run);
    request.set_reason(options.reason);
    WEFT_COMMAND_TRY(context, auto paused, target->pause(request));
    run.Swap(paused.mutable_run());
  }
  print_run(context, run);
  return Exit::kOk;
}

}  // namespace weft::cli
