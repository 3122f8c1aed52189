// The grammar of the Common Expression Language with `??` between `||` and `?:`:
//   expression = coalesce ["?" expression ":" expression]      coalesce = or ["??" coalesce]
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "workflows/expression/ast.h"
#include "workflows/expression/functions.h"
#include "workflows/expression/lex.h"

namespace weft::workflows::expression {
namespace {

constexpr std::size_t kArgumentsWrittenMax = 4096;  // Elements of a literal; the length of the text ends earlier.

constexpr std::string_view kReserved[] = {"as",        "break",  "const",  "continue", "else",  "for",
                                          "function",  "if",     "import", "let",      "loop",  "package",
                                          "namespace", "return", "var",    "void",     "while", "in"};

struct Level {
  std::string_view sign;
  Operator op;
  int binds;
};
constexpr Level kLevels[] = {
    {"==", Operator::kEqual, 1},     {"!=", Operator::kNotEqual, 1}, {"<", Operator::kLess, 1},
    {"<=", Operator::kLessEqual, 1}, {">", Operator::kGreater, 1},   {">=", Operator::kGreaterEqual, 1},
    {"+", Operator::kAdd, 2},        {"-", Operator::kSubtract, 2},  {"*", Operator::kMultiply, 3},
    {"/", Operator::kDivide, 3},     {"%", Operator::kRemainder, 3},
};

struct MacroName {
  std::string_view name;
  Macro macro;
};
constexpr MacroName kMacros[] = {{"all", Macro::kAll},
                                 {"exists", Macro::kExists},
                                 {"exists_one", Macro::kExistsOne},
                                 {"map", Macro::kMap},
                                 {"filter", Macro::kFilter}};

class Parser {
 public:
  Parser(Tree& tree, std::vector<std::string>& roots, Diagnostics& diagnostics)
      : tree_(tree), roots_(roots), diagnostics_(diagnostics), lexer_(tree.text) {}

  bool run() {
    advance();
    tree_.root = expression();
    if (!failed_ && !token_is_end()) unexpected();
    return !failed_ && !faulty_;
  }

 private:
  // Every function below returns null once failed_.
  Node* expression();
  Node* coalesce();
  Node* disjunction();
  Node* conjunction();
  Node* binary(int binds_min);
  Node* unary();
  Node* postfix();
  Node* primary();
  Node* list();
  Node* map();
  Node* named();
  Node* step(std::uint32_t begin);
  Node* selection(Node* base);
  Node* call(const Token& name, Node* receiver);
  Node* has(const Token& name);
  Node* macro(const Token& name, Macro macro, Node* range);
  bool arguments(std::vector<Node*>& out, std::string_view close);

  void advance();
  bool token_is_end() const { return token_.kind == Token::Kind::kEnd; }
  bool accept(std::string_view sign);
  bool expect(std::string_view sign);
  Node* fail(std::uint32_t offset, std::string code, std::string message, std::string suggestion = {});
  Node* unexpected();
  Node* make(NodeKind kind, std::uint32_t begin, std::vector<Node*> children);
  bool too_deep();

