#include "runtime/server/services.h"

namespace weft::server {

// What an operator may do, a token may not: who holds the socket owns the store.
AdminService::AdminService(Shared& shared) : Methods(shared) {
  const auto admin = [&api = shared.api]() -> Result<engine::Admin*> {
    if (engine::Admin* found = api.admin()) return found;
    return unimplemented("this engine's store needs no care");
  };
  add({Access::kSocket, Lane::kAtOnce}, admin, &engine::Admin::backup);
  add({Access::kSocket, Lane::kAtOnce}, admin, &engine::Admin::prune);
  add({Access::kSocket, Lane::kAtOnce}, admin, &engine::Admin::drain);
  add({Access::kSocket, Lane::kReads}, admin, &engine::Admin::stats);
}

}  // namespace weft::server
