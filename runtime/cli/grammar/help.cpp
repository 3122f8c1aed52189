#include "runtime/cli/grammar/help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "runtime/cli/commands/table.h"

namespace weft::cli {
namespace {

constexpr std::size_t kColumnsMax = 100;
constexpr std::size_t kHelpColumn = 28;     // Where the words about an option begin.
constexpr std::size_t kSummaryColumn = 37;  // Where the words about a command begin.

// "FILE", "-i,--input NAME=VALUE", "--sim[=SCRIPT]", "--effects ask|allow|refuse"
std::string words_of(const Option& option) {
  if (std::holds_alternative<std::optional<std::string>*>(option.destination))
    return fmt::format("{}[={}]", option.names, option.value);
  const std::string value = option.is_positional() || option.choices.empty()
                                ? option.value
                                : fmt::format("{}", fmt::join(option.choices, "|"));
  return value.empty() ? option.names : option.names + " " + value;
}

// " FILE...", " RUN [JSON]"
std::string positionals_of(const Options& options) {
  std::string text;
  for (const Option& option : options) {
    if (!option.is_positional()) continue;
    const std::string name = option.names + (option.is_repeatable() ? "..." : "");
    text += option.required ? " " + name : " [" + name + "]";
  }
  return text;
}

// " --reason TEXT"
std::string needed_of(const Options& options) {
  std::string text;
  for (const Option& option : options) {
    if (option.required && !option.is_positional()) text += " " + words_of(option);
  }
  return text;
}

std::string help_text(const Option& option) {
  std::string text = option.help;
  if (option.required && !option.is_positional()) text += " (required)";
  if (option.is_repeatable() && !option.is_positional()) text += " (may be repeated)";
  return text;
}

// `left`, then `right` from `column` on, broken between words where a line gets too long.
std::string row(const std::string& left, const std::string& right, std::size_t column) {
  std::string line = fmt::format("{:<{}}", left, column);
  if (left.size() + 2 > column) line = left + "\n" + std::string(column, ' ');
  std::size_t width = column;
  std::string text;
  for (std::size_t from = 0; from < right.size();) {
    const std::size_t to = std::min(right.find(' ', from), right.size());
    const std::size_t size = to - from;
    if (width > column && width + 1 + size > kColumnsMax) {
      line += "\n" + std::string(column, ' ');
      width = column;
    } else if (width > column) {
      line += ' ';
      ++width;
    }
    line += right.substr(from, size);
    width += size;
    from = to + 1;
  }
  return line + "\n";
}

}  // namespace

Options global_options(Global& global, std::string& format) {
  return {
      one_of({"text", "json", "ndjson"}, option("-o", "FORMAT", "How results are printed", &format)),
      option("--server", "ADDR", "A server's address: unix:PATH or HOST:PORT", &global.server),
      option("--token-file", "FILE", "A file with the token for a server's port", &global.token_file),
      option("--store", "FILE", "The store's file", &global.store),
      option("--config", "FILE", "The configuration's file", &global.config),
      flag("--no-color", "No colours", &global.no_color),
  };
}

std::string short_help() {
  std::string text = "weft runs graphs of AI agents, durably, and shows everything they did.\n\n";
  std::optional<Group> group;
  for (const Command& command : commands()) {
    const bool is_first = group != command.group;
    group = command.group;
    const std::string_view heading = is_first ? kGroupNames[static_cast<std::size_t>(command.group)] : "";
    const std::string words =
        fmt::format("{:<8} {}{}", heading, command.name, positionals_of(command.invoke().options));
    text += row(words, std::string(command.summary), kSummaryColumn);
  }
  return text + "\nweft COMMAND --help says more. RUN is an id, a unique beginning of one, or @latest.\n";
}

std::string help_of(const Command& command) {
  const Options options = command.invoke().options;
  std::string text = fmt::format("Usage: weft {} [OPTIONS]{}{}\n{}\n\n", command.name, positionals_of(options),
                                 needed_of(options), command.summary);
  for (const Option& option : options) {
    if (option.is_positional()) text += row("  " + words_of(option), help_text(option), kHelpColumn);
  }
  for (const Option& option : options) {
    if (!option.is_positional()) text += row("  " + words_of(option), help_text(option), kHelpColumn);
  }
  text += row("  -h,--help", "This text", kHelpColumn);
  Global global;
  std::string format;
  std::vector<std::string> everywhere;
  for (const Option& option : global_options(global, format)) everywhere.push_back(words_of(option));
  return text + fmt::format("\nEverywhere: {}\n", fmt::join(everywhere, ", "));
}

}  // namespace weft::cli
