// `weft schedule`: what starts runs by itself.
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

struct ScheduleValues {
  std::string action;    // list, show, pause, resume, trigger
  std::string workflow;  // Of all but list.
  std::string reason;
  std::string request_id;
  std::uint32_t times = 5;  // Of show.
  PageValues page;
};

Options describe(ScheduleValues& values) {
  Options options = {
      one_of(
          {"list", "show", "pause", "resume", "trigger"},
          required("ACTION", "list; show: one, with its next times; pause, resume: one; trigger: start a run of it now",
                   &values.action)),
      optional("WORKFLOW", "Its name; for every action but list", &values.workflow),
      between(1, 100,
              option("--times", "N", "show: how many of the next times, 1 to 100; 5 by default", &values.times)),
      option("--reason", "TEXT", "pause: kept with the schedule", &values.reason),
      option("--request-id", "ID", "trigger: the same id gives the same run", &values.request_id),
  };
  add_page_options(values.page, options, "list: ");
  return options;
}

std::string overlap_name(v1::ScheduleOverlap overlap) { return short_name(*v1::ScheduleOverlap_descriptor(), overlap); }

std::string catch_up_text(const v1::ScheduleSpec& spec) {
  if (spec.catch_up() == v1::SCHEDULE_CATCH_UP_WITHIN) return to_text(Duration(spec.catch_up_us()));
  return short_name(*v1::ScheduleCatchUp_descriptor(), spec.catch_up());
}

Json time_or_null(std::int64_t at_us) { return at_us == 0 ? Json(nullptr) : Json(time_text(at_us)); }

