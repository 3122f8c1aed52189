// Two values of the label `fair_by`, one of which offers ten times as much as the other.
#pragma once

#include <cstddef>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "bench/arguments.h"

namespace weft::bench {

// What each had of the places in `seconds` seconds, and when a run of a lower priority began among them.
Result<Json> shares(const Arguments& arguments, const std::string& store, std::size_t seconds);

}  // namespace weft::bench
