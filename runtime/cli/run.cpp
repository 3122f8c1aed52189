#include "runtime/cli/signals.h"
#include "runtime/cli/to_end.h"

namespace weft::cli {

Exit execute(const Context& context, const RunOptions& options) {
  WEFT_COMMAND_TRY(context, Place place, find_place(context.global, context.environment, context.folder));
  WEFT_COMMAND_TRY(context, Submission submission, read_submission(context, place, options.file));
  if (const Status status = add_inputs(options.start, submission); !status) return fail(context, status.error());
  Interrupts interrupts;
  const Signals signals([&interrupts](int count) { interrupts.on_signal(count); });
  WEFT_COMMAND_TRY(context, Session session, open_session(context, place, options.start, NoEngine::kStartOne));
  if (const Status status = fits_session(session, options.start, *submission.workflow); !status) {
    return fail(context, status.error());
  }
  const Exit exit = run_to_end(context, session, submission, interrupts, Show::kOutput);
  interrupts.attach(nullptr);
  return exit;
}

}  // namespace weft::cli
