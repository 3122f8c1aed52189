// Schedules as clients see them: the definition in the last applied version of a workflow, and the stored state.
#pragma once

#include <optional>

#include "base/time.h"
#include "memory/journal/journal.h"
#include "weft/v1/schedules.pb.h"
#include "weft/v1/workflows.pb.h"

namespace weft::history {

// How many of the next times are shown with a schedule.
inline constexpr std::uint32_t kTimesTold = 5;
inline constexpr std::uint32_t kTimesToldMax = 100;

// The state of a schedule with this definition: `kept`, or a fresh one where there is none, or where it belongs to
// another definition.
v1::ScheduleState state_for(const v1::ScheduleSpec& spec, Time applied_at, const v1::ScheduleState* kept);
// NOT_FOUND where the workflow has no schedule.
Result<v1::Schedule> describe_schedule(const memory::WorkflowRow& row, const v1::ScheduleState* kept, Time now,
                                       std::uint32_t times);
v1::Schedule describe_schedule(const std::string& workflow, const std::string& hash, const v1::ScheduleSpec& spec,
                               const v1::ScheduleState& state, Time now, std::uint32_t times);
Error no_schedule(const std::string& workflow);

}  // namespace weft::history
