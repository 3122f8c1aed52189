// The commands about a run's past: retry, fork, replay.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/cli/checking.h"
#include "runtime/cli/figures.h"
#include "runtime/cli/files.h"
#include "runtime/cli/inputs.h"
#include "runtime/cli/signals.h"
#include "runtime/cli/to_end.h"
#include "runtime/engine/registry.h"
#include "runtime/engine/replay.h"

namespace weft::cli {
namespace {

// The definition that the fork runs: the one of `--workflow`, else the source's own.
Result<Submission> find_definition(const Context& context, const Place& place, Target& target,
                                   const ForkOptions& options) {
  if (names_file(options.workflow)) return read_submission(context, place, options.workflow);
  if (!options.workflow.empty()) return find_submission(context, place, target, options.workflow);
  v1::RunsGetRequest get;
  get.set_run_id(options.run);
  WEFT_TRY(const v1::RunsGetResponse source, target.get_run(get));
  v1::WorkflowsGetRequest version;
  version.set_hash(source.run().workflow_hash());
  WEFT_TRY(const v1::WorkflowsGetResponse found, target.get_workflow(version));
  auto world = world_of(place.config, context.environment, Strictness::kUsual);
  world.refuse_model = nullptr;  // It was checked when it was applied.
  Submission submission;
  submission.workflow = workflows::load(engine::from_wire(found.bundle()), world).workflow;
  submission.hash = found.workflow().hash();
  if (!submission.workflow)
    return failed_precondition(fmt::format("the workflow {} is none for this weft", found.workflow().name()));
  return submission;
}

// The source's own input with what is given in place of what it had.
Result<std::string> changed_input(Target& target, const std::string& run, const workflows::Workflow& workflow,
                                  const std::vector<std::string>& given) {
  WEFT_TRY(const Json changes, read_inputs(workflow, given));
  v1::TracesGetRequest first;
  first.set_run_id(run);
  WEFT_TRY(const v1::TracesGetResponse trace, target.get_trace(first));
  if (trace.events().empty()) return data_loss(fmt::format("run {} has no events", run));
  WEFT_TRY(const std::string bytes,
           content_bytes(trace.events(0).run_submitted().input_json(), target.fetch(trace.run().id())));
  WEFT_TRY(Json input, parse_untrusted(bytes));
  for (const auto& [name, value] : changes.items()) input[name] = value;
  return to_text(input);
}

Result<v1::RunsForkRequest> read_fork(const Context& context, const Place& place, Target& target,
                                      const ForkOptions& options) {
  v1::RunsForkRequest request;
  request.set_run_id(options.run);
  request.set_from(options.from);
  for (const std::string& path : options.rerun) request.add_rerun(path);
  request.set_model(options.model);
  request.set_request_id(options.start.request_id);
  request.set_effects(options.effects == "allow"    ? v1::FORK_EFFECTS_ALLOW
                      : options.effects == "refuse" ? v1::FORK_EFFECTS_REFUSE
                                                    : v1::FORK_EFFECTS_ASK);
  for (const std::string& text : options.start.labels) {
    WEFT_TRY(auto pair, split_pair(text, "--label"));
    request.add_labels()->set_key(pair.first);
    request.mutable_labels()->rbegin()->set_value(pair.second);
  }
  if (options.workflow.empty() && options.start.inputs.empty()) return request;
  WEFT_TRY(Submission definition, find_definition(context, place, target, options));
  if (!options.start.inputs.empty()) {
    WEFT_TRY(*request.mutable_input_json(),
             changed_input(target, options.run, *definition.workflow, options.start.inputs));
  }
  if (options.workflow.empty()) return request;
  if (definition.hash.empty()) {
    v1::WorkflowsApplyRequest apply;
    *apply.mutable_bundle() = definition.bundle;
    WEFT_TRY(const v1::WorkflowsApplyResponse applied, target.apply(apply));
    definition.hash = applied.workflow().hash();
  }
  request.set_workflow_hash(definition.hash);
  return request;
}

std::string compared(const v1::TracesReplayResponse& replayed) {
  std::string text =
      fmt::format("{}, {}, {}, {}", counted(replayed.events(), "event"), counted(replayed.decisions(), "decision"),
                  counted(replayed.requests(), "request"), counted(replayed.arguments(), "tool call"));
  if (replayed.contents() > 0) text += ", " + counted(replayed.contents(), "content");
  if (replayed.costs() > 0) text += ", " + counted(replayed.costs(), "cost");
  return text;
}

Json replay_json(const v1::TracesReplayResponse& replayed) {
  Json json = Json::object();
  json["run_id"] = replayed.run_id();
  json["equal"] = replayed.differences_found() == 0;
  json["events"] = replayed.events();
  json["decisions"] = replayed.decisions();
  json["requests"] = replayed.requests();
  json["tool_calls"] = replayed.arguments();
  json["contents"] = replayed.contents();
  json["costs"] = replayed.costs();
  json["differences_found"] = replayed.differences_found();
  json["differences"] = Json::array();
  for (const v1::Difference& difference : replayed.differences()) {
    json["differences"].push_back(
        Json{{"seq", difference.seq()}, {"path", difference.path()}, {"what", difference.what()}});
  }
  return json;
}

}  // namespace

Exit execute(const Context& context, const RetryOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  if (place.server.empty() && !place.store_exists) return fail(context, no_store(place.store));
  WEFT_COMMAND_TRY(context, const auto target, open_engine(place));
  v1::RunsRetryRequest request;
  request.set_run_id(options.run);
  request.set_reason(options.reason);
  WEFT_COMMAND_TRY(context, const auto retried, target->retry(request));
  if (context.terminal.is_text()) {
    context.terminal.out_line(run_line(retried.run(), context.terminal.out_look()));
  } else {
    context.terminal.out_line(to_text(run_row_json(retried.run())));
  }
  return Exit::kOk;
}

Exit execute(const Context& context, const ForkOptions& options) {
  WEFT_COMMAND_TRY(context, Place place, find_place(context.global, context.environment, context.folder));
  if (place.server.empty() && !place.store_exists) return fail(context, no_store(place.store));
  Terminal& terminal = context.terminal;
  Interrupts interrupts;
  const Signals signals([&interrupts](int count) { interrupts.on_signal(count); });
  const NoEngine no_engine = options.wait ? NoEngine::kStartOne : NoEngine::kRefuse;
  WEFT_COMMAND_TRY(context, Session session, open_session(context, place, options.start, no_engine));
  WEFT_COMMAND_TRY(context, const v1::RunsForkRequest request, read_fork(context, place, *session.target, options));
  WEFT_COMMAND_TRY(context, const v1::RunsForkResponse forked, session.target->fork(request));
  if (!terminal.is_text() && !options.wait) {
    terminal.out_line(to_text(
        Json{{"run_id", forked.run_id()}, {"existing", forked.existing()}, {"events_shared", forked.events_shared()}}));
    return Exit::kOk;
  }
  if (terminal.is_text()) {
    if (forked.existing()) terminal.err_line("this request id was used before: it is the same run");
    terminal.err_line(fmt::format("shares {}", counted(forked.events_shared(), "event")));
    terminal.out_line(forked.run_id());
  }
  if (!options.wait) {
    terminal.err_line(fmt::format("weft trace {}", forked.run_id()));
    return Exit::kOk;
  }
  const Exit exit = follow_to_end(context, session, forked.run_id(), interrupts, Show::kNoOutput);
  interrupts.attach(nullptr);
  return exit;
}

Exit execute(const Context& context, const ReplayOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  v1::TracesReplayRequest request;
  request.set_run_id(options.run);
  request.set_deep(options.deep);
  const auto replayed = [&]() -> Result<v1::TracesReplayResponse> {
    if (!place.server.empty()) return connect(place.server)->replay(request);
    if (!place.store_exists) return no_store(place.store);
    if (engine_answers(place)) return connect("unix:" + place.socket)->replay(request);
    return engine::replay_archive(place.store, place.config, context.environment, request);
  }();
  if (!replayed) return fail(context, replayed.error());
  Terminal& terminal = context.terminal;
  if (!terminal.is_text()) {
    terminal.out_line(to_text(replay_json(*replayed)));
  } else if (replayed->differences_found() == 0) {
    terminal.out_line(fmt::format("equal: {}", compared(*replayed)));
  } else {
    for (const v1::Difference& difference : replayed->differences()) {
      terminal.out_line(
          terminal.shown(fmt::format("event {}{}{}: {}", difference.seq(), difference.path().empty() ? "" : " at ",
                                     difference.path(), difference.what())));
    }
    terminal.out_line(
        fmt::format("differs: {} in {}", counted(replayed->differences_found(), "difference"), compared(*replayed)));
  }
  return replayed->differences_found() == 0 ? Exit::kOk : Exit::kGate;
}

}  // namespace weft::cli
