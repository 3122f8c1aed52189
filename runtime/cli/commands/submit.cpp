// `weft submit`: a run handed to the engine that is there.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/cli/connect/consent.h"
#include "runtime/cli/files.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/signals.h"
#include "runtime/cli/to_end.h"

namespace weft::cli {
namespace {

struct SubmitValues {
  std::string workflow;  // A file, or the name of an applied workflow.
  StartValues start;
  bool wait = false;
};

Options describe(SubmitValues& values) {
  Options options = {
      required("WORKFLOW", "A file, or the name of an applied workflow", &values.workflow),
  };
  add_start_options(values.start, options);
  options.push_back(wait_option(values.wait));
  return options;
}

Exit print_submitted(const Context& context, const Submission& submission, const v1::RunsSubmitResponse& submitted) {
  Terminal& terminal = context.terminal;
  if (!terminal.is_text()) {
    Json json = Json::object();
    json["run_id"] = submitted.run_id();
    json["workflow"] = submission.name;
    json["workflow_hash"] = submission.hash.empty() ? Json() : Json(submission.hash);
    json["existing"] = submitted.existing();
    terminal.out_line(to_text(json));
    return Exit::kOk;
  }
  if (!submission.hash.empty()) terminal.err_line("workflow " + submission.hash);
  if (submitted.existing()) terminal.err_line("this request id was used before: it is the same run");
  terminal.out_line(submitted.run_id());
  terminal.err_line(fmt::format("weft trace {}", submitted.run_id()));
  return Exit::kOk;
}

Exit submit_workflow(const Context& context, const SubmitValues& values) {
  WEFT_COMMAND_TRY(context, Place place, place_for(context, Use::kAct));
  Submission submission;
  const bool from_file = names_file(values.workflow);
  if (from_file) {
    WEFT_COMMAND_TRY(context, submission, read_submission(context, place, values.workflow));
    if (const Status status = add_inputs(values.start, submission); !status) return fail(context, status.error());
  }
  Interrupts interrupts;
  const Signals signals([&interrupts](int count) { interrupts.on_signal(count); });
  const NoEngine no_engine = values.wait ? NoEngine::kStartOne : NoEngine::kRefuse;
  WEFT_COMMAND_TRY(context, Session session, open_session(context, place, values.start, no_engine));
  if (!from_file) {
    auto found = find_submission(context, place, *session.target, values.workflow);
    if (!found && found.error().code == Code::kPermissionDenied) found = unread_submission(values.workflow);
    WEFT_COMMAND_TRY(context, submission, std::move(found));
    if (const Status status = add_inputs(values.start, submission); !status) return fail(context, status.error());
  }
  if (const Status status = fits_session(session, values.start, submission); !status) {
    return fail(context, status.error());
  }
  if (!values.wait) {
    WEFT_COMMAND_TRY(context, const auto submitted, submit(*session.target, submission));
    return print_submitted(context, submission, submitted);
  }
  const Exit exit = run_to_end(context, session, submission, interrupts, Show::kNoOutput);
  interrupts.attach(nullptr);
  return exit;
}

}  // namespace

Command submit_command() {
  return {"submit", Group::kStart, "Hand a workflow to a server; prints the id of the run",
          [] { return bound<SubmitValues>(describe, submit_workflow); }};
}

}  // namespace weft::cli
