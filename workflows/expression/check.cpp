// The static types of an expression. Reports every fault; where one is, the type is `any`, so that it is said once.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workflows/expression/ast.h"
#include "workflows/expression/functions.h"

namespace weft::workflows::expression {
namespace {

using Kind = Type::Kind;

constexpr std::size_t kTypeBytesMax = 120;  // Of a type inside a message.
constexpr std::uint64_t kNodeUnits = 20;    // Of the budget of the check, for a node,
constexpr std::uint64_t kFactUnits = 10;    // and for each path that is known to be there.

std::string shown(const Type& type) {
  std::string text = type.to_text(kTypeBytesMax + 1);
  if (text.size() <= kTypeBytesMax) return text;
  text.resize(kTypeBytesMax);
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.pop_back();
  return text + "…";
}

bool is_any(const Type& type) { return type.kind() == Kind::kAny; }
bool is_numeric(const Type& type) { return type.kind() == Kind::kInteger || type.kind() == Kind::kNumber; }
bool is_time(const Type& type) { return type.kind() == Kind::kDuration || type.kind() == Kind::kTimestamp; }
bool is_keyed(const Type& type) { return type.kind() == Kind::kObject || type.kind() == Kind::kMap; }

bool is_path(const Node& node) {
  return node.kind == NodeKind::kRoot || node.kind == NodeKind::kStep || node.kind == NodeKind::kLocal ||
         node.kind == NodeKind::kSelect || node.kind == NodeKind::kIndex;
}

class Checker {
 public:
  Checker(Tree& tree, const TypeScope& scope, Diagnostics& diagnostics)
      : tree_(tree), scope_(scope), diagnostics_(diagnostics), work_(diagnostics.work()) {}

  Type run() {
    if (!work_.over()) facts_ = scope_.narrowed();
    (void)work_.spend(kFactUnits * facts_.size());
    return visit(*tree_.root);
  }

 private:
  Type visit(Node& node);
  Type path(Node& node);
  Type root(Node& node);
  Type step(Node& node);
  Type select(Node& node);
  Type index(Node& node);
  Type field(Node& node, const Type& base, const std::string& name);
  Type list(Node& node);
  Type map(Node& node);
  Type negate(Node& node);
  Type binary(Node& node);
  Type arithmetic(Node& node, const Type& a, const Type& b);
  Type equality(Node& node, const Type& a, const Type& b);
  Type relation(Node& node, const Type& a, const Type& b);
  Type within(Node& node, const Type& a, const Type& b);
  Type connective(Node& node);
  Type coalesce(Node& node);
  Type conditional(Node& node);
  Type call(Node& node);
  Type result(Node& node, const std::vector<Type>& given);
  Type macro(Node& node);

  Type fault(const Node& node, std::string message, std::string suggestion = {}, std::string code = "type");
  // The type without its enum and its `?`, after the fault where it may be null.
  Type need(const Node& node, const Type& type, std::string_view what);
  void need_boolean(const Node& node, const Type& type);
  bool never_equal(const Type& a, const Type& b) const;
  void compile(Node& node);
  bool is_known(const std::string& path) const;

