#include "runtime/cli/to_end.h"

#include <fmt/format.h>

namespace weft::cli {
namespace {

// After Ctrl-C: what is about to be recorded still is; calls in flight are made again by the next engine.
constexpr Duration kPausePatience{500'000};

Exit interrupted(const Context& context, Session& session, const std::string& run_id) {
  if (session.engine) {
    session.engine->stop(kPausePatience);
    context.terminal.err_line(
        fmt::format("paused: run {} goes on with the next `weft run` or `weft serve` on this store", run_id));
  } else {
    context.terminal.err_line(fmt::format("run {} goes on in the engine that it was given to", run_id));
  }
  context.terminal.err_line(fmt::format("weft trace {}", run_id));
  return Exit::kWaits;
}

}  // namespace

Exit run_to_end(const Context& context, Session& session, Submission& submission, Interrupts& interrupts, Show show) {
  interrupts.attach(session.target.get());
  WEFT_COMMAND_TRY(context, const v1::RunsSubmitResponse submitted, submit(*session.target, submission));
  if (show == Show::kNoOutput && context.terminal.is_text()) {
    if (!submission.hash.empty()) context.terminal.err_line("workflow " + submission.hash);
    context.terminal.out_line(submitted.run_id());
  }
  return follow_to_end(context, session, submitted.run_id(), interrupts, show);
}

Exit follow_to_end(const Context& context, Session& session, const std::string& run_id, Interrupts& interrupts,
                   Show show) {
  interrupts.attach(session.target.get());
  WEFT_COMMAND_TRY(context, const auto run, follow(context, *session.target, run_id));
  if (!run) return interrupted(context, session, run_id);
  const Exit exit = report(context, *session.target, *run, show);
  stay_for_others(context, session);
  if (interrupts.asked() && session.engine) session.engine->stop(kPausePatience);
  return exit;
}

}  // namespace weft::cli
