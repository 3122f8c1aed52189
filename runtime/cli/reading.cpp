// The commands that look at one run: wait, output, trace, events.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/event_json.h"
#include "runtime/cli/event_line.h"
#include "runtime/cli/target.h"
#include "runtime/cli/trace_text.h"

namespace weft::cli {
namespace {

Result<v1::Run> find_run(Target& target, const std::string& key) {
  v1::RunsGetRequest request;
  request.set_run_id(key);
  WEFT_TRY(auto found, target.get_run(request));
  return std::move(*found.mutable_run());
}

Result<std::string> output_of(Target& target, const v1::Run& run, const std::string& step) {
  if (step.empty()) {
    if (run.ended_at_us() == 0) return failed_precondition(fmt::format("run {} has not ended", run.id()));
    if (!run.has_output_json()) {
      return failed_precondition(fmt::format("run {} ended {} without an output", run.id(), status_name(run.status())));
    }
    return content_bytes(run.output_json(), target.fetch(run.id()));
  }
  TraceBuilder builder;
  WEFT_RETURN_IF_ERROR(target.for_each_event(run.id(), 1, [&](const v1::Event& event) { builder.add(event); }));
  const TraceNode* node = builder.tree().find(step);
  if (node == nullptr) return not_found(fmt::format("run {} has no step \"{}\", or several", run.id(), step));
  if (!node->result) return failed_precondition(fmt::format("step {} has not ended", node->path));
  if (node->result->has_output_json()) return content_bytes(node->result->output_json(), target.fetch(run.id()));
  if (!node->result->has_text()) {
    return failed_precondition(
        fmt::format("step {} ended {} without a result", node->path, status_name(node->result->status())));
  }
  WEFT_TRY(const std::string text, content_bytes(node->result->text(), target.fetch(run.id())));
  return to_text(Json(text));
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

}  // namespace

Exit execute(const Context& context, const WaitOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  Exit exit = Exit::kOk;
  Json list = Json::array();
  const SystemClock clock;
  const Duration until = clock.monotonic() + options.timeout.value_or(Duration::zero());
  for (const std::string& key : options.runs) {
    v1::RunsWaitRequest request;
    request.set_run_id(key);
    if (options.timeout) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - clock.monotonic());
      request.set_timeout_ms(std::max<std::int64_t>(1, left.count()));
    }
    WEFT_COMMAND_TRY(context, const auto waited, target->wait(request));
    const v1::Run& run = waited.run();
    if (is_under_way(run.status())) {
      context.terminal.error(
          {Code::kDeadlineExceeded, fmt::format("run {} is still {}", run.id(), status_name(run.status())), {}});
      exit = graver(exit, Exit::kFailed);
    } else {
      exit = graver(exit, exit_for(run.status()));
    }
    WEFT_COMMAND_TRY(context, Json json, run_json(run, target->fetch(run.id())));
    if (context.terminal.is_text()) context.terminal.out_line(run_line(run, context.terminal.out_look()));
    if (context.terminal.format() == Format::kNdjson) context.terminal.out_line(to_text(json));
    list.push_back(std::move(json));
  }
  if (context.terminal.format() != Format::kJson) return exit;
  Json all = Json::object();
  all["runs"] = list;
  context.terminal.out_line(to_text(list.size() == 1 ? list.front() : all));
  return exit;
}

Exit execute(const Context& context, const OutputOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  WEFT_COMMAND_TRY(context, const v1::Run run, find_run(*target, options.run));
  auto found = output_of(*target, run, options.step);
  if (!found && found.error().code == Code::kFailedPrecondition) {
    // Why it has none, its status says, also to scripts.
    context.terminal.error(found.error());
    return exit_for(run.status());
  }
  WEFT_COMMAND_TRY(context, const std::string output, std::move(found));
  if (!context.terminal.is_text()) {
    context.terminal.out_line(output);
    return Exit::kOk;
  }
  const Json value = bytes_json(output, Holds::kJson);
  context.terminal.out_line(context.terminal.shown(value.is_string() ? value.get<std::string>() : pretty(value)));
  return Exit::kOk;
}

Exit execute(const Context& context, const TraceOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  if (options.follow) {
    v1::RunsWatchRequest request;
    request.set_run_id(options.run);
    return follow_events(context, *target, request);
  }
  WEFT_COMMAND_TRY(context, const v1::Run run, find_run(*target, options.run));
  TraceBuilder builder;
  const Status read = target->for_each_event(run.id(), 1, [&](const v1::Event& event) { builder.add(event); });
  if (!read) return fail(context, read.error());
  const FetchContent fetch = target->fetch(run.id());
  if (!context.terminal.is_text()) {
    WEFT_COMMAND_TRY(context, const Json json, trace_json(builder.tree(), run, options.step, fetch));
    context.terminal.out_line(to_text(json));
    return Exit::kOk;
  }
  const TraceView view{options.full, options.failed};
  WEFT_COMMAND_TRY(context, const std::string text,
                   trace_text(builder.tree(), run, options.step, view, context.terminal.out_look(), fetch));
  context.terminal.out(text);
  return Exit::kOk;
}

Exit execute(const Context& context, const EventsOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  const auto print = [&](const v1::Event& event) { context.terminal.out_line(to_text(event_json(event))); };
  if (!options.follow) {
    WEFT_COMMAND_TRY(context, const v1::Run run, find_run(*target, options.run));
    const Status read = target->for_each_event(run.id(), options.from, print);
    return read ? Exit::kOk : fail(context, read.error());
  }
  v1::RunsWatchRequest request;
  request.set_run_id(options.run);
  request.set_from_seq(options.from);
  const Status status = target->watch(request, [&](const v1::RunsWatchResponse& message) {
    if (message.has_event()) print(message.event());
    return context.terminal.out_closed() ? Go::kStop : Go::kOn;
  });
  return status ? Exit::kOk : fail(context, status.error());
}

}  // namespace weft::cli
