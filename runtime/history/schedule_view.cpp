#include "runtime/history/schedule_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/zone.h"
#include "workflows/cron.h"

namespace weft::history {

v1::ScheduleState state_for(const v1::ScheduleSpec& spec, Time applied_at, const v1::ScheduleState* kept) {
  v1::ScheduleState state;
  if (kept != nullptr) state = *kept;
  if (state.schedule() == spec.schedule() && state.zone() == spec.zone()) return state;
  // The times of another definition say nothing about those of this one, which counts from when it was applied.
  state.set_schedule(spec.schedule());
  state.set_zone(spec.zone());
  state.clear_waiting_us();
  state.set_decided_until_us(applied_at.time_since_epoch().count());
  return state;
}

v1::Schedule describe_schedule(const std::string& workflow, const std::string& hash, const v1::ScheduleSpec& spec,
                               const v1::ScheduleState& state, Time now, std::uint32_t times) {
  v1::Schedule schedule;
  schedule.set_workflow(workflow);
  schedule.set_workflow_hash(hash);
  *schedule.mutable_spec() = spec;
  *schedule.mutable_state() = state;
  const auto cron = workflows::Cron::parse(spec.schedule());
  const auto zone = Zone::load(spec.zone());
  if (!cron || !zone) {
    schedule.mutable_state()->set_trouble(cron ? zone.error().message : cron.error().message);
    return schedule;
  }
  Time last = std::max(now, Time(Duration(state.decided_until_us())));
  while (!state.paused() && schedule.next_us_size() < static_cast<int>(times)) {
    const auto next = cron->next(last, *zone);
    if (!next) break;
    last = *next;
    schedule.add_next_us(last.time_since_epoch().count());
  }
  return schedule;
}

Result<v1::Schedule> describe_schedule(const memory::WorkflowRow& row, const v1::ScheduleState* kept, Time now,
                                       std::uint32_t times) {
  v1::Workflow workflow;
  if (!workflow.ParseFromString(row.summary))
    return data_loss(fmt::format("the stored workflow {} cannot be read", row.name));
  if (!workflow.has_schedule()) return no_schedule(row.name);
  return describe_schedule(row.name, row.hash, workflow.schedule(),
                           state_for(workflow.schedule(), row.applied_at, kept), now, times);
}

Error no_schedule(const std::string& workflow) {
  return not_found(fmt::format("the workflow {} has no schedule: the version that was last applied says no `on`",
                               printable(workflow)));
}

}  // namespace weft::history
