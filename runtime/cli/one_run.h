// What the commands that steer one run share: the engine that has it, and the line that shows it.
#pragma once

#include <memory>

#include "runtime/cli/connect/target.h"
#include "runtime/cli/context.h"

namespace weft::cli {

// The engine that has the runs; no store is NOT_FOUND before no engine is UNAVAILABLE.
Result<std::unique_ptr<Target>> open_existing(const Context& context);
// A line, or with -o json the row of a list.
void print_run(const Context& context, const v1::Run& run);

}  // namespace weft::cli
