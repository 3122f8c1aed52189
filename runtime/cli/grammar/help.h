// Help texts, made from the table of commands and their options.
#pragma once

#include <string>

#include "runtime/cli/grammar/command.h"

namespace weft::cli {

// The options that every command takes; `format` gets the word behind -o.
Options global_options(Global& global, std::string& format);

// The help of `weft` alone: each command under its group.
std::string short_help();
// The help of one command: what it does, and each of its options.
std::string help_of(const Command& command);

}  // namespace weft::cli
