#include "workflows/expression/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "workflows/expression/evaluate.h"

namespace weft::workflows::expression {
namespace {

using Kind = Value::Kind;
using Arguments = std::span<const Value>;

constexpr std::size_t kFlattenDepthMax = 64;
// Steps, measured as the table below is.
constexpr std::uint64_t kElementSteps = 3;   // For an element that is taken over,
constexpr std::uint64_t kPieceSteps = 8;     // for a piece of a text that is looked for,
constexpr std::uint64_t kCompareSteps = 4;   // for two values that are compared where a list is sorted.
constexpr std::size_t kKeyBytesPerStep = 2;  // Of a text that is hashed.
constexpr double kTwoTo63 = 9223372036854775808.0;

std::size_t bytes_of(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0xC0 ? 1 : (byte < 0xE0 ? 2 : (byte < 0xF0 ? 3 : 4));
}

Value size(Evaluation&, const Node&, Arguments a) {
  if (!a[0].is_text()) return Value::of(static_cast<std::int64_t>(size_of(a[0])));
  return Value::of(static_cast<std::int64_t>(code_points(a[0].view())));
}

Value starts_with(Evaluation& e, const Node&, Arguments a) {
  e.charge_bytes(a[1].length);
  return Value::of(a[0].view().starts_with(a[1].view()));
}

Value ends_with(Evaluation& e, const Node&, Arguments a) {
  e.charge_bytes(a[1].length);
  return Value::of(a[0].view().ends_with(a[1].view()));
}

// glibc's memmem takes linear time, which string_view::find does not.
std::size_t find(std::string_view text, std::string_view needle) {
  const void* at = memmem(text.data(), text.size(), needle.data(), needle.size());
  return at ? static_cast<std::size_t>(static_cast<const char*>(at) - text.data()) : std::string_view::npos;
}

Value contains(Evaluation&, const Node&, Arguments a) {
  return Value::of(find(a[0].view(), a[1].view()) != std::string_view::npos);
}

Value matches(Evaluation& e, const Node& node, Arguments a) {
  const Pattern* pattern = e.pattern(node, a[1].view());
  if (!pattern || !e.charge(pattern->cost(a[0].length))) return Value::of_error();
  return Value::of(pattern->found_in(a[0].view()));
}

Value cased(Evaluation& e, std::string_view text, char first, char last, int shift) {
  if (!e.charge_new(text.size())) return Value::of_error();
  std::string out(text);
  for (char& c : out) c = c >= first && c <= last ? static_cast<char>(c + shift) : c;
  return e.keep(std::move(out));
}

Value lower(Evaluation& e, const Node&, Arguments a) { return cased(e, a[0].view(), 'A', 'Z', 'a' - 'A'); }
Value upper(Evaluation& e, const Node&, Arguments a) { return cased(e, a[0].view(), 'a', 'z', 'A' - 'a'); }

Value trim(Evaluation&, const Node&, Arguments a) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const std::string_view text = a[0].view();
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return Value::of(text.substr(0, 0));
  return Value::of(text.substr(begin, text.find_last_not_of(kSpace) - begin + 1));
}

// split(text, separator, pieces?): at most so many pieces where the number is positive.
Value split(Evaluation& e, const Node&, Arguments a) {
  std::string_view rest = a[0].view();
  const std::string_view separator = a[1].view();
  const std::int64_t pieces = a.size() > 2 ? a[2].integer : -1;
  List list;
  while (pieces != 0 && !(separator.empty() && rest.empty())) {
    const bool last = pieces > 0 && static_cast<std::int64_t>(list.items.size()) + 1 >= pieces;
    std::size_t at = separator.empty() ? bytes_of(rest[0]) : find(rest, separator);
    if (last || at >= rest.size()) at = std::string_view::npos;
    if (!e.charge(kPieceSteps) || !e.charge_new(kElementBytes)) return Value::of_error();
    list.items.push_back(Value::of(rest.substr(0, at)));
    if (at == std::string_view::npos) break;
    rest.remove_prefix(at + separator.size());
  }
  return e.keep(std::move(list));
}

Value join(Evaluation& e, const Node& node, Arguments a) {
  const std::string_view separator = a.size() > 1 ? a[1].view() : std::string_view();
  std::string out;
  for (std::size_t i = 0, count = size_of(a[0]); i < count; ++i) {
    const Value element = element_of(a[0], i);
    if (!element.is_text()) {
      return e.fail(node, fmt::format("join needs strings, and element {} is {}", i, kind_name(element.kind)));
    }
    if (!e.charge_new(element.length + (i > 0 ? separator.size() : 0))) return Value::of_error();
    if (i > 0) out += separator;
    out += element.view();
  }
  return e.keep(std::move(out));
}

// replace(text, from, to, times?)
Value replace(Evaluation& e, const Node& node, Arguments a) {
  std::string_view rest = a[0].view();
  const std::string_view from = a[1].view();
  if (from.empty()) return e.fail(node, "replace needs a text to look for, and it is empty");
  std::int64_t times = a.size() > 3 && a[3].integer >= 0 ? a[3].integer : INT64_MAX;
  std::string out;
  for (auto at = find(rest, from); at != std::string_view::npos && times > 0; at = find(rest, from), --times) {
    if (!e.charge(kPieceSteps) || !e.charge_new(at + a[2].length)) return Value::of_error();
    out.append(rest.substr(0, at)).append(a[2].view());
    rest.remove_prefix(at + from.size());
  }
  if (!e.charge_new(rest.size())) return Value::of_error();
  return e.keep(out.append(rest));
}

// The byte at which a code point begins; false where there are fewer.
bool byte_at(std::string_view text, std::int64_t point, std::size_t& at) {
  at = 0;
  for (; point > 0 && at < text.size(); --point) at = std::min(at + bytes_of(text[at]), text.size());
  return point == 0;
}

Value substring(Evaluation& e, const Node& node, Arguments a) {
  const std::string_view text = a[0].view();
  std::size_t begin = 0;
  std::size_t end = text.size();
  const bool fits = byte_at(text, a[1].integer, begin) && (a.size() < 3 || byte_at(text, a[2].integer, end));
  if (!fits || begin > end) {
    return e.fail(node, fmt::format("there is no such part of a text of {} characters", code_points(text)));
  }
  return Value::of(text.substr(begin, end - begin));
}

bool flatten_into(Evaluation& e, const Value& list, std::int64_t depth, List& out) {
  for (std::size_t i = 0, count = size_of(list); i < count; ++i) {
    const Value element = element_of(list, i);
    if (!e.charge(1)) return false;
    if (element.is_list() && depth > 0) {
      if (!flatten_into(e, element, depth - 1, out)) return false;
    } else {
      if (!e.charge_new(kElementBytes)) return false;
      out.items.push_back(element);
    }
  }
  return true;
}

Value flatten(Evaluation& e, const Node& node, Arguments a) {
  const std::int64_t depth = a.size() > 1 ? a[1].integer : 1;
  if (depth < 0 || depth > static_cast<std::int64_t>(kFlattenDepthMax)) {
    return e.fail(node, fmt::format("flatten takes a depth from 0 to {}", kFlattenDepthMax));
  }
  List out;
  if (!flatten_into(e, a[0], depth, out)) return Value::of_error();
  return e.keep(std::move(out));
}

Value distinct(Evaluation& e, const Node&, Arguments a) {
  std::unordered_set<std::string> seen;
  std::vector<Value> containers;
  List out;
  std::string key;
  for (std::size_t i = 0, count = size_of(a[0]); i < count; ++i) {
    const Value element = element_of(a[0], i);
    bool is_new = true;
    if (element.is_text() && !e.charge(element.length / kKeyBytesPerStep)) return Value::of_error();
    if (scalar_key(element, key)) {
      is_new = seen.insert(key).second;
      if (is_new && !e.charge_new(key.size())) return Value::of_error();
    } else {
      for (const auto& other : containers) {
        is_new = is_new && !e.equal(element, other);
        if (!e.charge(1)) return Value::of_error();
      }
      if (is_new) containers.push_back(element);
    }
    if (is_new && !e.charge_new(kElementBytes)) return Value::of_error();
    if (is_new) out.items.push_back(element);
  }
  return e.keep(std::move(out));
}

Value sort(Evaluation& e, const Node& node, Arguments a) {
  const std::size_t count = size_of(a[0]);
  if (!e.charge_new(count * kElementBytes)) return Value::of_error();
  List out;
  out.items.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    out.items.push_back(element_of(a[0], i));
    const auto order = e.compare(out.items.front(), out.items.back());
    if (!order) {
      return e.fail(node, fmt::format("{} and {} have no order", kind_name(out.items.front().kind),
                                      kind_name(out.items.back().kind)));
    }
  }
  // Charged before, since a comparison that gives up half way is no order.
  std::size_t bytes = 0;
  for (const auto& item : out.items) bytes += item.is_text() ? item.length : 0;
  const std::size_t rounds = static_cast<std::size_t>(std::bit_width(count)) + 1;
  if (!e.charge(kCompareSteps * count * rounds) || !e.charge_bytes(bytes * rounds)) return Value::of_error();
  std::stable_sort(out.items.begin(), out.items.end(), [](const Value& x, const Value& y) {
    if (x.is_text()) return x.view() < y.view();
    if (x.is(Kind::kInt) && y.is(Kind::kInt)) return x.integer < y.integer;
    if (x.is_number()) return x.as_double() < y.as_double();
    return x.integer < y.integer;
  });
  return e.keep(std::move(out));
}

