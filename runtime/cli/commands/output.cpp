// `weft output`: what a run, or a step of it, returned.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/render/json_view.h"
#include "runtime/history/trace_tree.h"

namespace weft::cli {
namespace {

struct OutputValues {
  std::string run;
  std::string step;
};

Options describe(OutputValues& values) {
  return {
      run_argument(values.run),
      option("--step", "PATH", "The path of a step, whose result is printed instead", &values.step),
  };
}

Result<std::string> output_of(Target& target, const v1::Run& run, const std::string& step) {
  if (step.empty()) {
    if (run.ended_at_us() == 0) return failed_precondition(fmt::format("run {} has not ended", run.id()));
    if (!run.has_output_json()) {
      return failed_precondition(fmt::format("run {} ended {} without an output", run.id(), status_name(run.status())));
    }
    return content_bytes(run.output_json(), target.fetch(run.id()));
  }
  history::TraceBuilder builder;
  WEFT_RETURN_IF_ERROR(target.for_each_event(run.id(), 1, [&](const v1::Event& event) { builder.add(event); }));
  const history::TraceNode* node = builder.tree().find(step);
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

Exit output(const Context& context, const OutputValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  WEFT_COMMAND_TRY(context, const v1::Run run, target->find_run(values.run));
  auto found = output_of(*target, run, values.step);
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

}  // namespace

Command output_command() {
  return {"output", Group::kLook, "Print what a run, or a step of it, returned",
          [] { return bound<OutputValues>(describe, output); }};
}

}  // namespace weft::cli
