// `weft trace`: what a run did, as a tree.
#include <nlohmann/json.hpp>

#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/render/event_json.h"
#include "runtime/cli/render/event_line.h"
#include "runtime/cli/render/figures.h"
#include "runtime/cli/render/trace_text.h"
#include "runtime/history/trace_tree.h"

namespace weft::cli {
namespace {

struct TraceValues {
  std::string run;
  std::string step;
  bool follow = false;
  bool full = false;
  bool failed = false;
};

Options describe(TraceValues& values) {
  return {
      run_argument(values.run),
      option("--step", "PATH", "Show only what is beneath this path", &values.step),
      flag("-f,--follow", "Show events as they happen", &values.follow),
      flag("--full", "Show prompts, answers, arguments and results whole", &values.full),
      flag("--failed", "Show only what failed", &values.failed),
  };
}

// Follows a run on stdout, each event as a line.
Exit follow_events(const Context& context, Target& target, const v1::RunsWatchRequest& request) {
  Terminal& terminal = context.terminal;
  const Status status = target.watch(request, [&](const v1::RunsWatchResponse& message) {
    if (message.has_event()) {
      const std::string line =
          terminal.is_text() ? event_line(message.event(), terminal.out_look()) : to_text(event_json(message.event()));
      if (!line.empty()) terminal.out_line(line);
    } else if (message.has_ended() && terminal.is_text()) {
      terminal.out_line(run_line(message.ended(), terminal.out_look()));
    }
    return terminal.out_closed() ? Go::kStop : Go::kOn;
  });
  if (!status) return fail(context, status.error());
  return Exit::kOk;
}

Exit trace(const Context& context, const TraceValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  if (values.follow) {
    v1::RunsWatchRequest request;
    request.set_run_id(values.run);
    return follow_events(context, *target, request);
  }
  WEFT_COMMAND_TRY(context, const v1::Run run, target->find_run(values.run));
  TraceBuilder builder;
  const Status read = target->for_each_event(run.id(), 1, [&](const v1::Event& event) { builder.add(event); });
  if (!read) return fail(context, read.error());
  const FetchContent fetch = target->fetch(run.id());
  if (!context.terminal.is_text()) {
    WEFT_COMMAND_TRY(context, const Json json, trace_json(builder.tree(), run, values.step, fetch));
    context.terminal.out_line(to_text(json));
    return Exit::kOk;
  }
  const TraceView view{values.full, values.failed};
  WEFT_COMMAND_TRY(context, const std::string text,
                   trace_text(builder.tree(), run, values.step, view, context.terminal.out_look(), fetch));
  context.terminal.out(text);
  return Exit::kOk;
}

}  // namespace

Command trace_command() {
  return {"trace", Group::kLook, "Show what a run did: steps, calls, tokens, cost",
          [] { return bound<TraceValues>(describe, trace); }};
}

}  // namespace weft::cli