  Tree& tree_;
  const TypeScope& scope_;
  Diagnostics& diagnostics_;
  Budget& work_;
  std::vector<std::string> facts_;  // Paths that are non-null where the walk stands.
  std::vector<Type> locals_;
};

Type Checker::fault(const Node& node, std::string message, std::string suggestion, std::string code) {
  diagnostics_.error(tree_.at(node.begin), std::move(code), std::move(message), std::move(suggestion));
  return {};
}

Type Checker::need(const Node& node, const Type& type, std::string_view what) {
  if (type.kind() == Kind::kNull) return fault(node, fmt::format("{} is null, and {}", tree_.quote(node), what));
  if (type.optional()) {
    const std::string text = tree_.quote(node);
    const std::string bare = text.substr(1, text.size() - 2);
    fault(node, fmt::format("{} may be null here, and {}", text, what),
          is_path(node) ? fmt::format("test it with `{0} != null`, or give a value for that case: `{0} ?? …`", bare)
                        : "give a value for that case with `?? …`");
  }
  return type.widened().without_optional();
}

void Checker::need_boolean(const Node& node, const Type& type) {
  const Type plain = need(node, type, "a condition is true or false");
  if (is_any(plain) || plain.kind() == Kind::kBoolean) return;
  fault(node, fmt::format("{} is {}, and a condition is true or false", tree_.quote(node), shown(plain)));
}

bool Checker::is_known(const std::string& path) const {
  (void)work_.spend(facts_.size());
  return !path.empty() && std::any_of(facts_.begin(), facts_.end(), [&](const std::string& fact) {
    return fact.starts_with(path) &&
           (fact.size() == path.size() || fact[path.size()] == '.' || fact[path.size()] == '[');
  });
}

Type Checker::visit(Node& node) {
  if (!work_.spend(kNodeUnits)) return {};
  switch (node.kind) {
    case NodeKind::kLiteral:
      switch (node.value.kind) {
        case Value::Kind::kNull: return Type::of(Kind::kNull);
        case Value::Kind::kBool: return Type::of(Kind::kBoolean);
        case Value::Kind::kInt: return Type::of(Kind::kInteger);
        case Value::Kind::kDouble: return Type::of(Kind::kNumber);
        default: return Type::of(Kind::kString);
      }
    case NodeKind::kRoot:
    case NodeKind::kLocal:
    case NodeKind::kStep:
    case NodeKind::kSelect:
    case NodeKind::kIndex: return path(node);
    case NodeKind::kList: return list(node);
    case NodeKind::kMap: return map(node);
    case NodeKind::kNot: need_boolean(*node.children[0], visit(*node.children[0])); return Type::of(Kind::kBoolean);
    case NodeKind::kNegate: return negate(node);
    case NodeKind::kBinary: return binary(node);
    case NodeKind::kAnd:
    case NodeKind::kOr: return connective(node);
    case NodeKind::kCoalesce: return coalesce(node);
    case NodeKind::kConditional: return conditional(node);
    case NodeKind::kHas: visit(*node.children[0]); return Type::of(Kind::kBoolean);
    case NodeKind::kCall: return call(node);
    case NodeKind::kMacro: return macro(node);
  }
  return {};
}

Type Checker::path(Node& node) {
  Type type;
  switch (node.kind) {
    case NodeKind::kRoot: type = root(node); break;
    case NodeKind::kLocal: type = locals_[node.slot]; break;
    case NodeKind::kStep: type = step(node); break;
    case NodeKind::kSelect: type = select(node); break;
    default: type = index(node);
  }
  if (type.optional() && is_known(path_of(node))) type = type.without_optional();
  node.convert = Value::Kind::kNull;
  if (type.kind() == Kind::kDuration) node.convert = Value::Kind::kDuration;
  if (type.kind() == Kind::kTimestamp) node.convert = Value::Kind::kTimestamp;
  return type;
}

Type Checker::root(Node& node) {
  if (auto type = scope_.name(node.text)) return *std::move(type);
  const std::string close = diagnostics_.full() ? std::string() : diagnostics_.nearest(node.text, scope_.names());
  return fault(node, fmt::format("there is no name `{}` here", node.text),
               close.empty() ? "" : fmt::format("did you mean {}?", close), "unknown-name");
}

Type Checker::step(Node& node) {
  auto type = scope_.step(node.text, node.field, node.tolerant);
  if (type) return *std::move(type);
  std::string suggestion;
  std::string code = "unknown-name";
  for (const auto& detail : type.error().details) {
    if (detail.key == "suggestion") suggestion = detail.value;
    if (detail.key == "code") code = detail.value;
  }
  return fault(node, type.error().message, suggestion, code);
}

Type Checker::field(Node& node, const Type& base, const std::string& name) {
  node.null_base = base.optional();
  node.may_be_missing = false;
  Type type;
  switch (base.kind()) {
    case Kind::kAny: break;
    case Kind::kMap: type = base.element(); break;
    case Kind::kObject: {
      const Type::Field* known = base.field(name);
      if (!known) {
        if (diagnostics_.full()) return fault(node, "there is no such field", "", "unknown-field");
        std::vector<std::string> names;
        for (const auto& other : base.fields()) names.push_back(other.name);
        const std::string close = diagnostics_.nearest(name, names);
        std::string suggestion = close.empty() ? "" : fmt::format("did you mean {}?", close);
        if (close.empty() && !names.empty()) suggestion = fmt::format("it has {}", fmt::join(names, ", "));
        return fault(node, fmt::format("{} has no field `{}`", tree_.quote(*node.children[0]), name), suggestion,
                     "unknown-field");
      }
      type = known->type;
      node.may_be_missing = type.optional();
      break;
    }
    default:
      return fault(node,
                   fmt::format("{} is {} and has no field `{}`", tree_.quote(*node.children[0]), shown(base), name));
  }
  return base.optional() ? type.as_optional() : type;
}

Type Checker::select(Node& node) {
  const Type base = visit(*node.children[0]);
  return field(node, base, node.text);
}

Type Checker::index(Node& node) {
  const Type base = visit(*node.children[0]);
  Node& at = *node.children[1];
  const Type by = need(at, visit(at), "what stands in brackets has a value");
  node.null_base = base.optional();
  node.may_be_missing = false;
  if (is_any(base)) return base;
  const bool by_text = by.kind() == Kind::kString || is_any(by);
  if (is_keyed(base) && at.kind == NodeKind::kLiteral && by.kind() == Kind::kString) return field(node, base, at.text);
  Type type;
  if (base.kind() == Kind::kList) {
    if (by.kind() != Kind::kInteger && !is_any(by)) {
      return fault(at, fmt::format("the place in a list is an integer, and {} is {}", tree_.quote(at), shown(by)),
                   by.kind() == Kind::kNumber ? "int(…) makes one" : "");
    }
    type = base.element();
  } else if (is_keyed(base)) {
    if (!by_text) {
      return fault(at, fmt::format("the name of a field is a string, and {} is {}", tree_.quote(at), shown(by)));
    }
    type = base.kind() == Kind::kMap ? base.element() : Type();
  } else {
    return fault(node, fmt::format("{} is {} and has no elements", tree_.quote(*node.children[0]), shown(base)));
  }
  return base.optional() ? type.as_optional() : type;
}

Type Checker::list(Node& node) {
  if (node.children.empty()) return Type::list({});
  Type element = visit(*node.children[0]);
  for (std::size_t i = 1; i < node.children.size(); ++i)
    element = Type::join(element, visit(*node.children[i]), &work_);
  return Type::list(element);
}

Type Checker::map(Node& node) {
  std::vector<Type::Field> fields;
  Type element;
  bool literal = true;
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    Node& key = *node.children[i];
    const Type by = need(key, visit(key), "a key has a value");
    if (by.kind() != Kind::kString && !is_any(by)) {
      fault(key, fmt::format("a key is a string, and {} is {}", tree_.quote(key), shown(by)),
            key.kind == NodeKind::kRoot ? "put the name in quotes" : "");
    }
    const Type value = visit(*node.children[i + 1]);
    element = i == 0 ? value : Type::join(element, value, &work_);
    literal = literal && key.kind == NodeKind::kLiteral;
    fields.push_back({key.text, value, {}});
  }
  return literal ? Type::object(std::move(fields)) : Type::map(element);
}

Type Checker::negate(Node& node) {
  Node& operand = *node.children[0];
  const Type type = need(operand, visit(operand), "`-` needs a number");
  node.integers = type.kind() == Kind::kInteger;
  if (is_any(type)) return Type::of(Kind::kNumber);
  if (is_numeric(type) || type.kind() == Kind::kDuration) return type;
  return fault(operand, fmt::format("`-` needs a number, and {} is {}", tree_.quote(operand), shown(type)));
}

Type Checker::binary(Node& node) {
  const Type a = visit(*node.children[0]);
  const Type b = visit(*node.children[1]);
  switch (node.op) {
    case Operator::kEqual:
    case Operator::kNotEqual: return equality(node, a, b);
    case Operator::kLess:
    case Operator::kLessEqual:
    case Operator::kGreater:
    case Operator::kGreaterEqual: return relation(node, a, b);
    case Operator::kIn: return within(node, a, b);
    default: return arithmetic(node, a, b);
  }
}

Type Checker::arithmetic(Node& node, const Type& left, const Type& right) {
  const Type a = need(*node.children[0], left, "arithmetic needs a value");
  const Type b = need(*node.children[1], right, "arithmetic needs a value");
  const bool adds = node.op == Operator::kAdd;
  node.integers = a.kind() == Kind::kInteger && b.kind() == Kind::kInteger;
  if (node.op == Operator::kRemainder) {
    if (node.integers) return Type::of(Kind::kInteger);
    const Node& other = *node.children[a.kind() == Kind::kInteger ? 1 : 0];
    return fault(other,
                 fmt::format("`%` needs two integers, and {} is {}", tree_.quote(other),
                             shown(a.kind() == Kind::kInteger ? b : a)),
                 "int(…) makes an integer of a number");
  }
  if (node.integers) {
    if (node.op == Operator::kDivide) {
      diagnostics_.warning(tree_.at(node.begin), "int-division",
                           fmt::format("{} divides two integers and drops the remainder", tree_.quote(node)),
                           "double(…) around one of them keeps it");
    }
    return Type::of(Kind::kInteger);
  }
  if (is_numeric(a) && is_numeric(b)) return Type::of(Kind::kNumber);
  if (is_any(a) && is_any(b)) return adds ? Type() : Type::of(Kind::kNumber);
  if (is_any(a) || is_any(b)) {
    const Type& known = is_any(a) ? b : a;
    if (is_numeric(known)) return Type::of(Kind::kNumber);
    if (adds && known.kind() == Kind::kString) return known;
    if (adds && known.kind() == Kind::kList) return Type::list({});
    if (is_time(known)) return {};
  }
  if (adds && a.kind() == Kind::kString && b.kind() == Kind::kString) return a;
  if (adds && a.kind() == Kind::kList && b.kind() == Kind::kList) {
    return Type::list(Type::join(a.element(), b.element(), &work_));
  }
  const bool subtracts = node.op == Operator::kSubtract;
  if ((adds || subtracts) && is_time(a) && b.kind() == Kind::kDuration) return a;
  if (adds && a.kind() == Kind::kDuration && b.kind() == Kind::kTimestamp) return b;
  if (subtracts && a.kind() == Kind::kTimestamp && b.kind() == Kind::kTimestamp) return Type::of(Kind::kDuration);
  const bool text = a.kind() == Kind::kString || b.kind() == Kind::kString;
  return fault(node, fmt::format("{} joins {} and {}", tree_.quote(node), shown(a), shown(b)),
               adds && text ? "string(…) makes a text of a value" : "");
}

bool Checker::never_equal(const Type& left, const Type& right) const {
  const bool either_null = left.kind() == Kind::kNull || right.kind() == Kind::kNull;
  if (either_null || is_any(left) || is_any(right) || (left.optional() && right.optional())) return false;
  const Type a = left.widened();
  const Type b = right.widened();
  if (is_any(a) || is_any(b) || (is_numeric(a) && is_numeric(b))) return false;
  return a.kind() != b.kind() && !(is_keyed(a) && is_keyed(b));
}

Type Checker::equality(Node& node, const Type& a, const Type& b) {
  const Type truth = Type::of(Kind::kBoolean);
  if (never_equal(a, b)) {
    fault(node, fmt::format("{} compares {} with {}, which are never equal", tree_.quote(node), shown(a), shown(b)));
    return truth;
  }
  for (const bool swapped : {false, true}) {
    const Type& choice = swapped ? b : a;
    const Node& literal = *node.children[swapped ? 0 : 1];
    if (choice.kind() != Kind::kEnum || literal.kind != NodeKind::kLiteral || !literal.value.is_text()) continue;
    std::vector<std::string> names;
    for (const auto& value : choice.values()) {
      if (value.is_string()) names.push_back(value.get<std::string>());
    }
    if (std::find(names.begin(), names.end(), literal.text) != names.end()) continue;
    const std::string close = diagnostics_.nearest(literal.text, names);
    fault(literal,
          fmt::format("{} is never {}: it is one of {}", tree_.quote(*node.children[swapped ? 1 : 0]),
                      tree_.quote(literal), fmt::join(names, ", ")),
          close.empty() ? "" : fmt::format("did you mean '{}'?", close));
  }
  return truth;
}

Type Checker::relation(Node& node, const Type& left, const Type& right) {
  const Type a = need(*node.children[0], left, "an order needs a value");
  const Type b = need(*node.children[1], right, "an order needs a value");
  const auto has_order = [](const Type& type) {
    return is_any(type) || is_numeric(type) || is_time(type) || type.kind() == Kind::kString ||
           type.kind() == Kind::kBoolean;
  };
  const bool same = is_any(a) || is_any(b) || a.kind() == b.kind() || (is_numeric(a) && is_numeric(b));
  if (!has_order(a) || !has_order(b) || !same) {
    fault(node, fmt::format("{} compares {} with {}, which have no order", tree_.quote(node), shown(a), shown(b)));
  }
  return Type::of(Kind::kBoolean);
}

Type Checker::within(Node& node, const Type& a, const Type& right) {
  const Node& container = *node.children[1];
  const Type b = need(container, right, "`in` needs a list or an object");
  const Type truth = Type::of(Kind::kBoolean);
  if (is_any(b)) return truth;
  if (b.kind() != Kind::kList && !is_keyed(b)) {
    fault(container, fmt::format("`in` needs a list or an object, and {} is {}", tree_.quote(container), shown(b)),
          b.kind() == Kind::kString ? "text.contains(text) looks into a text" : "");
    return truth;
  }
  const Type element = b.kind() == Kind::kList ? b.element() : Type::of(Kind::kString);
  if (never_equal(a, element)) {
    fault(node,
          fmt::format("{} looks for {} among {}, which are never equal", tree_.quote(node), shown(a), shown(element)));
  }
  return truth;
}

Type Checker::connective(Node& node) {
  const std::size_t known = facts_.size();
  for (Node* child : node.children) {
    need_boolean(*child, visit(*child));
    collect_facts(*child, node.kind == NodeKind::kAnd, facts_);
  }
  facts_.resize(known);
  return Type::of(Kind::kBoolean);
}

Type Checker::coalesce(Node& node) {
  const Type first = visit(*node.children[0]);
  const Type otherwise = visit(*node.children[1]);
  if (first.kind() == Kind::kNull) return otherwise;
  return Type::join(first.without_optional(), otherwise, &work_);
}

Type Checker::conditional(Node& node) {
  const std::size_t known = facts_.size();
  need_boolean(*node.children[0], visit(*node.children[0]));
  Type branches[2];
  for (const bool truth : {true, false}) {
    collect_facts(*node.children[0], truth, facts_);
    branches[truth ? 0 : 1] = visit(*node.children[truth ? 1 : 2]);
    facts_.resize(known);
  }
  return Type::join(branches[0], branches[1], &work_);
}

Type Checker::call(Node& node) {
  std::vector<Type> given;
  const std::size_t count = node.children.size();
  for (std::size_t i = 0; i < count; ++i) {
    Node& child = *node.children[i];
    const char letter = node.function->letter(i, count);
    Type type = visit(child);
    if (letter == '*') {
      given.push_back(std::move(type));
      continue;
    }
    type = need(child, type, fmt::format("{} needs {}", node.text, letter_name(letter)));
    const Kind kind = type.kind();
    const bool text = kind == Kind::kString;
    bool fits = is_any(type) || letter == 'v';
    if (letter == 's') fits = fits || text;
    if (letter == 'l') fits = fits || kind == Kind::kList;
    if (letter == 'm') fits = fits || is_keyed(type);
    if (letter == 'c') fits = fits || text || kind == Kind::kList || is_keyed(type);
    if (letter == 'n') fits = fits || is_numeric(type);
    if (letter == 'i') fits = fits || kind == Kind::kInteger;
    if (letter == 't') fits = fits || text || kind == Kind::kInteger || kind == Kind::kTimestamp;
    if (letter == 'p') fits = fits || text || kind == Kind::kDuration;
    if (!fits) {
      fault(child,
            fmt::format("{} needs {}, and {} is {}", node.text, letter_name(letter), tree_.quote(child), shown(type)),
            std::string(node.function->usage));
      type = Type();
    }
    given.push_back(std::move(type));
  }
  if (node.function->name == "matches") compile(node);
  return result(node, given);
}

void Checker::compile(Node& node) {
  const Node& pattern = *node.children[1];
  if (pattern.kind != NodeKind::kLiteral || !pattern.value.is_text()) return;
  if (!work_.spend(std::min(Pattern::compile_cost(pattern.text), kPatternCompileMax))) return;
  auto compiled = Pattern::compile(pattern.text);
  if (compiled) node.pattern = *std::move(compiled);
  if (!compiled) fault(pattern, compiled.error().message, "", "pattern");
}

Type Checker::result(Node& node, const std::vector<Type>& given) {
  const Type& first = given.front();
  switch (node.function->gives) {
    case 's': return Type::of(Kind::kString);
    case 'b': return Type::of(Kind::kBoolean);
    case 'i': return Type::of(Kind::kInteger);
    case 'n': return Type::of(Kind::kNumber);
    case 'S': {
      const bool joined = first.kind() == Kind::kList;
      return joined ? Type() : Type::list(Type::of(Kind::kString));
    }
    case 'D': return Type::of(Kind::kDuration);
    case 'T': return Type::of(Kind::kTimestamp);
    case '=':
      if (is_any(first) && node.function->takes == "n") return Type::of(Kind::kNumber);
      return is_any(first) && node.function->takes[0] == 'l' ? Type::list({}) : first;
    case 'f':
      return first.kind() == Kind::kList && first.element().kind() == Kind::kList ? first.element() : Type::list({});
    case 'w': {
      if (first.kind() == Kind::kMap) return Type::list(first.element());
      if (first.fields().empty()) return Type::list({});
      Type element = first.fields().front().type;
      for (const auto& field : first.fields()) element = Type::join(element, field.type, &work_);
      return Type::list(element);
    }
    case 'e': {
      Type element = given.size() == 1 ? first.element() : first;
      for (std::size_t i = 1; i < given.size(); ++i) element = Type::join(element, given[i], &work_);
      if (element.optional()) need(*node.children[0], element, fmt::format("{} needs values", node.text));
      element = element.widened().without_optional();
      const bool sums = node.function->name == "sum";
      node.integers = element.kind() == Kind::kInteger;
      if (is_any(element)) return sums ? Type::of(Kind::kNumber) : element;
      if (!is_numeric(element) && (sums || element.kind() == Kind::kList || is_keyed(element))) {
        return fault(*node.children[0], fmt::format("{} needs {}, and these are {}", node.text,
                                                    sums ? "numbers" : "values that have an order", shown(element)));
      }
      return element;
    }
    default: return {};
  }
}

Type Checker::macro(Node& node) {
  Node& range = *node.children[0];
  const Type over = need(range, visit(range), "this needs a list or an object");
  Type element;
  if (over.kind() == Kind::kList) element = over.element();
  if (is_keyed(over)) element = Type::of(Kind::kString);
  if (!is_any(over) && over.kind() != Kind::kList && !is_keyed(over)) {
    fault(range, fmt::format("{} is {}, and this needs a list or an object", tree_.quote(range), shown(over)));
  }
  const std::size_t known = facts_.size();
  locals_.resize(node.slot);
  locals_.push_back(element);
  const bool maps = node.macro == Macro::kMap;
  Type body = visit(*node.children[1]);
  if (!maps || node.children.size() == 3) {
    need_boolean(*node.children[1], body);
    collect_facts(*node.children[1], true, facts_);
    if (maps) body = visit(*node.children[2]);
  }
  facts_.resize(known);
  locals_.resize(node.slot);
  if (maps) return Type::list(body);
  if (node.macro == Macro::kFilter) return Type::list(element);
  return Type::of(Kind::kBoolean);
}

}  // namespace
}  // namespace weft::workflows::expression

namespace weft::workflows {

Type Expression::check(const TypeScope& scope, Diagnostics& diagnostics) {
  if (!parts_) return {};
  return expression::Checker(parts_->tree, scope, diagnostics).run();
}

}  // namespace weft::workflows
