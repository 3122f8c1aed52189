// What a command is given to work with, and how it ends when something fails.
#pragma once

#include <string>

#include "runtime/cli/grammar/exit_code.h"
#include "runtime/cli/render/terminal.h"
#include "runtime/engine/config.h"

namespace weft::cli {

// The values of the options that every command takes.
struct Global {
  Format format = Format::kText;
  bool no_color = false;
  std::string server;
  std::string store;
  std::string config;
  std::string token_file;
};

struct Context {
  Terminal& terminal;
  const engine::Getenv& environment;
  const Global& global;
  std::string folder;  // The current one, absolute.
};

// Prints the error and returns its exit code.
inline Exit fail(const Context& context, const Error& error) {
  context.terminal.error(error);
  return exit_for(error);
}

}  // namespace weft::cli

// Binds the value of `expr`, or prints its error and returns its exit code from a command. Two statements, as WEFT_TRY.
#define WEFT_COMMAND_TRY(context, declaration, expression) \
  WEFT_COMMAND_TRY_NAMED(context, WEFT_TRY_JOIN(command_result_, __LINE__), declaration, expression)
#define WEFT_COMMAND_TRY_NAMED(context, result, declaration, expression) \
  auto result = (expression);                                            \
  if (!result) return ::weft::cli::fail(context, result.error());        \
  declaration = *std::move(result)
