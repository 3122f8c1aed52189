// One event as one line, for those who follow a run.
#pragma once

#include <string>

#include "runtime/cli/render/terminal.h"
#include "weft/v1/event.pb.h"

namespace weft::cli {

// "12:03:01.123  search[2]  tool fs.read {…}": local time. Empty for events that say nothing to a person.
std::string event_line(const v1::Event& event, const Look& look);
std::string local_time(std::int64_t at_us);       // "12:03:01.123"
std::string local_date_time(std::int64_t at_us);  // "2026-11-21 12:03:01"

}  // namespace weft::cli
