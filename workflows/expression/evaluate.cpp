#include "workflows/expression/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "workflows/expression/functions.h"

namespace weft::workflows::expression {
namespace {

using Kind = Value::Kind;

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr std::size_t kFailSteps = 64;         // A sentence costs far more than a step.
constexpr std::size_t kBytesPerStep = 16;      // Of text that is read or compared.
constexpr std::size_t kNameBytesPerStep = 64;  // Of a name that is compared with each member of an object.
constexpr std::uint64_t kNameSteps = 12;       // For a name that is looked up in the environment.
constexpr std::uint64_t kTimeSteps = 20;       // For a time that is read from text; and one for each byte.
constexpr std::uint64_t kNewSteps = 2;         // For a value that is made,

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
  (void)cost_.spend(kFailSteps + node.begin / kBytesPerStep);  // What is evaluated next fails by it.
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

bool Evaluation::exhausted() {
  Budget* around = environment_.budget();
  if (around == nullptr || !around->over()) {
    limit("cost_max", fmt::format("takes more than {} steps", limits_.cost_max));
  } else if (!std::exchange(fatal_, true)) {
    error_ = around->error();
  }
  return false;
}

bool Evaluation::charge_bytes(std::size_t bytes) { return charge(bytes / kBytesPerStep); }

bool Evaluation::charge_call(const Function& function, std::span<const Value> arguments) {
  const Charge& own = function.charge;
  std::uint64_t steps = own.steps;
  for (const Value& argument : arguments) {
    if (argument.is_text() && own.bytes_per_step > 0) steps += argument.length / own.bytes_per_step;
    if (own.steps_per_element > 0 && (argument.is_list() || argument.is_object()))
      steps += own.steps_per_element * size_of(argument);
  }
  return charge(steps);
}

bool Evaluation::charge_new(std::size_t bytes) {
  new_bytes_ += bytes;
  if (new_bytes_ > limits_.new_bytes_max) {
    limit("new_bytes_max", fmt::format("computes more than {} new bytes", limits_.new_bytes_max));
    return false;
  }
  return charge(kNewSteps + bytes / kBytesPerStep);
}

Value Evaluation::keep(std::string text) { return Value::of(std::string_view(texts_.emplace_front(std::move(text)))); }

Value Evaluation::keep(List list) { return Value::of(&lists_.emplace_front(std::move(list))); }

Value Evaluation::keep(Object object) { return Value::of(&objects_.emplace_front(std::move(object))); }

Value Evaluation::keep(Json value) { return Value::from(values_.emplace_front(std::move(value))); }

Value Evaluation::run(const Tree& tree, const Node& node) {
  tree_ = &tree;
  return eval(node);
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
  if (!charge(1)) return Value::of_error();
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
  if (!charge(kNameSteps)) return Value::of_error();
  // Asked for once: an environment may have to read it from a disk, or to make it.
  const auto [known, is_new] = roots_.try_emplace({node.text, node.field}, nullptr);
  if (is_new) known->second = asked();
  return known->second ? converted(node, Value::from(*known->second)) : Value();
}

// Times come out of the environment as text.
Value Evaluation::converted(const Node& node, const Value& value) {
  if (node.convert == Kind::kNull || !value.is_text()) return value;
  if (!charge(kTimeSteps + value.length)) return Value::of_error();
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
  std::size_t looked_at = 0;
  const auto seen = [&] { return charge(looked_at + looked_at * name.size() / kNameBytesPerStep); };
  if (base.is(Kind::kJsonObject)) {
    for (const auto& [key, value] : members(base)) {
      ++looked_at;
      if (same_text(key, name)) return seen() ? converted(node, Value::from(value)) : Value::of_error();
    }
    if (!seen()) return Value::of_error();
  } else if (base.is(Kind::kObject)) {
    for (const auto& [key, value] : base.object->members) {
      ++looked_at;
      if (same_text(key.view(), name)) return seen() ? value : Value::of_error();
    }
    if (!seen()) return Value::of_error();
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
    if (!charge(object.members.size() * (1 + key.length / kNameBytesPerStep))) return Value::of_error();
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
  const std::span<const Value> given(arguments.data(), count);
  if (!charge_call(*node.function, given)) return Value::of_error();
  const Value result = node.function->apply(*this, node, given);
  return error_ ? Value::of_error() : result;
}

Value Evaluation::macro(const Node& node) {
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