Value slice(Evaluation& e, const Node& node, Arguments a) {
  const std::size_t count = size_of(a[0]);
  const std::int64_t begin = a[1].integer;
  const std::int64_t end = a.size() > 2 ? a[2].integer : static_cast<std::int64_t>(count);
  if (begin < 0 || end < begin || static_cast<std::uint64_t>(end) > count) {
    return e.fail(node, fmt::format("there is no part {} to {} of a list of {}", begin, end, count));
  }
  List out;
  const auto kept = static_cast<std::size_t>(end - begin);
  if (!e.charge(kElementSteps * kept) || !e.charge_new(kept * kElementBytes)) return Value::of_error();
  for (std::int64_t i = begin; i < end; ++i) out.items.push_back(element_of(a[0], static_cast<std::size_t>(i)));
  return e.keep(std::move(out));
}

Value sum(Evaluation& e, const Node& node, Arguments a) {
  std::int64_t integer = 0;
  double number = 0;
  for (std::size_t i = 0, count = size_of(a[0]); i < count; ++i) {
    const Value element = element_of(a[0], i);
    std::int64_t addend = 0;
    if (!element.is_number() || (node.integers && !as_integer(element, addend))) {
      return e.fail(node, fmt::format("sum needs numbers, and element {} is {}", i, kind_name(element.kind)));
    }
    if (node.integers && __builtin_add_overflow(integer, addend, &integer)) {
      return e.fail(node, "the integer overflows 64 bits");
    }
    number += element.as_double();
  }
  if (node.integers) return Value::of(integer);
  return std::isfinite(number) ? Value::of(number) : e.fail(node, "the number is out of range of a double");
}

