#include "workflows/expression_evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "workflows/expression_functions.h"

namespace weft::workflows::expression {
namespace {

using Kind = Value::Kind;

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr std::size_t kFailSteps = 64;      // A sentence costs far more than a step.
constexpr std::size_t kBytesPerStep = 16;   // Of text that is read or compared.
constexpr std::size_t kMembersPerStep = 4;  // Of an object in which a name is looked up.
constexpr std::size_t kValueBytes = 8;      // What a scalar in the result counts.

using Members = std::vector<Json::object_t::value_type>;

const Members& members(const Value& object) {
  return static_cast<const Members&>(*object.json->get_ptr<const Json::object_t*>());
}

const Json::array_t& elements(const Value& list) { return *list.json->get_ptr<const Json::array_t*>(); }

bool same_text(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

bool fits_letter(char letter, const Value& value) {
  switch (letter) {
    case 's': return value.is_text();
    case 'l': return value.is_list();
    case 'm': return value.is_object();
    case 'c': return value.is_text() || value.is_list() || value.is_object();
    case 'n': return value.is_number();
    case 'v': return !value.is_null();
    case 't': return value.is_text() || value.is(Kind::kInt) || value.is(Kind::kTimestamp);
    case 'p': return value.is_text() || value.is(Kind::kDuration);
    default: return true;
  }
}

}  // namespace

std::size_t size_of(const Value& container) {
  switch (container.kind) {
    case Kind::kList: return container.list->items.size();
    case Kind::kObject: return container.object->members.size();
    default: return container.json->size();
  }
}

Value element_of(const Value& list, std::size_t index) {
  return list.is(Kind::kList) ? list.list->items[index] : Value::from(elements(list)[index]);
}

std::pair<std::string_view, Value> member_of(const Value& object, std::size_t index) {
  if (object.is(Kind::kObject)) {
    const auto& [name, value] = object.object->members[index];
    return {name.view(), value};
  }
  const auto& [name, value] = members(object)[index];
  return {name, Value::from(value)};
}

std::size_t code_points(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

bool as_integer(const Value& value, std::int64_t& out) {
  if (value.is(Kind::kInt)) {
    out = value.integer;
    return true;
  }
  if (!value.is(Kind::kDouble) || value.number != std::trunc(value.number)) return false;
  if (value.number >= kTwoTo63 || value.number < -kTwoTo63) return false;
  out = static_cast<std::int64_t>(value.number);
  return true;
}

Value Evaluation::fail(const Node& node, std::string sentence) {
  if (fatal_) return Value::of_error();
  steps_ += kFailSteps + node.begin / kBytesPerStep;
  const Mark place = tree_->at(node.begin);
  error_ = invalid_argument(
      fmt::format("{} at line {}, column {}: {}", tree_->quote(node), place.line, place.column, sentence));
  return Value::of_error();
}

Value Evaluation::limit(std::string_view name, std::string sentence) {
  if (!fatal_) {
    const std::string text = tree_ ? tree_->quote(*tree_->root) : "the value";
    error_ = resource_exhausted(fmt::format("{} {} ({})", text, sentence, name)).with("limit", std::string(name));
  }
  fatal_ = true;
  return Value::of_error();
}

bool Evaluation::charge(std::uint64_t steps) {
  steps_ += steps;
  if (steps_ <= limits_.cost_max) return true;
  limit("cost_max", fmt::format("takes more than {} steps", limits_.cost_max));
  return false;
}

bool Evaluation::charge_bytes(std::size_t bytes) { return charge(bytes / kBytesPerStep); }

bool Evaluation::charge_new(std::size_t bytes) {
  new_bytes_ += bytes;
  if (new_bytes_ > limits_.new_bytes_max) {
    limit("new_bytes_max", fmt::format("computes more than {} new bytes", limits_.new_bytes_max));
    return false;
  }
  return charge_bytes(bytes);
}

bool Evaluation::count_result(std::size_t bytes) {
  result_bytes_ += bytes;
  if (result_bytes_ <= limits_.result_bytes_max) return true;
  limit("result_bytes_max", fmt::format("gives more than {} bytes", limits_.result_bytes_max));
  return false;
}

Value Evaluation::keep(std::string text) { return Value::of(std::string_view(texts_.emplace_front(std::move(text)))); }

Value Evaluation::keep(List list) { return Value::of(&lists_.emplace_front(std::move(list))); }

Value Evaluation::keep(Object object) { return Value::of(&objects_.emplace_front(std::move(object))); }

Value Evaluation::keep(Json value) { return Value::from(values_.emplace_front(std::move(value))); }

Value Evaluation::run(const Tree& tree) {
  tree_ = &tree;
  return eval(*tree.root);
}

Result<bool> Evaluation::run_bool(const Tree& tree) {
  const Value value = run(tree);
  if (value.is(Kind::kBool)) return value.truth();
  if (!value.is_error()) {
    fail(*tree.root, fmt::format("a condition is true or false, and this is {}", kind_name(value.kind)));
  }
  return take_error();
}

Value Evaluation::eval(const Node& node, Path path) {
  if (++steps_ > limits_.cost_max) {
    charge(0);
    return Value::of_error();
  }
  switch (node.kind) {
    case NodeKind::kLiteral: return node.value;
    case NodeKind::kRoot:
    case NodeKind::kStep: return root(node);
    case NodeKind::kLocal: return converted(node, locals_[node.slot]);
    case NodeKind::kSelect: return select(node, path);
    case NodeKind::kIndex: return index(node, path);
    case NodeKind::kList: return list(node);
    case NodeKind::kMap: return map(node);
    case NodeKind::kNot: {
      const Value value = eval(node.child(0));
      if (value.is_error()) return value;
      if (!value.is(Kind::kBool))
        return fail(node, fmt::format("`!` needs true or false and is given {}", kind_name(value.kind)));
      return Value::of(!value.truth());
    }
    case NodeKind::kNegate: return negate(node);
    case NodeKind::kBinary: return binary(node);
    case NodeKind::kAnd: return connective(node, false);
    case NodeKind::kOr: return connective(node, true);
    case NodeKind::kCoalesce: {
      const Value value = eval(node.child(0), Path::kLenient);
      return value.is_null() ? eval(node.child(1), path) : value;
    }
    case NodeKind::kConditional: {
      const Value condition = eval(node.child(0));
      if (condition.is_error()) return condition;
      if (!condition.is(Kind::kBool)) {
        return fail(node.child(0),
                    fmt::format("a condition is true or false, and this is {}", kind_name(condition.kind)));
      }
      return eval(node.child(condition.truth() ? 1 : 2));
    }
    case NodeKind::kHas: {
      const Value value = eval(node.child(0), Path::kLenient);
      return value.is_error() ? value : Value::of(!value.is_null());
    }
    case NodeKind::kCall: return call(node);
    case NodeKind::kMacro: return macro(node);
  }
  return fail(node, "this has no meaning");
}

Value Evaluation::root(const Node& node) {
  const auto asked = [&] {
    return node.kind == NodeKind::kStep ? environment_.step(node.text, node.field) : environment_.name(node.text);
  };
  const Json* json = nullptr;
  if (macros_ == 0) {
    json = asked();
  } else {
    // Asked for once: an environment may have to read it from a disk, or to make it.
    const auto [known, is_new] = roots_.try_emplace(&node, nullptr);
    if (is_new) known->second = asked();
    json = known->second;
  }
  return json ? converted(node, Value::from(*json)) : Value();
}

// Times come out of the environment as text.
Value Evaluation::converted(const Node& node, const Value& value) {
  if (node.convert == Kind::kNull || !value.is_text()) return value;
  std::int64_t microseconds = 0;
  const bool read = node.convert == Kind::kDuration ? parse_span(value.view(), microseconds)
                                                    : parse_instant(value.view(), microseconds);
  if (!read) return fail(node, fmt::format("this is no {}", kind_name(node.convert)));
  return Value::of(node.convert, microseconds);
}

Value Evaluation::select(const Node& node, Path path) {
  const Value base = eval(node.child(0), path);
  if (base.is_error()) return base;
  return member(node, base, node.text, path);
}

Value Evaluation::member(const Node& node, const Value& base, std::string_view name, Path path) {
  const bool lenient = path == Path::kLenient;
  if (base.is_null()) {
    if (lenient || node.null_base) return {};
    return fail(node, fmt::format("{} is null and has no field `{}`", tree_->quote(node.child(0)), name));
  }
  if (base.is(Kind::kJsonObject)) {
    const Members& all = members(base);
    if (!charge(all.size() / kMembersPerStep)) return Value::of_error();
    for (const auto& [key, value] : all) {
      if (same_text(key, name)) return converted(node, Value::from(value));
    }
  } else if (base.is(Kind::kObject)) {
    if (!charge(base.object->members.size() / kMembersPerStep)) return Value::of_error();
    for (const auto& [key, value] : base.object->members) {
      if (same_text(key.view(), name)) return value;
    }
  } else {
    return fail(node,
                fmt::format("{} is {} and has no field `{}`", tree_->quote(node.child(0)), kind_name(base.kind), name));
  }
  if (lenient || node.may_be_missing) return {};
  return fail(node, fmt::format("there is no field `{}`", name));
}

Value Evaluation::index(const Node& node, Path path) {
  const Value base = eval(node.child(0), path);
  if (base.is_error()) return base;
  const Value index = eval(node.child(1));
  if (index.is_error()) return index;
  if (base.is_null()) {
    if (path == Path::kLenient || node.null_base) return {};
    return fail(node, fmt::format("{} is null and has no elements", tree_->quote(node.child(0))));
  }
  if (base.is_object()) {
    if (index.is_text()) return member(node, base, index.view(), path);
    return fail(node, fmt::format("the name of a field is a string and not {}", kind_name(index.kind)));
  }
  if (!base.is_list()) {
    return fail(node, fmt::format("{} is {} and has no elements", tree_->quote(node.child(0)), kind_name(base.kind)));
  }
  std::int64_t at = 0;
  if (!as_integer(index, at)) {
    return fail(node, fmt::format("the place in a list is an integer and not {}", kind_name(index.kind)));
  }
  const std::size_t size = size_of(base);
  if (at < 0 || static_cast<std::uint64_t>(at) >= size) {
    if (path == Path::kLenient) return {};
    return fail(node, fmt::format("there is no element {} in a list of {}", at, size));
  }
  return converted(node, element_of(base, static_cast<std::size_t>(at)));
}

Value Evaluation::list(const Node& node) {
  if (node.constant) return Value::of(node.constant);
  if (!charge_new(node.children.size() * kElementBytes)) return Value::of_error();
  List list;
  list.items.reserve(node.children.size());
  for (const Node* child : node.children) {
    list.items.push_back(eval(*child));
    if (list.items.back().is_error()) return Value::of_error();
  }
  return keep(std::move(list));
}

Value Evaluation::map(const Node& node) {
  if (!charge_new(node.children.size() * kElementBytes)) return Value::of_error();
  Object object;
  object.members.reserve(node.children.size() / 2);
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    const Value key = eval(node.child(i));
    if (key.is_error()) return key;
    if (!key.is_text()) return fail(node.child(i), fmt::format("a key is a string and not {}", kind_name(key.kind)));
    if (!charge(object.members.size() / kMembersPerStep)) return Value::of_error();
    for (const auto& member : object.members) {
      if (same_text(member.first.view(), key.view())) return fail(node.child(i), "the key stands twice in one map");
    }
    const Value value = eval(node.child(i + 1));
    if (value.is_error()) return value;
    object.members.emplace_back(key, value);
  }
  return keep(std::move(object));
}

Value Evaluation::connective(const Node& node, bool decisive) {
  std::optional<Error> first;
  for (const Node* child : node.children) {
    Value value = eval(*child);
    if (!value.is_error() && !value.is(Kind::kBool)) {
      value = fail(*child, fmt::format("a condition is true or false, and this is {}", kind_name(value.kind)));
    }
    if (value.is_error()) {
      if (fatal_) return value;
      if (!first) first = std::move(error_);
      error_.reset();
    } else if (value.truth() == decisive) {
      return value;
    }
  }
  if (!first) return Value::of(!decisive);
  error_ = std::move(first);
  return Value::of_error();
}

Value Evaluation::call(const Node& node) {
  std::array<Value, kArgumentsMax> arguments;
  const std::size_t count = node.children.size();
  if (!node.function || count > kArgumentsMax) return fail(node, "there is no such function");
  for (std::size_t i = 0; i < count; ++i) {
    Value& value = arguments[i];
    value = eval(node.child(i));
    if (value.is_error()) return value;
    const char letter = node.function->letter(i, count);
    std::int64_t integer = 0;
    bool fits = fits_letter(letter, value);
    if (letter == 'i') {
      fits = as_integer(value, integer);
      value = fits ? Value::of(integer) : value;
    }
    if (!fits) {
      return fail(node.child(i), fmt::format("{} needs {} and is given {}", node.function->name, letter_name(letter),
                                             kind_name(value.kind)));
    }
  }
  const Value result = node.function->apply(*this, node, std::span<const Value>(arguments.data(), count));
  return error_ ? Value::of_error() : result;
}

Value Evaluation::macro(const Node& node) {
  ++macros_;
  Value result = macro_over(node);
  --macros_;
  return result;
}

Value Evaluation::macro_over(const Node& node) {
  const Value range = eval(node.child(0));
  if (range.is_error()) return range;
  if (!range.is_list() && !range.is_object()) {
    return fail(node.child(0),
                fmt::format("a list or an object is wanted here, and this is {}", kind_name(range.kind)));
  }
  if (node.macro != Macro::kMap && node.macro != Macro::kFilter) return quantifier(node, range);
  const bool filters = node.macro == Macro::kFilter || node.children.size() == 3;
  List list;
  for (std::size_t i = 0, size = size_of(range); i < size; ++i) {
    Value element = range.is_list() ? element_of(range, i) : Value::of(member_of(range, i).first);
    locals_[node.slot] = element;
    if (filters) {
      const Value chosen = eval(node.child(1));
      if (chosen.is_error()) return chosen;
      if (!chosen.is(Kind::kBool)) {
        return fail(node.child(1), fmt::format("a condition is true or false, and this is {}", kind_name(chosen.kind)));
      }
      if (!chosen.truth()) continue;
    }
    if (node.macro == Macro::kMap) {
      element = eval(*node.children.back());
      if (element.is_error()) return element;
    }
    if (!charge_new(kElementBytes)) return Value::of_error();
    list.items.push_back(element);
  }
  return keep(std::move(list));
}

Value Evaluation::quantifier(const Node& node, const Value& range) {
  const bool decisive = node.macro == Macro::kExists;
  std::optional<Error> first;
  std::size_t hits = 0;
  for (std::size_t i = 0, size = size_of(range); i < size; ++i) {
    locals_[node.slot] = range.is_list() ? element_of(range, i) : Value::of(member_of(range, i).first);
    Value value = eval(node.child(1));
    if (!value.is_error() && !value.is(Kind::kBool)) {
      value = fail(node.child(1), fmt::format("a condition is true or false, and this is {}", kind_name(value.kind)));
    }
    if (value.is_error()) {
      if (fatal_ || node.macro == Macro::kExistsOne) return value;
      if (!first) first = std::move(error_);
      error_.reset();
    } else if (node.macro == Macro::kExistsOne) {
      hits += value.truth() ? 1 : 0;
    } else if (value.truth() == decisive) {
      return value;
    }
  }
  if (node.macro == Macro::kExistsOne) return Value::of(hits == 1);
  if (!first) return Value::of(!decisive);
  error_ = std::move(first);
  return Value::of_error();
}

// Stops where the value is too large or too deep, before it is copied.
// What is deeper could be recorded and never be read again.
bool Evaluation::within_depth(std::size_t depth) {
  if (depth <= JsonLimits{}.depth_max) return true;
  limit("depth_max", fmt::format("gives a value that is nested deeper than {}", JsonLimits{}.depth_max));
  return false;
}

bool Evaluation::measure(const Json& value, Budget budget, std::size_t depth) {
  if (!within_depth(depth)) return false;
  if (value.is_string()) return count(budget, value.get_ptr<const std::string*>()->size() + 2);
  if (!count(budget, kValueBytes)) return false;
  if (value.is_array()) {
    for (const auto& element : *value.get_ptr<const Json::array_t*>()) {
      if (!measure(element, budget, depth + 1)) return false;
    }
  } else if (value.is_object()) {
    for (const auto& [name, member] : *value.get_ptr<const Json::object_t*>()) {
      if (!count(budget, name.size() + 3) || !measure(member, budget, depth + 1)) return false;
    }
  }
  return true;
}

bool Evaluation::write(const Value& value, Json& out, std::size_t depth) {
  return write_at(value, out, Budget::kResult, depth);
}

bool Evaluation::write_at(const Value& value, Json& out, Budget budget, std::size_t depth) {
  switch (value.kind) {
    case Kind::kError: return false;
    case Kind::kNull: out = nullptr; break;
    case Kind::kBool: out = value.truth(); break;
    case Kind::kInt: out = value.integer; break;
    case Kind::kDouble: out = value.number; break;
    case Kind::kText:
      if (!count(budget, value.length + 2)) return false;
      out = std::string(value.view());
      return true;
    case Kind::kDuration: out = span_text(value.integer); break;
    case Kind::kTimestamp: out = instant_text(value.integer); break;
    case Kind::kJsonList:
    case Kind::kJsonObject:
      if (!measure(*value.json, budget, depth)) return false;
      out = *value.json;
      return true;
    case Kind::kList: {
      if (!within_depth(depth)) return false;
      Json::array_t list(value.list->items.size());
      for (std::size_t i = 0; i < list.size(); ++i) {
        if (!write_at(value.list->items[i], list[i], budget, depth + 1)) return false;
      }
      out = std::move(list);
      break;
    }
    case Kind::kObject: {
      if (!within_depth(depth)) return false;
      out = Json::object();
      auto& all = static_cast<Members&>(*out.get_ptr<Json::object_t*>());
      for (const auto& [name, member] : value.object->members) {
        if (!count(budget, name.length + 3)) return false;
        all.emplace_back(std::string(name.view()), nullptr);
        if (!write_at(member, all.back().second, budget, depth + 1)) return false;
      }
      break;
    }
  }
  return count(budget, kValueBytes);
}

bool Evaluation::write_json(const Value& value, std::string& out) {
  if (value.is(Kind::kJsonList) || value.is(Kind::kJsonObject)) {
    if (!measure(*value.json, Budget::kNew, 1)) return false;
    out = weft::to_text(*value.json);
    return true;
  }
  Json json;
  if (!write_at(value, json, Budget::kNew, 1)) return false;
  out = weft::to_text(json);
  return true;
}

bool Evaluation::write_text(const Value& value, std::string& out) {
  if (value.is_text()) {
    if (!count_result(value.length)) return false;
    out += value.view();
    return true;
  }
  if (value.is(Kind::kJsonList) || value.is(Kind::kJsonObject)) {
    if (!measure(*value.json, Budget::kResult, 1)) return false;
    out += weft::to_text(*value.json);
    return true;
  }
  Json json;
  if (!write(value, json)) return false;
  if (json.is_string()) {
    out += *json.get_ptr<const std::string*>();
  } else {
    out += weft::to_text(json);
  }
  return true;
}

}  // namespace weft::workflows::expression

namespace weft::workflows {

Result<Json> Expression::evaluate(const Environment& environment, const ExpressionLimits& limits) const {
  if (!parts_) return internal("an expression was never parsed");
  expression::Evaluation evaluation(environment, limits);
  Json result;
  if (!evaluation.write(evaluation.run(parts_->tree), result)) return evaluation.take_error();
  return result;
}

Result<bool> Expression::evaluate_bool(const Environment& environment, const ExpressionLimits& limits) const {
  if (!parts_) return internal("an expression was never parsed");
  expression::Evaluation evaluation(environment, limits);
  return evaluation.run_bool(parts_->tree);
}

}  // namespace weft::workflows
