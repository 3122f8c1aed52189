#include "runtime/cli/start.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/bytes.h"
#include "runtime/cli/checking.h"
#include "runtime/cli/figures.h"
#include "runtime/cli/files.h"
#include "runtime/cli/inputs.h"
#include "runtime/cli/live.h"
#include "runtime/cli/sim_start.h"
#include "runtime/engine/registry.h"

namespace weft::cli {
namespace {

Result<Submission> from_loaded(const Context& context, const std::string& file, workflows::Loaded loaded) {
  const auto diagnostics = to_messages(loaded.diagnostics);
  if (context.terminal.is_text()) print_diagnostics(diagnostics, context.terminal);
  Submission submission;
  submission.workflow = std::move(loaded.workflow);
  if (submission.workflow) return submission;
  const auto errors = static_cast<std::size_t>(
      std::ranges::count_if(diagnostics, [](const auto& item) { return item.severity() != v1::SEVERITY_WARNING; }));
  Error error = invalid_argument(fmt::format("{} has {}", file, counted(errors, "error")));
  for (const auto& item : diagnostics) {
    error.details.push_back({fmt::format("{}:{}:{}", item.file(), item.line(), item.column()), item.message()});
  }
  return error;
}

// "pause" is not an event of this version: the engine stops, and the run goes on with the next one.
}  // namespace

Result<Submission> read_submission(const Context& context, const Place& place, const std::string& file) {
  WEFT_TRY(const workflows::Bundle bundle, read_bundle(file));
  const auto world = world_of(place.config, context.environment, Strictness::kUsual);
  WEFT_TRY(Submission submission, from_loaded(context, file, workflows::load(bundle, world)));
  submission.bundle = to_message(bundle);
  return submission;
}

Result<Submission> find_submission(const Context& context, const Place& place, Target& target,
                                   const std::string& name) {
  v1::WorkflowsGetRequest get;
  get.set_name(name);
  WEFT_TRY(const v1::WorkflowsGetResponse found, target.get_workflow(get));
  auto world = world_of(place.config, context.environment, Strictness::kUsual);
  world.refuse_model = nullptr;  // It was checked when it was applied, where it will run.
  WEFT_TRY(Submission submission,
           from_loaded(context, name, workflows::load(engine::from_wire(found.bundle()), world)));
  submission.hash = found.workflow().hash();
  return submission;
}

Status add_inputs(const StartOptions& options, Submission& submission) {
  WEFT_TRY(const Json given, read_inputs(*submission.workflow, options.inputs));
  WEFT_TRY(const Json inputs, workflows::check_inputs(*submission.workflow, given));
  submission.request.set_input_json(to_text(inputs));
  for (const std::string& text : options.labels) {
    WEFT_TRY(auto pair, split_pair(text, "--label"));
    auto* label = submission.request.add_labels();
    label->set_key(pair.first);
    label->set_value(pair.second);
  }
  submission.request.set_request_id(options.request_id);
  submission.request.set_priority(options.priority);
  return {};
}

bool uses_files(const workflows::Workflow& workflow) {
  const auto is_file_tool = [](const std::string& tool) { return tool.starts_with("fs."); };
  return std::ranges::any_of(workflow.steps, [&](const workflows::Step& step) {
    if (const auto* tool = std::get_if<workflows::ToolBody>(&step.body)) return is_file_tool(tool->tool);
    const auto* prompt = std::get_if<workflows::PromptBody>(&step.body);
    return prompt != nullptr && std::ranges::any_of(prompt->agent.tools, is_file_tool);
  });
}

Result<Session> open_session(const Context& context, Place& place, const StartOptions& options, NoEngine no_engine) {
  Session session;
  if (!place.server.empty()) {
    session.target = connect(place.server);
    return session;
  }
  if (engine_answers(place)) {
    session.target = connect("unix:" + place.socket);
    return session;
  }
  if (no_engine == NoEngine::kRefuse) {
    WEFT_TRY(session.target, open_engine(place));
    return session;
  }
  if (options.sim) {
    WEFT_TRY(session.provider, start_sim(*options.sim, "127.0.0.1:0", ""));
    place.config.model_url = session.provider->base_url();
    place.config.model_key.clear();
    place.config.model_name.clear();
    place.config.simulated = true;
  }
  LocalEngineOptions local;
  local.root = options.root.empty() ? context.folder : options.root;
  WEFT_TRY(session.engine, LocalEngine::start(place, context.environment, std::move(local)));
  if (!place.store_exists) context.terminal.err_line(fmt::format("new store {}", place.store));
  session.target = connect("unix:" + place.socket);
  return session;
}

Status fits_session(const Session& session, const StartOptions& options, const workflows::Workflow& workflow) {
  if (session.engine) return {};
  if (options.sim) {
    return failed_precondition(
        "an engine is there already and decides which models answer: stop it, or give --sim a store of its own with "
        "--store PATH");
  }
  if (!options.root.empty() && uses_files(workflow)) {
    return failed_precondition(fmt::format(
        "an engine is there already and its own root holds for fs.*: leave out --root, or start {} elsewhere with "
        "--store PATH",
        workflow.name));
  }
  return {};
}

Result<v1::RunsSubmitResponse> submit(Target& target, Submission& submission) {
  if (submission.hash.empty()) {
    v1::WorkflowsApplyRequest apply;
    *apply.mutable_bundle() = submission.bundle;
    WEFT_TRY(const v1::WorkflowsApplyResponse applied, target.apply(apply));
    submission.hash = applied.workflow().hash();
  }
  submission.request.set_workflow(submission.workflow->name);
  submission.request.set_workflow_hash(submission.hash);
  return target.submit(submission.request);
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
    if (said != end->waits_for()) context.terminal.err_line("waits for " + context.terminal.shown(end->waits_for()));
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
  if (run.has_failure()) terminal.error({Code::kUnknown, run.failure().message(), {}});
  for (const v1::Doubt& doubt : run.doubts()) {
    terminal.err_line(
        fmt::format("in doubt: {}  {}: {}", printable(doubt.path()), doubt.tool(), printable(doubt.why())));
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
    const auto running = session.target->list_runs(list);
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
