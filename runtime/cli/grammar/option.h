// One option or positional argument of a command, as data: its words, and where its value goes. The parser and the help
// read the same list.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"

namespace weft::cli {

// Where a value goes; the type says how its text is read. A `bool` is a flag. An optional text is a flag that may bring
// a value behind `=`: `--sim`, `--sim=SCRIPT`. A vector collects the values of an option that may be repeated.
using Destination = std::variant<bool*, std::string*, std::vector<std::string>*, std::int32_t*, std::uint32_t*,
                                 std::uint64_t*, std::optional<Duration>*, std::optional<std::string>*>;

struct Option {
  std::string names;  // "-i,--input"; of a positional argument its name in capitals: "FILE".
  std::string value;  // What the value is called in help; empty for a flag and a positional argument.
  std::string help;   // A phrase without a full stop; names the default where there is one.
  Destination destination;
  bool required = false;
  std::vector<std::string> choices;                            // Empty: any text.
  std::optional<std::pair<std::int64_t, std::int64_t>> range;  // Of a number, both ends included.
  std::string excludes;  // The name of another option that may not be given together with this one.
  // The sentence that refuses a text; empty where the text is accepted.
  std::function<std::string(const std::string& text)> check;

  bool is_positional() const { return !names.starts_with('-'); }
  bool is_repeatable() const { return std::holds_alternative<std::vector<std::string>*>(destination); }
};

// What a command takes, in the order of its help.
using Options = std::vector<Option>;

Option required(std::string name, std::string help, Destination destination);  // A positional argument,
Option optional(std::string name, std::string help, Destination destination);  // and one that may be left out.
Option flag(std::string names, std::string help, Destination destination);
Option option(std::string names, std::string value, std::string help, Destination destination);

// The same option with a further rule.
Option one_of(std::vector<std::string> choices, Option option);
Option between(std::int64_t first, std::int64_t last, Option option);
Option needed(Option option);                      // An option that must be given.
Option without(std::string other, Option option);  // Not together with the option `other`.
Option not_empty(Option option);                   // An empty text is refused rather than taken for the default.
Option at_most(Duration longest, std::string sentence, Option option);  // `sentence` refuses a longer time.

}  // namespace weft::cli
