// The HTTP face: GET /healthz (the process answers) and GET /readyz (it takes work).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/server/address.h"

namespace weft::server {

// Thread-safe. Stops serving when destroyed.
class HealthPage {
 public:
  static Result<std::unique_ptr<HealthPage>> start(const Address& address);  // REQUIRES: kTcp.
  virtual ~HealthPage() = default;
  virtual std::string address() const = 0;
  virtual void set_draining() = 0;
};

}  // namespace weft::server