  Tree& tree_;
  std::vector<std::string>& roots_;
  Diagnostics& diagnostics_;
  Lexer lexer_;
  Token token_;
  std::uint32_t last_end_ = 0;
  std::size_t depth_ = 0;
  std::vector<std::string> locals_;  // The innermost last; the index is the slot.
  bool failed_ = false;              // Reading stopped.
  bool faulty_ = false;              // Reading went on.
};

void Parser::advance() {
  last_end_ = token_.end;
  auto token = lexer_.next();
  if (token) {
    token_ = *std::move(token);
    return;
  }
  const LexFault& fault = lexer_.fault();
  fail(fault.offset, "expression-syntax", fault.message, fault.suggestion);
}

Node* Parser::fail(std::uint32_t offset, std::string code, std::string message, std::string suggestion) {
  if (!failed_) diagnostics_.error(tree_.at(offset), std::move(code), std::move(message), std::move(suggestion));
  failed_ = true;
  token_ = Token{};
  token_.begin = token_.end = static_cast<std::uint32_t>(tree_.text.size());
  return nullptr;
}

bool Parser::accept(std::string_view sign) {
  if (failed_ || !token_.is_sign(sign)) return false;
  advance();
  return !failed_;
}

bool Parser::expect(std::string_view sign) {
  if (accept(sign)) return true;
  if (failed_) return false;
  const std::string found =
      token_is_end() ? "the expression ends"
                     : fmt::format("`{}` stands", tree_.text.substr(token_.begin, token_.end - token_.begin));
  fail(token_.begin, "expression-syntax", fmt::format("{} where `{}` is wanted", found, sign));
  return false;
}

Node* Parser::unexpected() {
  if (token_is_end()) return fail(token_.begin, "expression-syntax", "the expression ends where a value is wanted");
  std::string suggestion;
  if (token_.is_name("and")) suggestion = "write &&";
  if (token_.is_name("or")) suggestion = "write ||";
  if (token_.is_name("not")) suggestion = "write !";
  return fail(token_.begin, "expression-syntax",
              fmt::format("`{}` does not fit here", tree_.text.substr(token_.begin, token_.end - token_.begin)),
              suggestion);
}

bool Parser::too_deep() {
  const std::size_t depth_max = ExpressionLimits{}.depth_max;
  if (depth_ < depth_max) return false;
  fail(token_.begin, "limit", fmt::format("the expression is nested deeper than {}", depth_max));
  return true;
}

Node* Parser::make(NodeKind kind, std::uint32_t begin, std::vector<Node*> children) {
  if (failed_) return nullptr;
  Node& node = tree_.nodes.emplace_back();
  node.kind = kind;
  node.begin = begin;
  node.end = last_end_;
  for (const Node* child : children) node.height = std::max(node.height, child->height + 1);
  node.children = std::move(children);
  if (node.height > kHeightMax) {
    return fail(begin, "limit", fmt::format("the expression is a chain of more than {} parts", kHeightMax));
  }
  return &node;
}

Node* Parser::expression() {
  if (too_deep()) return nullptr;
  ++depth_;
  const std::uint32_t begin = token_.begin;
  Node* node = coalesce();
  if (accept("?")) {
    Node* yes = expression();
    expect(":");
    Node* no = failed_ ? nullptr : expression();
    node = make(NodeKind::kConditional, begin, {node, yes, no});
  }
  --depth_;
  return node;
}

Node* Parser::coalesce() {
  std::vector<Node*> operands{disjunction()};
  while (accept("??")) operands.push_back(disjunction());
  Node* node = operands.back();
  for (std::size_t i = operands.size() - 1; i > 0 && !failed_; --i) {
    node = make(NodeKind::kCoalesce, operands[i - 1]->begin, {operands[i - 1], node});
  }
  return node;
}

Node* Parser::disjunction() {
  const std::uint32_t begin = token_.begin;
  std::vector<Node*> operands{conjunction()};
  while (accept("||")) operands.push_back(conjunction());
  return operands.size() == 1 ? operands[0] : make(NodeKind::kOr, begin, std::move(operands));
}

Node* Parser::conjunction() {
  const std::uint32_t begin = token_.begin;
  std::vector<Node*> operands{binary(1)};
  while (accept("&&")) operands.push_back(binary(1));
  return operands.size() == 1 ? operands[0] : make(NodeKind::kAnd, begin, std::move(operands));
}

Node* Parser::binary(int binds_min) {
  const std::uint32_t begin = token_.begin;
  Node* left = unary();
  while (!failed_) {
    Level level{"", Operator::kNone, 0};
    for (const auto& known : kLevels) {
      if (token_.is_sign(known.sign)) level = known;
    }
    if (token_.is_name("in")) level = {"in", Operator::kIn, 1};
    if (level.op == Operator::kNone || level.binds < binds_min) return left;
    advance();
    Node* right = binary(level.binds + 1);
    left = make(NodeKind::kBinary, begin, {left, right});
    if (left) left->op = level.op;
  }
  return nullptr;
}

Node* Parser::unary() {
  const std::uint32_t begin = token_.begin;
  const bool negate = token_.is_sign("-");
  if (!negate && !token_.is_sign("!")) return postfix();
  if (too_deep()) return nullptr;
  advance();
  // The least integer has no positive counterpart, so a literal takes its minus along.
  if (negate && token_.kind == Token::Kind::kInteger) {
    const std::uint64_t magnitude = token_.magnitude;
    token_.magnitude = 0;
    Node* node = postfix();
    if (!node) return nullptr;
    if (node->kind == NodeKind::kLiteral) {
      node->begin = begin;
      node->value = Value::of(static_cast<std::int64_t>(std::uint64_t{0} - magnitude));
      return node;
    }
    return fail(begin, "expression-syntax", "a number has no fields and no functions of its own here",
                "put the number in parentheses");
  }
  ++depth_;
  Node* operand = unary();
  --depth_;
  return make(negate ? NodeKind::kNegate : NodeKind::kNot, begin, {operand});
}

Node* Parser::postfix() {
  Node* node = primary();
  while (!failed_) {
    if (accept(".")) {
      node = selection(node);
    } else if (accept("[")) {
      Node* index = expression();
      expect("]");
      node = make(NodeKind::kIndex, node->begin, {node, index});
    } else {
      return node;
    }
  }
  return nullptr;
}

Node* Parser::selection(Node* base) {
  if (token_.kind != Token::Kind::kName) {
    if (token_.is_sign("?")) {
      return fail(token_.begin, "expression-syntax", "there is no optional selection `.?`",
                  "write a.b ?? c, or test it with has(a.b)");
    }
    return unexpected();
  }
  const Token name = token_;
  advance();
  if (token_.is_sign("(")) {
    for (const auto& known : kMacros) {
      if (name.text == known.name) return macro(name, known.macro, base);
    }
    return call(name, base);
  }
  Node* node = make(NodeKind::kSelect, base->begin, {base});
  if (node) node->text = name.text;
  return node;
}

Node* Parser::primary() {
  const Token token = token_;
  switch (token.kind) {
    case Token::Kind::kEnd: return failed_ ? nullptr : unexpected();
    case Token::Kind::kName: return named();
    case Token::Kind::kSign: {
      if (token.is_sign("[")) return list();
      if (token.is_sign("{")) return map();
      if (!token.is_sign("(")) return unexpected();
      advance();
      Node* inner = expression();
      expect(")");
      return failed_ ? nullptr : inner;
    }
    default: break;
  }
  advance();
  Node* node = make(NodeKind::kLiteral, token.begin, {});
  if (!node) return nullptr;
  if (token.kind == Token::Kind::kText) {
    node->text = token.text;
    node->value = Value::of(std::string_view(node->text));
  } else if (token.kind == Token::Kind::kDouble) {
    node->value = Value::of(token.number);
  } else {
    if (token.magnitude > static_cast<std::uint64_t>(INT64_MAX)) {
      return fail(token.begin, "expression-syntax", "the integer does not fit into 64 bits",
                  "write it with a decimal point where a double will do");
    }
    node->value = Value::of(static_cast<std::int64_t>(token.magnitude));
  }
  return node;
}

bool Parser::arguments(std::vector<Node*>& out, std::string_view close) {
  while (!failed_ && !token_.is_sign(close)) {
    if (out.size() >= kArgumentsWrittenMax) {
      fail(token_.begin, "limit", fmt::format("more than {} elements stand in one list", kArgumentsWrittenMax));
    } else {
      out.push_back(expression());
      if (!token_.is_sign(close)) expect(",");
    }
  }
  return expect(close);
}

Node* Parser::list() {
  const std::uint32_t begin = token_.begin;
  advance();
  std::vector<Node*> elements;
  if (!arguments(elements, "]")) return nullptr;
  Node* node = make(NodeKind::kList, begin, std::move(elements));
  const auto is_literal = [](const Node* element) { return element->kind == NodeKind::kLiteral; };
  if (node && std::all_of(node->children.begin(), node->children.end(), is_literal)) {
    List& constant = tree_.constants.emplace_back();
    for (const Node* element : node->children) constant.items.push_back(element->value);
    node->constant = &constant;
  }
  return node;
}

Node* Parser::map() {
  const std::uint32_t begin = token_.begin;
  advance();
  std::vector<Node*> members;
  while (!failed_ && !token_.is_sign("}")) {
    if (members.size() >= 2 * kArgumentsWrittenMax) {
      return fail(token_.begin, "limit", fmt::format("more than {} members stand in one map", kArgumentsWrittenMax));
    }
    members.push_back(expression());
    if (!expect(":")) break;
    members.push_back(expression());
    if (!token_.is_sign("}")) expect(",");
  }
  if (!expect("}")) return nullptr;
  return make(NodeKind::kMap, begin, std::move(members));
}

Node* Parser::named() {
  const Token name = token_;
  advance();
  if (failed_) return nullptr;
  if (name.text == "true" || name.text == "false" || name.text == "null") {
    Node* node = make(NodeKind::kLiteral, name.begin, {});
    if (node && name.text != "null") node->value = Value::of(name.text == "true");
    return node;
  }
  if (std::find(std::begin(kReserved), std::end(kReserved), name.text) != std::end(kReserved)) {
    return fail(name.begin, "expression-syntax", fmt::format("`{}` is a reserved word", name.text));
  }
  if (token_.is_sign("(")) {
    for (const auto& known : kMacros) {
      if (name.text != known.name) continue;
      return fail(name.begin, "expression-syntax", fmt::format("`{}` stands after a list", name.text),
                  fmt::format("write list.{}(x, …)", name.text));
    }
    return name.text == "has" ? has(name) : call(name, nullptr);
  }
  for (std::size_t i = locals_.size(); i > 0; --i) {
    if (locals_[i - 1] != name.text) continue;
    Node* node = make(NodeKind::kLocal, name.begin, {});
    if (!node) return nullptr;
    node->text = name.text;
    node->slot = static_cast<std::uint32_t>(i - 1);
    return node;
  }
  if (name.text == "steps") return step(name.begin);
  Node* node = make(NodeKind::kRoot, name.begin, {});
  if (!node) return nullptr;
  node->text = name.text;
  if (std::find(roots_.begin(), roots_.end(), name.text) == roots_.end()) roots_.push_back(name.text);
  return node;
}

// steps.NAME.FIELD, of which `steps` is read.
Node* Parser::step(std::uint32_t begin) {
  if (!accept(".") || token_.kind != Token::Kind::kName) {
    if (failed_) return nullptr;
    return fail(begin, "expression-syntax", "`steps` needs the name of a step and one of its fields",
                "write steps.NAME.output");
  }
  const Token name = token_;
  advance();
  if (!token_.is_sign(".")) {
    if (failed_) return nullptr;
    // `steps.my-step.output`: a dash is a minus.
    if (token_.is_sign("-") && token_.begin == name.end) {
      advance();
      if (token_.kind == Token::Kind::kName && token_.begin == name.end + 1) {
        return fail(name.begin, "expression-syntax",
                    fmt::format("the dash in `{}-{}` is a minus", name.text, token_.text),
                    fmt::format("name the step {0}_{1} and write steps.{0}_{1}.output", name.text, token_.text));
      }
    }
    return fail(begin, "expression-syntax", fmt::format("`steps.{}` is a step and no value", name.text),
                fmt::format("write steps.{}.output", name.text));
  }
  advance();
  const Token field = token_;
  advance();
  if (failed_) return nullptr;
  const bool is_call = field.kind == Token::Kind::kName && token_.is_sign("(");
  const auto& known = step_fields();
  if (field.kind != Token::Kind::kName || is_call) {
    return fail(begin, "expression-syntax", fmt::format("`steps.{}` is a step and no value", name.text),
                fmt::format("write steps.{}.output", name.text));
  }
  Node* node = make(NodeKind::kStep, begin, {});
  if (!node) return nullptr;
  node->text = name.text;
  node->field = field.text;
  if (std::find(known.begin(), known.end(), field.text) == known.end()) {
    const std::string close = diagnostics_.nearest(field.text, known);
    diagnostics_.error(tree_.at(field.begin), "unknown-field", fmt::format("a step has no field `{}`", field.text),
                       close.empty() ? fmt::format("write steps.{}.output.{}", name.text, field.text)
                                     : fmt::format("write steps.{}.{}", name.text, close));
    faulty_ = true;
  }
  return node;
}

Node* Parser::call(const Token& name, Node* receiver) {
  const std::uint32_t begin = receiver ? receiver->begin : name.begin;
  advance();
  std::vector<Node*> children;
  if (receiver) children.push_back(receiver);
  if (!arguments(children, ")")) return nullptr;
  const Function* function = find_function(name.text);
  if (!function) {
    const std::string close = diagnostics_.nearest(name.text, function_names());
    diagnostics_.error(tree_.at(name.begin), "unknown-name", fmt::format("there is no function `{}`", name.text),
                       close.empty() ? "" : fmt::format("did you mean {}?", close));
    faulty_ = true;
  } else if (children.size() < function->arguments_min || children.size() > function->arguments_max) {
    diagnostics_.error(
        tree_.at(name.begin), "type",
        fmt::format(
            "`{}` takes {}{} values and is given {}", name.text, function->arguments_min,
            function->arguments_max > function->arguments_min ? fmt::format(" to {}", function->arguments_max) : "",
            children.size()),
        std::string(function->usage));
    faulty_ = true;
  }
  Node* node = make(NodeKind::kCall, begin, std::move(children));
  if (!node) return nullptr;
  node->text = name.text;
  node->function = function;
  return node;
}

Node* Parser::has(const Token& name) {
  advance();
  Node* path = expression();
  if (!expect(")")) return nullptr;
  const bool selects = path->kind == NodeKind::kSelect || path->kind == NodeKind::kIndex;
  const bool names = path->kind == NodeKind::kStep || path->kind == NodeKind::kRoot || path->kind == NodeKind::kLocal;
  if (!selects && !names) {
    return fail(name.begin, "expression-syntax", "`has` takes a path, such as has(input.order.id)");
  }
  return make(NodeKind::kHas, name.begin, {path});
}

Node* Parser::macro(const Token& name, Macro macro, Node* range) {
  advance();
  const Token variable = token_;
  if (variable.kind == Token::Kind::kName) advance();
  const bool reserved = std::find(std::begin(kReserved), std::end(kReserved), variable.text) != std::end(kReserved) ||
                        variable.text == "true" || variable.text == "false" || variable.text == "null" ||
                        variable.text == "steps" || variable.text == "previous";
  if (variable.kind != Token::Kind::kName || reserved || !token_.is_sign(",")) {
    return fail(variable.begin, "expression-syntax", fmt::format("`{}` takes a name of its own first", name.text),
                fmt::format("write list.{}(x, …)", name.text));
  }
  advance();
  if (locals_.size() >= kLocalsMax) {
    return fail(variable.begin, "limit", fmt::format("more than {} names are bound at once", kLocalsMax));
  }
  locals_.push_back(variable.text);
  std::vector<Node*> children{range};
  const bool read = arguments(children, ")");
  locals_.pop_back();
  if (!read) return nullptr;
  const std::size_t children_max = macro == Macro::kMap ? 3 : 2;
  if (children.size() < 2 || children.size() > children_max) {
    return fail(
        name.begin, "expression-syntax",
        fmt::format("`{}` takes a name and {} expression", name.text, macro == Macro::kMap ? "one or two" : "one"));
  }
  Node* node = make(NodeKind::kMacro, range->begin, std::move(children));
  if (!node) return nullptr;
  node->text = variable.text;
  node->macro = macro;
  node->slot = static_cast<std::uint32_t>(locals_.size());
  return node;
}

}  // namespace
}  // namespace weft::workflows::expression

