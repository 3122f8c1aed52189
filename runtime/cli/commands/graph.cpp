// `weft graph`: a workflow, or a run of it, drawn.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/cli/connect/consent.h"
#include "runtime/cli/files.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/render/graph_view.h"
#include "runtime/cli/submission.h"
#include "runtime/history/trace_tree.h"

namespace weft::cli {
namespace {

struct GraphValues {
  std::string what;             // A file or a run.
  std::string format = "tree";  // tree, mermaid, dot
};

Options describe(GraphValues& values) {
  return {
      required("WHAT", "A file or a run", &values.what),
      one_of({"tree", "mermaid", "dot", "svg"}, option("--format", "FORMAT", "tree by default", &values.format)),
  };
}

// The workflow that a run is pinned to, as it was applied.
Result<std::shared_ptr<const workflows::Workflow>> workflow_of(const Context& context, const Place& place,
                                                               Target& target, const v1::Run& run) {
  WEFT_TRY(auto workflow, find_version(context, place, target, run.workflow_hash()));
  if (!workflow) return internal(fmt::format("the stored workflow {} no longer loads", run.workflow()));
  return workflow;
}

Exit draw(const Context& context, const std::string& format, const workflows::Workflow& workflow,
          const StatusOf& status_of) {
  if (!context.terminal.is_text()) {
    context.terminal.out_line(to_text(graph_json(workflow, status_of)));
  } else if (format == "mermaid") {
    context.terminal.out(graph_mermaid(workflow, status_of));
  } else if (format == "dot") {
    context.terminal.out(graph_dot(workflow, status_of));
  } else if (format == "svg") {
    context.terminal.out(graph_svg(workflow, status_of));
  } else {
    context.terminal.out(graph_tree(workflow, status_of, context.terminal.out_look()));
  }
  return Exit::kOk;
}

Exit graph(const Context& context, const GraphValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  if (names_file(values.what)) {
    WEFT_COMMAND_TRY(context, const Submission submission, read_submission(context, place, values.what));
    return draw(context, values.format, *submission.workflow, [](const std::string&) { return std::nullopt; });
  }
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  WEFT_COMMAND_TRY(context, const v1::Run run, target->find_run(values.what));
  WEFT_COMMAND_TRY(context, const auto workflow, workflow_of(context, place, *target, run));
  history::TraceBuilder builder;
  const Status read = target->for_each_event(run.id(), 1, [&](const v1::Event& event) { builder.add(event); });
  if (!read) return fail(context, read.error());
  return draw(context, values.format, *workflow, [&](const std::string& path) -> std::optional<v1::StepStatus> {
    const history::TraceNode* node = builder.tree().find(path);
    if (node == nullptr || !node->result) return std::nullopt;
    return node->result->status();
  });
}

}  // namespace

Command graph_command() {
  return {"graph", Group::kFiles, "Draw a workflow, or a run of it",
          [] { return bound<GraphValues>(describe, graph); }};
}

}  // namespace weft::cli
