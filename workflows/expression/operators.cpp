// Arithmetic, comparison and equality of values.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "workflows/expression/evaluate.h"
#include "workflows/expression/functions.h"

namespace weft::workflows::expression {
namespace {

using Kind = Value::Kind;

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr std::uint64_t kEqualSteps = 3;       // For two values that are compared,
constexpr std::uint64_t kMemberSteps = 2;      // for a member of an object in which a name is looked up,
constexpr std::size_t kNameBytesPerStep = 16;  // and for the bytes of the name.

template <class T>
int order(T a, T b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

int compare_mixed(std::int64_t a, double b) {
  if (b >= kTwoTo63) return -1;
  if (b < -kTwoTo63) return 1;
  const auto whole = static_cast<std::int64_t>(b);
  if (a != whole) return a < whole ? -1 : 1;
  return order(static_cast<double>(whole), b);
}

int compare_numbers(const Value& a, const Value& b) {
  if (a.is(Kind::kInt) && b.is(Kind::kInt)) return order(a.integer, b.integer);
  if (a.is(Kind::kInt)) return compare_mixed(a.integer, b.number);
  if (b.is(Kind::kInt)) return -compare_mixed(b.integer, a.number);
  return order(a.number, b.number);
}

std::string_view sign_of(Operator op) {
  switch (op) {
    case Operator::kAdd: return "+";
    case Operator::kSubtract: return "-";
    case Operator::kMultiply: return "*";
    case Operator::kDivide: return "/";
    case Operator::kRemainder: return "%";
    default: return "<";
  }
}

}  // namespace

Value Evaluation::negate(const Node& node) {
  const Value value = eval(node.child(0));
  if (value.is_error()) return value;
  std::int64_t integer = 0;
  if (node.integers && as_integer(value, integer)) {
    return integer == INT64_MIN ? fail(node, "the integer overflows 64 bits") : Value::of(-integer);
  }
  if (value.is(Kind::kDuration) && value.integer != INT64_MIN) return Value::of(Kind::kDuration, -value.integer);
  if (!value.is_number()) return fail(node, fmt::format("`-` needs a number and is given {}", kind_name(value.kind)));
  return Value::of(-value.as_double());
}

Value Evaluation::binary(const Node& node) {
  const Value a = eval(node.child(0));
  if (a.is_error()) return a;
  const Value b = eval(node.child(1));
  if (b.is_error()) return b;
  switch (node.op) {
    case Operator::kEqual:
    case Operator::kNotEqual: {
      const bool same = equal(a, b);
      return error_ ? Value::of_error() : Value::of(same == (node.op == Operator::kEqual));
    }
    case Operator::kLess:
    case Operator::kLessEqual:
    case Operator::kGreater:
    case Operator::kGreaterEqual: return relation(node, a, b);
    case Operator::kIn: return within(node, a, b);
    default: break;
  }
  std::int64_t left = 0;
  std::int64_t right = 0;
  if (node.integers && as_integer(a, left) && as_integer(b, right)) return integers(node, left, right);
  return arithmetic(node, a, b);
}

Value Evaluation::integers(const Node& node, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  switch (node.op) {
    case Operator::kAdd: overflow = __builtin_add_overflow(a, b, &result); break;
    case Operator::kSubtract: overflow = __builtin_sub_overflow(a, b, &result); break;
    case Operator::kMultiply: overflow = __builtin_mul_overflow(a, b, &result); break;
    default:
      if (b == 0) return fail(node, "division by zero");
      overflow = a == INT64_MIN && b == -1;
      if (!overflow) result = node.op == Operator::kDivide ? a / b : a % b;
  }
  return overflow ? fail(node, "the integer overflows 64 bits") : Value::of(result);
}

Value Evaluation::doubles(const Node& node, double a, double b) {
  double result = 0;
  switch (node.op) {
    case Operator::kAdd: result = a + b; break;
    case Operator::kSubtract: result = a - b; break;
    case Operator::kMultiply: result = a * b; break;
    case Operator::kDivide:
      if (b == 0) return fail(node, "division by zero");
      result = a / b;
      break;
    default: return fail(node, "`%` needs two integers; int(…) makes one");
  }
  return std::isfinite(result) ? Value::of(result) : fail(node, "the number is out of range of a double");
}

Value Evaluation::arithmetic(const Node& node, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return doubles(node, a.as_double(), b.as_double());
  const bool adds = node.op == Operator::kAdd;
  if (adds && a.is_text() && b.is_text()) {
    const std::size_t size = std::size_t{a.length} + b.length;
    if (!charge_new(size)) return Value::of_error();
    std::string text;
    text.reserve(size);
    text.append(a.view()).append(b.view());
    return keep(std::move(text));
  }
  if (adds && a.is_list() && b.is_list()) return added_lists(a, b);
  const bool time = a.is(Kind::kDuration) || a.is(Kind::kTimestamp) || b.is(Kind::kDuration) || b.is(Kind::kTimestamp);
  if (time) return times(node, a, b);
  return fail(node,
              fmt::format("`{}` does not join {} and {}", sign_of(node.op), kind_name(a.kind), kind_name(b.kind)));
}

Value Evaluation::times(const Node& node, const Value& a, const Value& b) {
  const bool adds = node.op == Operator::kAdd;
  const bool subtracts = node.op == Operator::kSubtract;
  Kind kind = Kind::kNull;
  if ((adds || subtracts) && b.is(Kind::kDuration)) {
    kind = a.is(Kind::kDuration) || a.is(Kind::kTimestamp) ? a.kind : kind;
  } else if (adds && a.is(Kind::kDuration) && b.is(Kind::kTimestamp)) {
    kind = Kind::kTimestamp;
  } else if (subtracts && a.is(Kind::kTimestamp) && b.is(Kind::kTimestamp)) {
    kind = Kind::kDuration;
  }
  if (kind == Kind::kNull) {
    return fail(node,
                fmt::format("`{}` does not join {} and {}", sign_of(node.op), kind_name(a.kind), kind_name(b.kind)));
  }
  std::int64_t result = 0;
  const bool overflow = adds ? __builtin_add_overflow(a.integer, b.integer, &result)
                             : __builtin_sub_overflow(a.integer, b.integer, &result);
  if (overflow || (kind == Kind::kTimestamp && !is_instant(result))) return fail(node, "the time is out of range");
  return Value::of(kind, result);
}

Value Evaluation::added_lists(const Value& a, const Value& b) {
  const std::size_t a_size = size_of(a);
  const std::size_t b_size = size_of(b);
  if (!charge_new((a_size + b_size) * kElementBytes)) return Value::of_error();
  List list;
  list.items.reserve(a_size + b_size);
  for (std::size_t i = 0; i < a_size; ++i) list.items.push_back(element_of(a, i));
  for (std::size_t i = 0; i < b_size; ++i) list.items.push_back(element_of(b, i));
  return keep(std::move(list));
}

Value Evaluation::relation(const Node& node, const Value& a, const Value& b) {
  const auto order_of = compare(a, b);
  if (error_) return Value::of_error();
  if (!order_of) {
    return fail(node, fmt::format("{} and {} have no order", kind_name(a.kind), kind_name(b.kind)));
  }
  switch (node.op) {
    case Operator::kLess: return Value::of(*order_of < 0);
    case Operator::kLessEqual: return Value::of(*order_of <= 0);
    case Operator::kGreater: return Value::of(*order_of > 0);
    default: return Value::of(*order_of >= 0);
  }
}

Value Evaluation::within(const Node& node, const Value& a, const Value& b) {
  if (!b.is_list() && !b.is_object()) {
    return fail(node, fmt::format("`in` needs a list or an object and is given {}", kind_name(b.kind)));
  }
  const std::size_t size = size_of(b);
  bool found = false;
  for (std::size_t i = 0; i < size && !found && !error_; ++i) {
    found = b.is_list() ? equal(a, element_of(b, i)) : equal(a, Value::of(member_of(b, i).first));
  }
  return error_ ? Value::of_error() : Value::of(found);
}

bool Evaluation::equal(const Value& a, const Value& b) {
  if (!charge(kEqualSteps)) return false;
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.is_list() && b.is_list()) {
    const std::size_t size = size_of(a);
    if (size != size_of(b)) return false;
    for (std::size_t i = 0; i < size; ++i) {
      if (!equal(element_of(a, i), element_of(b, i))) return false;
    }
    return true;
  }
  if (a.is_object() && b.is_object()) {
    const std::size_t size = size_of(a);
    if (size != size_of(b)) return false;
    for (std::size_t i = 0; i < size; ++i) {
      const auto [name, value] = member_of(a, i);
      std::size_t at = i;  // Mostly the order is the same.
      if (member_of(b, at).first != name) {
        for (at = 0; at < size && member_of(b, at).first != name;) ++at;
        if (!charge((at + 1) * (kMemberSteps + name.size() / kNameBytesPerStep))) return false;
      }
      if (at == size || !equal(value, member_of(b, at).second)) return false;
    }
    return true;
  }
  if (a.kind != b.kind) return false;
  if (a.is_null()) return true;
  if (a.is_text()) return a.length == b.length && charge_bytes(a.length) && a.view() == b.view();
  return a.integer == b.integer;
}

std::optional<int> Evaluation::compare(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.kind != b.kind) return std::nullopt;
  if (a.is_text()) {
    if (!charge_bytes(std::min(a.length, b.length))) return std::nullopt;
    return order(a.view().compare(b.view()), 0);
  }
  if (a.is(Kind::kBool) || a.is(Kind::kDuration) || a.is(Kind::kTimestamp)) return order(a.integer, b.integer);
  return std::nullopt;
}

}  // namespace weft::workflows::expression
