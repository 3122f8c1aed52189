// `weft fork`: a new run that shares the past of another one.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/files.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/inputs.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/render/figures.h"
#include "runtime/cli/signals.h"
#include "runtime/cli/to_end.h"

namespace weft::cli {
namespace {

struct ForkValues {
  std::string run;
  std::string from;
  std::vector<std::string> rerun;
  std::string model;
  std::string workflow;  // A file, or the name of an applied workflow; empty: the source's own.
  std::string effects = "ask";
  StartValues start;
  bool wait = false;
};

Options describe(ForkValues& values) {
  Options options = {
      run_argument(values.run),
      needed(option("--from", "PATH",
                    "Where the new run begins to differ: reply, refund[inv-12], reply#2/draft, draft:4", &values.from)),
      option("--rerun", "PATH", "Also made anew, where it began earlier", &values.rerun),
      option("--model", "MODEL", "The model that answers from there on", &values.model),
      option("--workflow", "WORKFLOW", "Another definition: a file, or the name of an applied workflow",
             &values.workflow),
      one_of({"ask", "allow", "refuse"},
             option("--effects", "HOW",
                    "Calls that change the world: ask before each, allow or refuse them; ask by default",
                    &values.effects)),
  };
  add_start_options(values.start, options);
  options.push_back(wait_option(values.wait));
  options.push_back(sim_option(values.start));
  return options;
}

// The definition that the fork runs: the one of `--workflow`, else the source's own.
Result<Submission> find_definition(const Context& context, const Place& place, Target& target,
                                   const ForkValues& values) {
  if (names_file(values.workflow)) return read_submission(context, place, values.workflow);
  if (!values.workflow.empty()) return find_submission(context, place, target, values.workflow);
  WEFT_TRY(const v1::Run source, target.find_run(values.run));
  Submission submission;
  WEFT_TRY(submission.workflow, find_version(context, place, target, source.workflow_hash()));
  if (!submission.workflow)
    return failed_precondition(fmt::format("the workflow {} is none for this weft", source.workflow()));
  submission.hash = source.workflow_hash();
  return submission;
}

// The source's own input with what is given in place of what it had.
Result<std::string> changed_input(Target& target, const std::string& run, const workflows::Workflow& workflow,
                                  const std::vector<std::string>& given) {
  WEFT_TRY(const Json changes, read_inputs(workflow, given));
  v1::TracesGetRequest first;
  first.set_run_id(run);
  WEFT_TRY(const v1::TracesGetResponse trace, target.call(&engine::Api::get_trace, first));
  if (trace.events().empty()) return data_loss(fmt::format("run {} has no events", run));
  WEFT_TRY(const std::string bytes,
           content_bytes(trace.events(0).run_submitted().input_json(), target.fetch(trace.run().id())));
  WEFT_TRY(Json input, parse_untrusted(bytes));
  for (const auto& [name, value] : changes.items()) input[name] = value;
  return to_text(input);
}

Result<v1::RunsForkRequest> read_fork(const Context& context, const Place& place, Target& target,
                                      const ForkValues& values) {
  v1::RunsForkRequest request;
  request.set_run_id(values.run);
  request.set_from(values.from);
  for (const std::string& path : values.rerun) request.add_rerun(path);
  request.set_model(values.model);
  request.set_request_id(values.start.request_id);
  request.set_effects(values.effects == "allow"    ? v1::FORK_EFFECTS_ALLOW
                      : values.effects == "refuse" ? v1::FORK_EFFECTS_REFUSE
                                                   : v1::FORK_EFFECTS_ASK);
  for (const std::string& text : values.start.labels) {
    WEFT_TRY(auto pair, split_pair(text, "--label"));
    request.add_labels()->set_key(pair.first);
    request.mutable_labels()->rbegin()->set_value(pair.second);
  }
  if (values.workflow.empty() && values.start.inputs.empty()) return request;
  WEFT_TRY(Submission definition, find_definition(context, place, target, values));
  if (!values.start.inputs.empty()) {
    WEFT_TRY(*request.mutable_input_json(),
             changed_input(target, values.run, *definition.workflow, values.start.inputs));
  }
  if (values.workflow.empty()) return request;
  if (definition.hash.empty()) {
    if (const auto applied = apply(target, definition); !applied) return applied.error();
  }
  request.set_workflow_hash(definition.hash);
  return request;
}

Exit fork_run(const Context& context, const ForkValues& values) {
  WEFT_COMMAND_TRY(context, Place place, place_for(context, Use::kAct));
  if (place.server.empty() && !place.store_exists) return fail(context, no_store(place.store));
  Terminal& terminal = context.terminal;
  Interrupts interrupts;
  const Signals signals([&interrupts](int count) { interrupts.on_signal(count); });
  const NoEngine no_engine = values.wait ? NoEngine::kStartOne : NoEngine::kRefuse;
  WEFT_COMMAND_TRY(context, Session session, open_session(context, place, values.start, no_engine));
  WEFT_COMMAND_TRY(context, const v1::RunsForkRequest request, read_fork(context, place, *session.target, values));
  WEFT_COMMAND_TRY(context, const v1::RunsForkResponse forked, session.target->call(&engine::Api::fork, request));
  if (!terminal.is_text() && !values.wait) {
    terminal.out_line(to_text(
        Json{{"run_id", forked.run_id()}, {"existing", forked.existing()}, {"events_shared", forked.events_shared()}}));
    return Exit::kOk;
  }
  if (terminal.is_text()) {
    if (forked.existing()) terminal.err_line("this request id was used before: it is the same run");
    terminal.err_line(fmt::format("shares {}", counted(forked.events_shared(), "event")));
    terminal.out_line(forked.run_id());
  }
  if (!values.wait) {
    terminal.err_line(fmt::format("weft trace {}", forked.run_id()));
    return Exit::kOk;
  }
  const Exit exit = follow_to_end(context, session, forked.run_id(), interrupts, Show::kNoOutput);
  interrupts.attach(nullptr);
  return exit;
}

}  // namespace

Command fork_command() {
  return {"fork", Group::kPast, "Begin a run that shares the past of another one up to a path",
          [] { return bound<ForkValues>(describe, fork_run); }};
}

}  // namespace weft::cli
