#include "runtime/server/services.h"

namespace weft::server {

WorkflowsService::WorkflowsService(Shared& shared) : Methods(shared) {
  const auto engine = engine_of(shared.api);
  add({Access::kAll, Lane::kLong}, engine, &engine::Api::check);
  add({Access::kAll, Lane::kLong}, engine, &engine::Api::apply);
  add({Access::kAll, Lane::kReads}, engine, &engine::Api::get_workflow);
  add({Access::kAll, Lane::kReads}, engine, &engine::Api::list_workflows);
}

}  // namespace weft::server
