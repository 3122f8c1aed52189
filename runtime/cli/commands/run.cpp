// `weft run`: a workflow file, checked and run to its end here.
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/signals.h"
#include "runtime/cli/to_end.h"

namespace weft::cli {
namespace {

struct RunValues {
  std::string file;
  StartValues start;
};

Options describe(RunValues& values) {
  Options options = {
      required("FILE", "The workflow", &values.file),
  };
  add_start_options(values.start, options);
  options.push_back(sim_option(values.start));
  return options;
}

Exit run(const Context& context, const RunValues& values) {
  WEFT_COMMAND_TRY(context, Place place, place_for(context, Use::kAct));
  WEFT_COMMAND_TRY(context, Submission submission, read_submission(context, place, values.file));
  if (const Status status = add_inputs(values.start, submission); !status) return fail(context, status.error());
  Interrupts interrupts;
  const Signals signals([&interrupts](int count) { interrupts.on_signal(count); });
  WEFT_COMMAND_TRY(context, Session session, open_session(context, place, values.start, NoEngine::kStartOne));
  if (const Status status = fits_session(session, values.start, submission); !status) {
    return fail(context, status.error());
  }
  const Exit exit = run_to_end(context, session, submission, interrupts, Show::kOutput);
  interrupts.attach(nullptr);
  return exit;
}

}  // namespace

Command run_command() {
  return {"run", Group::kStart, "Check a workflow, run it to its end, print its output",
          [] { return bound<RunValues>(describe, run); }, Command::Log::kEvents};
}

}  // namespace weft::cli
