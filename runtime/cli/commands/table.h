// Every command, in the order of the help.
#pragma once

#include <vector>

#include "runtime/cli/grammar/command.h"

namespace weft::cli {

const std::vector<Command>& commands();

}  // namespace weft::cli
