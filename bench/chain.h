// W1's chain of ten steps v = (v * 31 + i) % 1000003, as a workflow and as a load.
#pragma once

#include <cstddef>
#include <string>

#include "bench/load.h"

namespace weft::bench {

inline constexpr std::size_t kChainSteps = 10;

// Steps that call `tool`; `set` steps where it is empty.
std::string chain_workflow(const std::string& name, const std::string& tool);
// What a run with this seed returns.
std::string chain_output(std::size_t seed);
// Runs with the seeds 0, 1, 2, …
Load chain_load(const std::string& hash, std::size_t runs, std::size_t in_flight);

}  // namespace weft::bench
