// The functions of expressions. Private to this room.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "workflows/expression_ast.h"

namespace weft::workflows::expression {

class Evaluation;

// What a function takes and gives, one letter each; the last letter of `takes` stands for all further ones.
//   s string  l list  m object  c string, list or object  n number  i integer  v anything but null  * anything
//   t string, integer or timestamp  p string or duration  x a list where it is the only argument, else v
// Results: s b i n as above and boolean, a any, S list of strings, D duration, T timestamp, and by the first argument:
//   = its type  e its elements, numbers  f its elements, flattened  w the values of an object
struct Function {
  std::string_view name;
  std::size_t arguments_min = 1;  // The receiver counts: x.f(a) is f(x, a).
  std::size_t arguments_max = 1;
  std::string_view takes;
  char gives = 'a';
  // The arguments are of the kinds that `takes` says.
  Value (*apply)(Evaluation& evaluation, const Node& node, std::span<const Value> arguments) = nullptr;
  std::string_view usage;

  char letter(std::size_t index, std::size_t count) const {
    const char c = takes[index < takes.size() ? index : takes.size() - 1];
    return c == 'x' ? (count == 1 ? 'l' : 'v') : c;
  }
};

const Function* find_function(std::string_view name);
const std::vector<std::string>& function_names();

// What a letter wants, for a sentence: "a string".
std::string_view letter_name(char letter);

// Null where the pattern is refused; `why` then says what RE2 says.
std::shared_ptr<const re2::RE2> compile_pattern(std::string_view pattern, std::string& why);
// How many times dearer than reading it is to match a byte with the pattern: 1 where it is small.
std::size_t pattern_weight(const re2::RE2& pattern);

// "1h30m", "-1.5s": of h m s ms us ns and d, as in CEL. RFC 3339 for timestamps, of the years 1 to 9999. Microseconds.
bool parse_span(std::string_view text, std::int64_t& microseconds);
bool parse_instant(std::string_view text, std::int64_t& microseconds);
std::string span_text(std::int64_t microseconds);     // "5400s", "1.5s"
std::string instant_text(std::int64_t microseconds);  // "2026-11-21T21:47:37Z"
bool is_instant(std::int64_t microseconds);           // Within the years 1 to 9999.

}  // namespace weft::workflows::expression
