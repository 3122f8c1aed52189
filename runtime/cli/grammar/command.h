// A command: its words, its options as data, and its action. Each is one file in runtime/cli/commands and one line of
// the table there.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "runtime/cli/context.h"
#include "runtime/cli/grammar/option.h"

namespace weft::cli {

// The heading under which `weft --help` shows a command.
enum class Group : std::uint8_t { kStart, kLook, kSteer, kPast, kFiles, kStore, kServe };
inline constexpr std::string_view kGroupNames[] = {"start", "look", "steer", "past", "files", "store", "serve"};

// One invocation of a command: options whose destinations live as long as this does, and what is done with the values.
struct Invocation {
  Options options;
  std::function<Exit(const Context& context)> action;
};

struct Command {
  std::string_view name;
  Group group;
  std::string_view summary;  // One line, without a full stop.
  Invocation (*invoke)();    // With values of its own at each call.
  // What goes to the log: a command that runs an engine for others reports events, any other command only warnings.
  enum class Log : std::uint8_t { kWarnings, kEvents } log = Log::kWarnings;
};

// An invocation of `action` over new values; `describe` lists the options that fill them in.
template <class Values>
Invocation bound(Options (*describe)(Values&), Exit (*action)(const Context&, const Values&)) {
  auto values = std::make_shared<Values>();
  Options options = describe(*values);
  return {std::move(options),
          [values = std::move(values), action](const Context& context) { return action(context, *values); }};
}

}  // namespace weft::cli
