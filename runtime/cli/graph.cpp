#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/cli/checking.h"
#include "runtime/cli/files.h"
#include "runtime/cli/graph_view.h"
#include "runtime/cli/start.h"
#include "runtime/cli/trace_tree.h"
#include "runtime/engine/registry.h"

namespace weft::cli {
namespace {

// The workflow that a run is pinned to, as it was applied.
Result<std::shared_ptr<const workflows::Workflow>> workflow_of(const Context& context, const Place& place,
                                                               Target& target, const v1::Run& run) {
  v1::WorkflowsGetRequest request;
  request.set_hash(run.workflow_hash());
  WEFT_TRY(const auto found, target.get_workflow(request));
  auto world = world_of(place.config, context.environment, Strictness::kUsual);
  world.refuse_model = nullptr;
  auto loaded = workflows::load(engine::from_wire(found.bundle()), world);
  if (!loaded.workflow) return internal(fmt::format("the stored workflow {} no longer loads", run.workflow()));
  return loaded.workflow;
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

}  // namespace

Exit execute(const Context& context, const GraphOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  if (names_file(options.what)) {
    WEFT_COMMAND_TRY(context, const Submission submission, read_submission(context, place, options.what));
    return draw(context, options.format, *submission.workflow, [](const std::string&) { return std::nullopt; });
  }
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  v1::RunsGetRequest request;
  request.set_run_id(options.what);
  WEFT_COMMAND_TRY(context, const v1::RunsGetResponse found, target->get_run(request));
  WEFT_COMMAND_TRY(context, const auto workflow, workflow_of(context, place, *target, found.run()));
  TraceBuilder builder;
  const Status read = target->for_each_event(found.run().id(), 1, [&](const v1::Event& event) { builder.add(event); });
  if (!read) return fail(context, read.error());
  return draw(context, options.format, *workflow, [&](const std::string& path) -> std::optional<v1::StepStatus> {
    const TraceNode* node = builder.tree().find(path);
    if (node == nullptr || !node->result) return std::nullopt;
    return node->result->status();
  });
}

}  // namespace weft::cli
