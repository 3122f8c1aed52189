// `weft workflows`: the applied workflows.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/render/event_line.h"
#include "runtime/cli/render/table.h"

namespace weft::cli {
namespace {

struct WorkflowsValues {
  PageValues page;
};

Options describe(WorkflowsValues& values) {
  Options options;
  add_page_options(values.page, options);
  return options;
}

Exit list_workflows(const Context& context, const WorkflowsValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  v1::WorkflowsListRequest request;
  request.set_page_size(values.page.limit);
  request.set_page_token(values.page.token);
  WEFT_COMMAND_TRY(context, const auto listed, target->call(&engine::Api::list_workflows, request));
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

}  // namespace

Command workflows_command() {
  return {"workflows", Group::kFiles, "List the applied workflows",
          [] { return bound<WorkflowsValues>(describe, list_workflows); }};
}

}  // namespace weft::cli