Json schedule_json(const v1::Schedule& schedule) {
  const v1::ScheduleState& state = schedule.state();
  Json json = Json::object();
  json["workflow"] = schedule.workflow();
  json["workflow_hash"] = schedule.workflow_hash();
  json["schedule"] = schedule.spec().schedule();
  json["zone"] = schedule.spec().zone();
  json["overlap"] = overlap_name(schedule.spec().overlap());
  const bool within = schedule.spec().catch_up() == v1::SCHEDULE_CATCH_UP_WITHIN;
  json["catch_up"] = short_name(*v1::ScheduleCatchUp_descriptor(), schedule.spec().catch_up());
  json["catch_up_within_ms"] = within ? Json(schedule.spec().catch_up_us() / 1'000) : Json(nullptr);
  json["paused"] = state.paused();
  json["reason"] = state.reason().empty() ? Json(nullptr) : Json(state.reason());
  json["served"] = schedule.served();
  json["next"] = Json::array();
  for (const std::int64_t at_us : schedule.next_us()) json["next"].push_back(time_text(at_us));
  json["waiting"] = Json::array();
  for (const std::int64_t at_us : state.waiting_us()) json["waiting"].push_back(time_text(at_us));
  json["last_run_id"] = state.last_run_id().empty() ? Json(nullptr) : Json(state.last_run_id());
  json["last_scheduled_for"] = time_or_null(state.last_scheduled_for_us());
  json["started"] = state.started();
  json["skipped"] = state.skipped();
  json["missed"] = state.missed();
  json["failed"] = state.failed();
  json["trouble"] = state.trouble().empty() ? Json(nullptr) : Json(state.trouble());
  return json;
}

std::string next_text(const v1::Schedule& schedule) {
  if (schedule.state().paused()) return "paused";
  if (schedule.next_us().empty()) return "-";
  return local_date_time(schedule.next_us(0));
}

void print_schedule(const Context& context, const v1::Schedule& schedule) {
  if (!context.terminal.is_text()) return context.terminal.out_line(to_text(schedule_json(schedule)));
  const v1::ScheduleState& state = schedule.state();
  std::vector<std::vector<std::string>> rows;
  const auto row = [&](std::string what, std::string value) { rows.push_back({std::move(what), printable(value)}); };
  row("workflow", fmt::format("{}  {}", schedule.workflow(), schedule.workflow_hash().substr(0, 12)));
  row("schedule", fmt::format("{}  {}", schedule.spec().schedule(), schedule.spec().zone()));
  row("overlap", overlap_name(schedule.spec().overlap()));
  row("catch up", catch_up_text(schedule.spec()));
  if (state.paused()) row("paused", state.reason().empty() ? "yes" : state.reason());
  for (const std::int64_t at_us : schedule.next_us()) row("next", local_date_time(at_us));
  for (const std::int64_t at_us : state.waiting_us()) row("waits for the run before", local_date_time(at_us));
  if (!state.last_run_id().empty()) row("last run", state.last_run_id());
  if (state.last_scheduled_for_us() != 0) row("last time", local_date_time(state.last_scheduled_for_us()));
  row("runs", fmt::format("{} started, {} skipped, {} missed, {} failed", state.started(), state.skipped(),
                          state.missed(), state.failed()));
  if (!state.trouble().empty()) row("trouble", state.trouble());
  context.terminal.out(table(rows));
  if (!schedule.served() && !state.paused())
    context.terminal.err_line("no server starts its runs now; `weft serve` does");
}

Exit list(const Context& context, Target& target, const ScheduleValues& values) {
  v1::SchedulesListRequest request;
  request.set_page_size(values.page.limit);
  request.set_page_token(values.page.token);
  WEFT_COMMAND_TRY(context, const auto listed, target.call(&engine::Api::list_schedules, request));
  if (!context.terminal.is_text()) {
    Json items = Json::array();
    for (const auto& schedule : listed.schedules()) items.push_back(schedule_json(schedule));
    print_list(context.terminal, "schedules", items, listed.next_page_token());
    return Exit::kOk;
  }
  std::vector<std::vector<std::string>> rows{{"WORKFLOW", "SCHEDULE", "ZONE", "NEXT", "LAST RUN"}};
  bool served = listed.schedules().empty();
  for (const auto& schedule : listed.schedules()) {
    served = served || schedule.served();
    rows.push_back({printable(schedule.workflow()), printable(schedule.spec().schedule()),
                    printable(schedule.spec().zone()), next_text(schedule),
                    schedule.state().last_run_id().empty() ? "-" : schedule.state().last_run_id()});
  }
  context.terminal.out(table(rows));
  print_next(context.terminal, listed.next_page_token());
  if (!served) context.terminal.err_line("no server starts their runs now; `weft serve` does");
  return Exit::kOk;
}

Exit act(const Context& context, Target& target, const ScheduleValues& values) {
  if (values.action == "trigger") {
    v1::SchedulesTriggerRequest request;
    request.set_workflow(values.workflow);
    request.set_request_id(values.request_id);
    WEFT_COMMAND_TRY(context, const auto triggered, target.call(&engine::Api::trigger_schedule, request));
    Json json = Json::object();
    json["run_id"] = triggered.run_id();
    json["existing"] = triggered.existing();
    context.terminal.out_line(context.terminal.is_text() ? triggered.run_id() : to_text(json));
    return Exit::kOk;
  }
  if (values.action == "pause") {
    v1::SchedulesPauseRequest request;
    request.set_workflow(values.workflow);
    request.set_reason(values.reason);
    WEFT_COMMAND_TRY(context, const auto paused, target.call(&engine::Api::pause_schedule, request));
    print_schedule(context, paused.schedule());
    return Exit::kOk;
  }
  v1::SchedulesResumeRequest request;
  request.set_workflow(values.workflow);
  WEFT_COMMAND_TRY(context, const auto resumed, target.call(&engine::Api::resume_schedule, request));
  print_schedule(context, resumed.schedule());
  return Exit::kOk;
}

Exit schedule(const Context& context, const ScheduleValues& values) {
  const bool reads = values.action == "list" || values.action == "show";
  if (values.action != "list" && values.workflow.empty())
    return fail(context, invalid_argument(fmt::format("weft schedule {} takes the name of a workflow", values.action)));
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  if (!reads && place.server.empty() && !place.store_exists) return fail(context, no_store(place.store));
  WEFT_COMMAND_TRY(context, const auto target, reads ? open_for_reading(place) : open_engine(place));
  if (values.action == "list") return list(context, *target, values);
  if (!reads) return act(context, *target, values);
  v1::SchedulesGetRequest request;
  request.set_workflow(values.workflow);
  request.set_times(values.times);
  WEFT_COMMAND_TRY(context, const auto found, target->call(&engine::Api::get_schedule, request));
  print_schedule(context, found.schedule());
  return Exit::kOk;
}

}  // namespace

Command schedule_command() {
  return {"schedule", Group::kFiles, "List, show, pause, resume or trigger what starts runs by itself",
          [] { return bound<ScheduleValues>(describe, schedule); }};
}

}  // namespace weft::cli
