// `weft runs`: the runs of a store.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/inputs.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/render/event_line.h"
#include "runtime/cli/render/figures.h"
#include "runtime/cli/render/table.h"

namespace weft::cli {
namespace {

struct RunsValues {
  std::vector<std::string> statuses;
  std::string workflow;
  std::vector<std::string> labels;
  std::optional<Duration> since;
  PageValues page;
};

Options describe(RunsValues& values) {
  Options options = {
      option("--status", "STATUS", "Runs of this status, as succeeded or running", &values.statuses),
      option("--workflow", "NAME", "Runs of this workflow", &values.workflow),
      option("--label", "NAME=VALUE", "Runs with this label", &values.labels),
      option("--since", "TIME", "Runs submitted within the last 30m, 1h, 7d", &values.since),
  };
  add_page_options(values.page, options);
  return options;
}

Result<v1::RunsListRequest> list_request(const RunsValues& values) {
  v1::RunsListRequest request;
  request.set_workflow(values.workflow);
  request.set_page_size(values.page.limit);
  request.set_page_token(values.page.token);
  for (const std::string& name : values.statuses) {
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
  for (const std::string& text : values.labels) {
    WEFT_TRY(const auto pair, split_pair(text, "--label"));
    auto* label = request.add_labels();
    label->set_key(pair.first);
    label->set_value(pair.second);
  }
  if (values.since) request.set_since_us((SystemClock().now() - *values.since).time_since_epoch().count());
  return request;
}

Exit list_runs(const Context& context, const RunsValues& values) {
  WEFT_COMMAND_TRY(context, const auto request, list_request(values));
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  WEFT_COMMAND_TRY(context, const auto target, open_for_reading(place));
  WEFT_COMMAND_TRY(context, const auto listed, target->call(&engine::Api::list_runs, request));
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

}  // namespace

Command runs_command() {
  return {"runs", Group::kLook, "List runs, newest first", [] { return bound<RunsValues>(describe, list_runs); }};
}

}  // namespace weft::cli
