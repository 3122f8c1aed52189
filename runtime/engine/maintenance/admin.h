// What an operator can ask of a running engine; the same requests and answers as over gRPC.
#pragma once

#include "base/time.h"
#include "runtime/engine/api.h"
#include "weft/v1/admin.pb.h"

namespace weft::engine {

inline constexpr Duration kDrainPatienceMax{600'000'000};  // Of one call of drain().

// Thread-safe. Each reply is answered exactly once, on one of the engine's threads.
class Admin {
 public:
  virtual ~Admin() = default;
  virtual void backup(const v1::AdminBackupRequest& request, Reply<v1::AdminBackupResponse> reply) = 0;
  virtual void prune(const v1::AdminPruneRequest& request, Reply<v1::AdminPruneResponse> reply) = 0;
  virtual void drain(const v1::AdminDrainRequest& request, Reply<v1::AdminDrainResponse> reply) = 0;
  virtual Result<v1::AdminStatsResponse> stats(const v1::AdminStatsRequest& request) const = 0;
};

}  // namespace weft::engine
