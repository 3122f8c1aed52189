// The HTTP face: GET /healthz (the process answers) and GET /readyz (it takes work; 503 with the sentence why not).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/server/address.h"

namespace weft::server {

// Thread-safe. Stops serving when destroyed.
class HealthPage {
 public:
  // `admits` says whether new work is taken; called on the page's threads. REQUIRES: `address` is kTcp.
  static Result<std::unique_ptr<HealthPage>> start(const Address& address, std::function<Status()> admits);
  virtual ~HealthPage() = default;
  virtual std::string address() const = 0;
  virtual void set_draining() = 0;
};

}  // namespace weft::server