Value extreme(Evaluation& e, const Node& node, Arguments a, int wanted) {
  const bool is_list = a.size() == 1;
  const std::size_t count = is_list ? size_of(a[0]) : a.size();
  if (count == 0) return e.fail(node, "an empty list has no least and no greatest element");
  Value best = is_list ? element_of(a[0], 0) : a[0];
  for (std::size_t i = 0; i < count; ++i) {
    const Value next = is_list ? element_of(a[0], i) : a[i];
    const auto order = e.compare(next, best);
    if (!e.charge(0)) return Value::of_error();
    if (!order) return e.fail(node, fmt::format("{} and {} have no order", kind_name(best.kind), kind_name(next.kind)));
    if (*order == wanted) best = next;
  }
  return best;
}

Value min(Evaluation& e, const Node& node, Arguments a) { return extreme(e, node, a, -1); }
Value max(Evaluation& e, const Node& node, Arguments a) { return extreme(e, node, a, 1); }

Value parts_of(Evaluation& e, const Value& object, bool names) {
  const std::size_t count = size_of(object);
  if (!e.charge_new(count * kElementBytes)) return Value::of_error();
  List out;
  out.items.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto [name, value] = member_of(object, i);
    out.items.push_back(names ? Value::of(name) : value);
  }
  return e.keep(std::move(out));
}

