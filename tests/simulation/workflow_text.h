// Writes workflows: agents with tools, tool steps, values, switches, groups, fan-outs, loops, retries, timeouts,
// finally, joins, deadlines, questions, signals, times, schedules.
#pragma once

#include <string>

#include "random.h"

namespace weft::simulation {

enum class Size : std::uint8_t { kSmall, kUsual };

// A workflow of this name that the checker takes.
std::string workflow_text(const std::string& name, Size size, Random& random);
// The same graph under another name, which nothing starts by its time: its agents are asked in other words, and some of
// its tools for another thing.
std::string revised(const std::string& text, const std::string& name);

}  // namespace weft::simulation
