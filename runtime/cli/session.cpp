#include "runtime/cli/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/bytes.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/sim_start.h"
#include "runtime/cli/render/figures.h"
#include "runtime/cli/render/live.h"

namespace weft::cli {
namespace {

bool uses_files(const workflows::Workflow& workflow) {
  const auto is_file_tool = [](const std::string& tool) { return tool.starts_with("fs."); };
  return std::ranges::any_of(workflow.steps, [&](const workflows::Step& step) {
    if (const auto* tool = std::get_if<workflows::ToolBody>(&step.body)) return is_file_tool(tool->tool);
    const auto* prompt = std::get_if<workflows::PromptBody>(&step.body);
    return prompt != nullptr && std::ranges::any_of(prompt->agent.tools, is_file_tool);
  });
}

}  // namespace

Result<Session> open_session(const Context& context, Place& place, const StartValues& values, NoEngine no_engine) {
  Session session;
  session.target = find_engine(place);
  if (session.target) return session;
  if (no_engine == NoEngine::kRefuse) {
    // What would start one is refused as well: so say that, and not how to start it.
    if (place.store_exists) WEFT_RETURN_IF_ERROR(require_trust(place, context.environment));
    WEFT_TRY(session.target, open_engine(place));
    return session;
  }
  if (values.sim) {
    WEFT_TRY(session.provider, start_sim(*values.sim, "127.0.0.1:0", ""));
    place.config.model_url = session.provider->base_url();
    place.config.model_key.clear();
    place.config.model_name.clear();
    place.config.simulated = true;
  }
  LocalEngineOptions local;
  local.root = values.root.empty() ? context.folder : values.root;
  WEFT_TRY(session.engine, LocalEngine::start(place, context.environment, std::move(local)));
  if (!place.store_exists) context.terminal.err_line(fmt::format("new store {}", place.store));
  session.target = connect("unix:" + place.socket);
  return session;
}

Status fits_session(const Session& session, const StartValues& values, const Submission& submission) {
  if (session.engine) return {};
  if (values.sim) {
    return failed_precondition(
        "an engine is there already and decides which models answer: stop it, or give --sim a store of its own with "
        "--store PATH");
  }
  if (!values.root.empty() && (!submission.workflow || uses_files(*submission.workflow))) {
    return failed_precondition(fmt::format(
        "an engine is there already and its own root holds for fs.*: leave out --root, or start {} elsewhere with "
        "--store PATH",
        submission.name));
  }
  return {};
}

Result<std::optional<v1::Run>> follow(const Context& context, Target& target, const std::string& run_id) {
  // At a terminal somebody may answer from another one, so it stays; elsewhere nobody would know why it hangs.
  constexpr std::chrono::milliseconds kLookAgain{300};
  Live live(context.terminal);
  v1::RunsWatchRequest watch;
  watch.set_run_id(run_id);
  watch.set_progress(live.is_shown());
  std::string said;
  while (true) {
    std::optional<v1::Run> end;
    const Status status = target.watch(watch, [&](const v1::RunsWatchResponse& message) {
      live.show(message);
      if (message.has_event()) watch.set_from_seq(message.event().seq() + 1);
      if (message.has_ended()) end = message.ended();
      return end ? Go::kStop : Go::kOn;
    });
    if (!status && status.error().code == Code::kCancelled) return std::optional<v1::Run>();
    if (!status) return status.error();
    if (!end || end->ended_at_us() != 0 || !context.terminal.err_is_tty()) return end;
    if (said != end->waits_for()) context.terminal.err_line("waits for " + printable(end->waits_for()));
    said = end->waits_for();
    std::this_thread::sleep_for(kLookAgain);
  }
}

Exit report(const Context& context, Target& target, const v1::Run& run, Show show) {
  Terminal& terminal = context.terminal;
  const FetchContent fetch = target.fetch(run.id());
  WEFT_COMMAND_TRY(context, const Json json, run_json(run, fetch));
  if (!terminal.is_text()) {
    terminal.out_line(to_text(json));
    return exit_for(run.status());
  }
  if (run.simulated()) terminal.err_line("simulated: no model was asked, the answers are made up");
  if (show == Show::kOutput && !json["output"].is_null()) {
    terminal.out_line(json["output"].is_string() ? terminal.shown(json["output"].get<std::string>())
                                                 : terminal.shown(pretty(json["output"])));
  }
  terminal.err_line(run_line(run, terminal.err_look()));
  if (run.has_failure()) terminal.error({Code::kUnknown, printable(run.failure().message()), {}});
  for (const v1::Doubt& doubt : run.doubts()) {
    terminal.err_line(
        fmt::format("in doubt: {}  {}: {}", printable(doubt.path()), printable(doubt.tool()), printable(doubt.why())));
  }
  terminal.err_line(fmt::format("weft trace {}", run.id()));
  return exit_for(run.status());
}

void stay_for_others(const Context& context, Session& session) {
  if (!session.engine) return;
  v1::RunsListRequest list;
  list.add_statuses(v1::RUN_STATUS_QUEUED);
  list.add_statuses(v1::RUN_STATUS_RUNNING);
  bool said = false;
  while (true) {
    const auto running = session.target->call(&engine::Api::list_runs, list);
    if (!running || running->runs().empty()) return;
    if (!said) {
      context.terminal.err_line(fmt::format("{} still go on in this engine; it ends with them (Ctrl-C pauses them)",
                                            counted(static_cast<std::size_t>(running->runs_size()), "other run")));
    }
    said = true;
    v1::RunsWatchRequest watch;
    watch.set_run_id(running->runs(0).id());
    // Nothing is shown of it; interrupted by Ctrl-C.
    if (!session.target->watch(watch, [](const auto&) { return Go::kOn; })) return;
  }
}

}  // namespace weft::cli
