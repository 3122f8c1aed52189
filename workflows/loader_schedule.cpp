// `on`: what starts runs by itself.
#include <fmt/format.h>

#include "workflows/draft.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

void read_cron(Draft& draft, const yaml::Node& node, Schedule& schedule) {
  const auto text = read_text(draft.diagnostics, node, "schedule");
  if (!text) return;
  auto cron = Cron::parse(*text);
  if (cron) schedule.cron = *std::move(cron);
  if (!cron) draft.diagnostics.error(node.mark, "schedule", cron.error().message);
}

void read_zone(Draft& draft, const yaml::Node& node, Schedule& schedule) {
  const auto name = read_text(draft.diagnostics, node, "zone");
  if (!name) return;
  schedule.zone = *name;
  if (draft.world.zones == World::Zones::kTaken) return;
  if (const auto zone = Zone::load(*name); !zone)
    draft.diagnostics.error(node.mark, "schedule", zone.error().message, {}, *name);
}

void read_catch_up(Draft& draft, const yaml::Node& node, Schedule& schedule) {
  using CatchUp = Schedule::CatchUp;
  if (node.is_scalar() && node.text == "none") {
    schedule.catch_up = CatchUp::kNone;
  } else if (node.is_scalar() && node.text == "last") {
    schedule.catch_up = CatchUp::kLast;
  } else if (node.is_scalar() && node.text == "all") {
    schedule.catch_up = CatchUp::kAll;
  } else if (node.is_scalar() && !node.text.empty() && node.text.front() >= '0' && node.text.front() <= '9') {
    schedule.catch_up = CatchUp::kWithin;
    schedule.within = read_duration(draft.diagnostics, node, "catch_up").value_or(Duration(1));
  } else {
    expected(draft.diagnostics, node, "catch_up", "one of none, last, all, or a duration such as 1h");
  }
}

}  // namespace

void read_schedule(Draft& draft, const yaml::Node& top) {
  const yaml::Node* on = top.get("on");
  if (!on) return;
  if (!on->is_map()) return expected(draft.diagnostics, *on, "on", "a map: {schedule: \"0 6 * * *\"}");
  Schedule schedule;
  if (const yaml::Node* cron = on->get("schedule")) {
    read_cron(draft, *cron, schedule);
  } else {
    draft.diagnostics.error(on->mark, "missing-key", "on does not say when", "write schedule: \"0 6 * * *\"");
  }
  if (const yaml::Node* zone = on->get("zone")) read_zone(draft, *zone, schedule);
  if (const yaml::Node* overlap = on->get("overlap")) {
    using Overlap = Schedule::Overlap;
    const auto choice =
        read_choice(draft.diagnostics, *overlap, "overlap", {"skip", "queue", "allow", "cancel_previous"});
    if (choice == "queue") schedule.overlap = Overlap::kQueue;
    if (choice == "allow") schedule.overlap = Overlap::kAllow;
    if (choice == "cancel_previous") schedule.overlap = Overlap::kCancelPrevious;
  }
  if (const yaml::Node* catch_up = on->get("catch_up")) read_catch_up(draft, *catch_up, schedule);
  yaml::refuse_unused(*on, "on", {"schedule", "zone", "overlap", "catch_up"}, draft.diagnostics);
  for (const Input& input : draft.workflow->inputs) {
    if (input.otherwise || input.shape.type().optional()) continue;
    draft.diagnostics.error(key_mark(top, "on"), "schedule",
                            fmt::format("the input \"{}\" has no default, and a schedule gives none", input.name),
                            "give it a default, or make it optional with T?", input.name);
  }
  draft.workflow->schedule = std::move(schedule);
}

}  // namespace weft::workflows
