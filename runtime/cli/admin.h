// The care of a store through the engine that runs on it.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "weft/v1/admin.pb.h"

namespace weft::cli {

// Calls block until they are answered.
class AdminTarget {
 public:
  virtual ~AdminTarget() = default;
  virtual Result<v1::AdminBackupResponse> backup(const v1::AdminBackupRequest& request) = 0;
  virtual Result<v1::AdminStatsResponse> stats() = 0;
  virtual Result<v1::AdminDrainResponse> drain(const v1::AdminDrainRequest& request) = 0;
  virtual Result<v1::AdminPruneResponse> prune(const v1::AdminPruneRequest& request) = 0;
};

// Over gRPC: the socket beside a store.
std::unique_ptr<AdminTarget> connect_admin(const std::string& address);

}  // namespace weft::cli