namespace weft::workflows {

std::optional<Expression> Expression::parse(std::string_view text, Mark mark, Diagnostics& diagnostics) {
  return parse_at(text, mark, mark.column, diagnostics);
}

std::optional<Expression> Expression::parse_at(std::string_view text, Mark mark, std::uint32_t line_column,
                                               Diagnostics& diagnostics) {
  const std::size_t length_max = ExpressionLimits{}.length_max;
  if (text.size() > length_max) {
    diagnostics.error(mark, "limit",
                      fmt::format("the expression has {} bytes; the limit is {}", text.size(), length_max));
    return std::nullopt;
  }
  if (!is_utf8(text)) {
    diagnostics.error(mark, "expression-syntax", "the expression is not UTF-8");
    return std::nullopt;
  }
  Expression result;
  result.parts_ = std::make_shared<Parts>();
  Parts& parts = *result.parts_;
  parts.tree.text = text;
  parts.tree.mark = mark;
  parts.tree.line_column = line_column;
  if (text.find_first_not_of(" \t\r\n\f") == std::string_view::npos) {
    diagnostics.error(mark, "expression-syntax", "the expression is empty");
    return std::nullopt;
  }
  if (!expression::Parser(parts.tree, parts.roots, diagnostics).run()) return std::nullopt;
  expression::collect_mentions(parts.tree, *parts.tree.root, parts.mentions);
  expression::collect_facts(*parts.tree.root, true, parts.narrows);
  std::erase_if(parts.narrows, [](const std::string& path) { return path.starts_with('#'); });
  return result;
}

}  // namespace weft::workflows
