// From the words of a command line to the command that they name and the values of its options.
#pragma once

#include <string>
#include <variant>

#include "runtime/cli/grammar/command.h"

namespace weft::cli {

struct Parsed {
  Global global;
  const Command* command = nullptr;  // Of the table (runtime/cli/commands/table.h).
  Invocation invocation;             // Its options have their values.
};

// What is printed instead where no command is to be executed.
struct Answer {
  std::string out;
  std::string err;
  int exit = 0;
};

std::variant<Parsed, Answer> parse_arguments(int count, const char* const* arguments);

}  // namespace weft::cli
