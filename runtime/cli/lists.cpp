// The commands that list: workflows and runs.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/event_line.h"
#include "runtime/cli/figures.h"
#include "runtime/cli/inputs.h"
#include "runtime/cli/table.h"
#include "runtime/cli/target.h"
#include "workflows/diagnostic.h"

namespace weft::cli {
namespace {

Result<v1::RunsListRequest> list_request(const RunsOptions& options) {
  v1::RunsListRequest request;
  request.set_workflow(options.workflow);
  request.set_page_size(options.limit);
  request.set_page_token(options.page);
  for (const std::string& name : options.statuses) {
    const auto status = status_named(name);
    if (!status) {
      std::vector<std::string> names;
      for (int number = 1; v1::RunStatus_IsValid(number); ++number) {
        names.push_back(status_name(static_cast<v1::RunStatus>(number)));
      }
      return invalid_argument(fmt::format("\"{}\" is no status of a run: {}", name, fmt::join(names, ", ")));
    }
    request.add_statuses(*status);
  }
  for (const std::string& text : options.labels) {
    WEFT_TRY(const auto pair, split_pair(text, "--label"));
    auto* label = request.add_labels();
    label->set_key(pair.first);
    label->set_value(pair.second);
  }
  if (options.since) request.set_since_us((SystemClock().now() - *options.since).time_since_epoch().count());
  return request;
}

}  // namespace

Exit execute(const Context& context, const WorkflowsOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  v1::WorkflowsListRequest request;
  request.set_page_size(options.limit);
  request.set_page_token(options.page);
  WEFT_COMMAND_TRY(context, const auto listed, target->list_workflows(request));
  if (!context.terminal.is_text()) {
    Json items = Json::array();
    for (const auto& workflow : listed.workflows()) items.push_back(workflow_json(workflow));
    print_list(context.terminal, "workflows", items, listed.next_page_token());
    return Exit::kOk;
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "VERSION", "HASH", "STEPS", "DESCRIPTION"}};
  for (const auto& workflow : listed.workflows()) {
    rows.push_back({printable(workflow.name()), std::to_string(workflow.version()), workflow.hash().substr(0, 12),
                    std::to_string(workflow.steps()),
                    clip(workflow.description(), 60, context.terminal.out_look().unicode)});
  }
  context.terminal.out(table(rows));
  print_next(context.terminal, listed.next_page_token());
  return Exit::kOk;
}

Exit execute(const Context& context, const RunsOptions& options) {
  WEFT_COMMAND_TRY(context, const auto request, list_request(options));
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  WEFT_COMMAND_TRY(context, const auto listed, target->list_runs(request));
  if (!context.terminal.is_text()) {
    Json items = Json::array();
    for (const auto& run : listed.runs()) items.push_back(run_row_json(run));
    print_list(context.terminal, "runs", items, listed.next_page_token());
    return Exit::kOk;
  }
  const auto waits = [](const v1::Run& run) { return !run.waits_for().empty(); };
  const bool any_waits = std::ranges::any_of(listed.runs(), waits);
  std::vector<std::vector<std::string>> rows{{"RUN", "WORKFLOW", "STATUS", "SUBMITTED", "TOOK", "COST"}};
  if (any_waits) rows.front().emplace_back("WAITS FOR");
  for (const auto& run : listed.runs()) {
    rows.push_back({run.id(), printable(run.workflow()), status_name(run.status()),
                    local_date_time(run.submitted_at_us()),
                    run.ended_at_us() == 0 ? "-" : took_text(run.submitted_at_us(), run.ended_at_us()),
                    usd_text(run.has_cost() ? &run.cost() : nullptr) + (run.usage().estimated() ? " estimated" : "")});
    if (any_waits) rows.back().push_back(printable(run.waits_for()));
  }
  context.terminal.out(table(rows));
  print_next(context.terminal, listed.next_page_token());
  return Exit::kOk;
}

}  // namespace weft::cli
