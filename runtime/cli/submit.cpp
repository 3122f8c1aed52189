#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/cli/files.h"
#include "runtime/cli/signals.h"
#include "runtime/cli/to_end.h"

namespace weft::cli {
namespace {

Exit print_submitted(const Context& context, const Submission& submission, const v1::RunsSubmitResponse& submitted) {
  Terminal& terminal = context.terminal;
  if (!terminal.is_text()) {
    Json json = Json::object();
    json["run_id"] = submitted.run_id();
    json["workflow"] = submission.workflow->name;
    json["workflow_hash"] = submission.hash;
    json["existing"] = submitted.existing();
    terminal.out_line(to_text(json));
    return Exit::kOk;
  }
  terminal.err_line("workflow " + submission.hash);
  if (submitted.existing()) terminal.err_line("this request id was used before: it is the same run");
  terminal.out_line(submitted.run_id());
  terminal.err_line(fmt::format("weft trace {}", submitted.run_id()));
  return Exit::kOk;
}

}  // namespace

Exit execute(const Context& context, const SubmitOptions& options) {
  WEFT_COMMAND_TRY(context, Place place, find_place(context.global, context.environment, context.folder));
  Submission submission;
  const bool from_file = names_file(options.workflow);
  if (from_file) {
    WEFT_COMMAND_TRY(context, submission, read_submission(context, place, options.workflow));
    if (const Status status = add_inputs(options.start, submission); !status) return fail(context, status.error());
  }
  Interrupts interrupts;
  const Signals signals([&interrupts](int count) { interrupts.on_signal(count); });
  const NoEngine no_engine = options.wait ? NoEngine::kStartOne : NoEngine::kRefuse;
  WEFT_COMMAND_TRY(context, Session session, open_session(context, place, options.start, no_engine));
  if (!from_file) {
    WEFT_COMMAND_TRY(context, submission, find_submission(context, place, *session.target, options.workflow));
    if (const Status status = add_inputs(options.start, submission); !status) return fail(context, status.error());
  }
  if (const Status status = fits_session(session, options.start, *submission.workflow); !status) {
    return fail(context, status.error());
  }
  if (!options.wait) {
    WEFT_COMMAND_TRY(context, const auto submitted, submit(*session.target, submission));
    return print_submitted(context, submission, submitted);
  }
  const Exit exit = run_to_end(context, session, submission, interrupts, Show::kNoOutput);
  interrupts.attach(nullptr);
  return exit;
}

}  // namespace weft::cli