constexpr bool kNames = true;

Value keys(Evaluation& e, const Node&, Arguments a) { return parts_of(e, a[0], kNames); }
Value values(Evaluation& e, const Node&, Arguments a) { return parts_of(e, a[0], !kNames); }

template <double (*kRound)(double)>
Value rounded(Evaluation&, const Node&, Arguments a) {
  return a[0].is(Kind::kInt) ? a[0] : Value::of(kRound(a[0].number));
}

double half_away(double number) { return std::round(number); }
double downwards(double number) { return std::floor(number); }
double upwards(double number) { return std::ceil(number); }

Value abs(Evaluation& e, const Node& node, Arguments a) {
  if (!a[0].is(Kind::kInt)) return Value::of(std::fabs(a[0].number));
  if (a[0].integer == INT64_MIN) return e.fail(node, "the integer overflows 64 bits");
  return Value::of(a[0].integer < 0 ? -a[0].integer : a[0].integer);
}

Value json(Evaluation& e, const Node&, Arguments a) {
  std::string out;
  if (!e.write_json(a[0], out)) return Value::of_error();
  return e.keep(std::move(out));
}

Value parse_json(Evaluation& e, const Node& node, Arguments a) {
  if (!e.charge_new(a[0].length)) return Value::of_error();
  auto parsed = parse_untrusted(a[0].view(), {}, &e.cost());
  if (!e.charge(0)) return Value::of_error();
  if (!parsed) return e.fail(node, parsed.error().message);
  return e.keep(*std::move(parsed));
}

Value to_integer(Evaluation& e, const Node& node, Arguments a) {
  std::int64_t result = 0;
  const Value& value = a[0];
  switch (value.kind) {
    case Kind::kInt: return value;
    case Kind::kBool: return Value::of(value.integer);
    case Kind::kDouble:
      if (value.number >= kTwoTo63 || value.number < -kTwoTo63)
        return e.fail(node, "the number does not fit into 64 bits");
      return Value::of(static_cast<std::int64_t>(value.number));
    case Kind::kTimestamp: {
      const std::int64_t second = 1'000'000;
      return Value::of(value.integer / second - (value.integer % second < 0 ? 1 : 0));
    }
    case Kind::kText: {
      const std::string_view text = value.view();
      const auto read = std::from_chars(text.data(), text.data() + text.size(), result);
      if (read.ec == std::errc{} && read.ptr == text.data() + text.size()) return Value::of(result);
      return e.fail(node, "the text is no integer of 64 bits");
    }
    default: return e.fail(node, fmt::format("{} has no integer", kind_name(value.kind)));
  }
}

Value to_double(Evaluation& e, const Node& node, Arguments a) {
  const Value& value = a[0];
  if (value.is_number()) return Value::of(value.as_double());
  if (!value.is_text()) return e.fail(node, fmt::format("{} has no number", kind_name(value.kind)));
  const std::string_view text = value.view();
  double result = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), result);
  const bool whole = read.ec == std::errc{} && read.ptr == text.data() + text.size();
  return whole && std::isfinite(result) ? Value::of(result) : e.fail(node, "the text is no number");
}

