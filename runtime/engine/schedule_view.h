// Schedules as they are told: the definition in the last applied version of a workflow, and what is kept beside it.
#pragma once

#include <optional>

#include "base/time.h"
#include "memory/journal.h"
#include "weft/v1/schedules.pb.h"
#include "weft/v1/workflows.pb.h"

namespace weft::engine {

// Of the next times that are told with a schedule.
inline constexpr std::uint32_t kTimesTold = 5;
inline constexpr std::uint32_t kTimesToldMax = 100;

// What holds for this definition: `kept`, or a new beginning where it was kept for another one, or nothing was.
v1::ScheduleState state_for(const v1::ScheduleSpec& spec, Time applied_at, const v1::ScheduleState* kept);
// NOT_FOUND where the workflow has no schedule.
Result<v1::Schedule> describe_schedule(const memory::WorkflowRow& row, const v1::ScheduleState* kept, Time now,
                                       std::uint32_t times);
v1::Schedule describe_schedule(const std::string& workflow, const std::string& hash, const v1::ScheduleSpec& spec,
                               const v1::ScheduleState& state, Time now, std::uint32_t times);
Error no_schedule(const std::string& workflow);

}  // namespace weft::engine
