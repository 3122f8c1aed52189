#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/cli/start.h"

namespace weft::cli {

Exit execute(const Context& context, const ApplyOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  // All are checked before any is registered.
  std::vector<Submission> checked;
  for (const std::string& file : options.files) {
    WEFT_COMMAND_TRY(context, checked.emplace_back(), read_submission(context, place, file));
  }
  WEFT_COMMAND_TRY(context, const auto target, open_engine(place));
  Json list = Json::array();
  for (const Submission& submission : checked) {
    v1::WorkflowsApplyRequest request;
    *request.mutable_bundle() = submission.bundle;
    WEFT_COMMAND_TRY(context, const auto applied, target->apply(request));
    const v1::Workflow& workflow = applied.workflow();
    list.push_back(workflow_json(workflow));
    if (context.terminal.is_text()) {
      context.terminal.out_line(
          fmt::format("{}  version {}  {}", workflow.name(), workflow.version(), workflow.hash()));
      if (workflow.has_schedule()) {
        context.terminal.err_line(fmt::format("{} starts by itself: {} ({}); `weft schedule show {}`", workflow.name(),
                                              workflow.schedule().schedule(), workflow.schedule().zone(),
                                              workflow.name()));
      }
    }
  }
  if (!context.terminal.is_text()) {
    Json json = Json::object();
    json["workflows"] = std::move(list);
    context.terminal.out_line(to_text(json));
  }
  return Exit::kOk;
}

}  // namespace weft::cli