Value to_string(Evaluation& e, const Node& node, Arguments a) {
  if (a[0].is_text()) return a[0];
  if (a[0].is_null() || a[0].is_list() || a[0].is_object()) {
    return e.fail(node, fmt::format("{} has no text of its own; json(…) writes it", kind_name(a[0].kind)));
  }
  std::string out;
  if (!e.write_json(a[0], out)) return Value::of_error();
  const bool quoted = a[0].is(Kind::kDuration) || a[0].is(Kind::kTimestamp);
  return e.keep(quoted ? out.substr(1, out.size() - 2) : out);
}

Value to_bool(Evaluation& e, const Node& node, Arguments a) {
  if (a[0].is(Kind::kBool)) return a[0];
  if (a[0].is_text() && (a[0].view() == "true" || a[0].view() == "false")) return Value::of(a[0].view() == "true");
  return e.fail(node, fmt::format("this {} is neither true nor false", kind_name(a[0].kind)));
}

Value to_duration(Evaluation& e, const Node& node, Arguments a) {
  std::int64_t microseconds = a[0].integer;
  if (a[0].is_text() && !parse_span(a[0].view(), microseconds)) {
    return e.fail(node, "the text is no duration, such as \"90s\" or \"1h30m\"");
  }
  return Value::of(Kind::kDuration, microseconds);
}

Value to_timestamp(Evaluation& e, const Node& node, Arguments a) {
  std::int64_t microseconds = a[0].integer;
  bool fits = true;
  if (a[0].is_text()) fits = parse_instant(a[0].view(), microseconds);
  if (a[0].is(Kind::kInt)) fits = !__builtin_mul_overflow(a[0].integer, 1'000'000, &microseconds);
  if (fits && is_instant(microseconds)) return Value::of(Kind::kTimestamp, microseconds);
  return e.fail(node, "this is no time, such as \"2026-11-21T09:30:00Z\"");
}

