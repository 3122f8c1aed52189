// Two values of the label `fair_by`, one of which offers ten times as much as the other.
#pragma once

#include <cstddef>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "bench/arguments.h"

namespace weft::bench {

// What each had of the places in `seconds` seconds, and how long a run one priority lower took among them, beside its
// bound: a minute more than the others, overtaken by none that came more than a minute after it.
Result<Json> shares(const Arguments& arguments, const std::string& store, std::size_t seconds);

}  // namespace weft::bench
