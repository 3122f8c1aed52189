// The simulated provider in this process, for `run --sim` and `weft sim`.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "sim/provider.h"

namespace weft::cli {

// `script` is a file; empty: echo. `listen` is an address of the loopback.
Result<std::unique_ptr<sim::Provider>> start_sim(const std::string& script, const std::string& listen,
                                                 const std::string& log);

}  // namespace weft::cli
