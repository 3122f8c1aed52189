#include "runtime/server/services.h"

namespace weft::server {

SchedulesService::SchedulesService(Shared& shared) : Methods(shared) {
  const auto engine = engine_of(shared.api);
  add({Access::kAll, Lane::kReads}, engine, &engine::Api::list_schedules);
  add({Access::kAll, Lane::kReads}, engine, &engine::Api::get_schedule);
  add({Access::kAll, Lane::kAtOnce}, engine, &engine::Api::pause_schedule);
  add({Access::kAll, Lane::kAtOnce}, engine, &engine::Api::resume_schedule);
  add({Access::kAll, Lane::kAtOnce}, engine, &engine::Api::trigger_schedule);
}

}  // namespace weft::server
