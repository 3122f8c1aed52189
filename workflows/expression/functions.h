// The functions of expressions. Private to this room.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "workflows/expression/ast.h"

namespace weft::workflows::expression {

class Evaluation;

// What a call costs before the function runs, in steps: a function has to say it, or it does not compile. What depends
// on more than the size of its arguments (the order of a sort, a pattern, what is made) the function charges itself.
struct Charge {
  Charge() = delete;
  constexpr Charge(std::uint32_t call, std::uint32_t bytes, std::uint32_t elements)
      : steps(call), bytes_per_step(bytes), steps_per_element(elements) {}
  std::uint32_t steps;              // For the call.
  std::uint32_t bytes_per_step;     // Of its arguments that are text, which it reads; 0: it reads none.
  std::uint32_t steps_per_element;  // Of its arguments that are lists or objects.
};

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
  Charge charge;

  char letter(std::size_t index, std::size_t count) const {
    const char c = takes[index < takes.size() ? index : takes.size() - 1];
    return c == 'x' ? (count == 1 ? 'l' : 'v') : c;
  }
};

const Function* find_function(std::string_view name);
std::span<const Function> functions();
const std::vector<std::string>& function_names();

// Equal scalars have equal keys; lists and objects have none.
bool scalar_key(const Value& value, std::string& key);

// What a letter wants, for a sentence: "a string".
std::string_view letter_name(char letter);

// "1h30m", "-1.5s": of h m s ms us ns and d, as in CEL. RFC 3339 for timestamps, of the years 1 to 9999. Microseconds.
bool parse_span(std::string_view text, std::int64_t& microseconds);
bool parse_instant(std::string_view text, std::int64_t& microseconds);
std::string span_text(std::int64_t microseconds);     // "5400s", "1.5s"
std::string instant_text(std::int64_t microseconds);  // "2026-11-21T21:47:37Z"
bool is_instant(std::int64_t microseconds);           // Within the years 1 to 9999.

}  // namespace weft::workflows::expression