// {steps for the call, bytes of text a step, steps an element}; tests/workflows/expression_cost_test.cpp measures them.
constexpr Function kFunctions[] = {
    {"size", 1, 1, "c", 'i', size, "size(x)", {2, 2, 0}},
    {"startsWith", 2, 2, "s", 'b', starts_with, "text.startsWith(text)", {2, 0, 0}},
    {"endsWith", 2, 2, "s", 'b', ends_with, "text.endsWith(text)", {2, 0, 0}},
    {"contains", 2, 2, "s", 'b', contains, "text.contains(text)", {8, 2, 0}},
    {"matches", 2, 2, "s", 'b', matches, "text.matches(pattern)", {4, 0, 0}},
    {"lowerAscii", 1, 1, "s", 's', lower, "text.lowerAscii()", {20, 2, 0}},
    {"upperAscii", 1, 1, "s", 's', upper, "text.upperAscii()", {20, 2, 0}},
    {"trim", 1, 1, "s", 's', trim, "text.trim()", {4, 1, 0}},
    {"split", 2, 3, "ssi", 'S', split, "text.split(separator, pieces?)", {20, 2, 0}},
    {"join", 1, 2, "ls", 's', join, "list.join(separator?)", {20, 0, 3}},
    {"replace", 3, 4, "sssi", 's', replace, "text.replace(from, to, times?)", {20, 2, 0}},
    {"substring", 2, 3, "sii", 's', substring, "text.substring(begin, end?)", {4, 1, 0}},
    {"flatten", 1, 2, "li", 'f', flatten, "list.flatten(depth?)", {20, 0, 3}},
    {"distinct", 1, 1, "l", '=', distinct, "list.distinct()", {20, 0, 30}},
    {"sort", 1, 1, "l", '=', sort, "list.sort()", {20, 0, 4}},
    {"slice", 2, 3, "lii", '=', slice, "list.slice(begin, end?)", {20, 0, 0}},
    {"sum", 1, 1, "l", 'e', sum, "list.sum()", {4, 0, 3}},
    {"min", 1, kArgumentsMax, "x", 'e', min, "list.min() or min(a, b)", {4, 0, 3}},
    {"max", 1, kArgumentsMax, "x", 'e', max, "list.max() or max(a, b)", {4, 0, 3}},
    {"keys", 1, 1, "m", 'S', keys, "keys(object)", {20, 0, 3}},
    {"values", 1, 1, "m", 'w', values, "values(object)", {20, 0, 3}},
    {"round", 1, 1, "n", '=', rounded<half_away>, "round(number)", {4, 0, 0}},
    {"floor", 1, 1, "n", '=', rounded<downwards>, "floor(number)", {4, 0, 0}},
    {"ceil", 1, 1, "n", '=', rounded<upwards>, "ceil(number)", {4, 0, 0}},
    {"abs", 1, 1, "n", '=', abs, "abs(number)", {2, 0, 0}},
    {"json", 1, 1, "*", 's', json, "json(value)", {40, 0, 0}},
    {"parseJson", 1, 1, "s", 'a', parse_json, "parseJson(text)", {40, 0, 0}},
    {"int", 1, 1, "v", 'i', to_integer, "int(value)", {6, 1, 0}},
    {"double", 1, 1, "v", 'n', to_double, "double(value)", {10, 1, 0}},
    {"string", 1, 1, "v", 's', to_string, "string(value)", {60, 0, 0}},
    {"bool", 1, 1, "v", 'b', to_bool, "bool(value)", {2, 0, 0}},
    {"duration", 1, 1, "p", 'D', to_duration, "duration(\"1h30m\")", {10, 1, 0}},
    {"timestamp", 1, 1, "t", 'T', to_timestamp, "timestamp(\"2026-11-21T09:30:00Z\")", {20, 1, 0}},
};

}  // namespace

bool scalar_key(const Value& value, std::string& key) {
  std::int64_t integer = 0;
  key.assign(1, static_cast<char>(value.kind));
  if (value.is_list() || value.is_object()) return false;
  if (value.is_text()) {
    key += value.view();
  } else if (value.is_number()) {
    key = as_integer(value, integer) ? fmt::format("i{}", integer) : fmt::format("d{}", value.number);
  } else {
    key += std::to_string(value.integer);
  }
  return true;
}

std::span<const Function> functions() { return kFunctions; }

const Function* find_function(std::string_view name) {
  for (const auto& function : kFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

const std::vector<std::string>& function_names() {
  static const std::vector<std::string> kNamesOfAll = [] {
    std::vector<std::string> names = {"has", "all", "exists", "exists_one", "map", "filter"};
    for (const auto& function : kFunctions) names.emplace_back(function.name);
    return names;
  }();
  return kNamesOfAll;
}

std::string_view letter_name(char letter) {
  switch (letter) {
    case 's': return "a string";
    case 'l': return "a list";
    case 'm': return "an object";
    case 'c': return "a string, a list or an object";
    case 'n': return "a number";
    case 'i': return "an integer";
    case 't': return "a string, an integer or a timestamp";
    case 'p': return "a string or a duration";
    default: return "a value";
  }
}

const Pattern* Evaluation::pattern(const Node& node, std::string_view text) {
  if (node.pattern) return &*node.pattern;
  if (pattern_ && pattern_->text() == text) return &*pattern_;
  if (!charge(std::min(Pattern::compile_cost(text.substr(0, kPatternBytesMax)), kPatternCompileMax))) return nullptr;
  auto compiled = Pattern::compile(text);
  if (!compiled) {
    fail(node, compiled.error().message);
    return nullptr;
  }
  pattern_ = *std::move(compiled);
  return &*pattern_;
}

}  // namespace weft::workflows::expression
