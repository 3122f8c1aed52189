// The parsed form of an expression. Private to expression_*.cpp and template.cpp.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/pattern.h"
#include "workflows/expression/expression.h"

namespace weft::workflows::expression {

// Of the tree: chains of operators and of `.` grow it without nesting the text.
inline constexpr std::uint32_t kHeightMax = 256;
inline constexpr std::uint32_t kLocalsMax = 64;
inline constexpr std::size_t kArgumentsMax = 8;
inline constexpr std::size_t kQuoteBytesMax = 80;  // Of an expression's text inside a message.
inline constexpr std::size_t kElementBytes = 8;    // What an element of a new list counts against `new_bytes_max`.

struct List;
struct Object;
struct Function;

// A value during evaluation: 16 bytes, copied freely, owning nothing. What it points to lives in the environment, in
// the tree or in the Evaluation. Every double in it is finite.
struct Value {
  enum class Kind : std::uint8_t {
    kError,  // The Evaluation holds the error.
    kNull,
    kBool,
    kInt,
    kDouble,
    kText,
    kJsonList,    // Borrowed.
    kJsonObject,  // Borrowed.
    kList,        // Made by the evaluation.
    kObject,      // Made by the evaluation.
    kDuration,    // Microseconds.
    kTimestamp,   // Microseconds since 1970.
  };

  Kind kind = Kind::kNull;
  std::uint32_t length = 0;  // kText: bytes. (No value is larger than 16 MiB.)
  union {
    std::int64_t integer = 0;
    double number;
    const char* text;
    const Json* json;
    const List* list;
    const Object* object;
  };

  static Value of_error() { return of(Kind::kError, 0); }
  static Value of(bool truth) { return of(Kind::kBool, truth ? 1 : 0); }
  static Value of(std::int64_t integer) { return of(Kind::kInt, integer); }
  static Value of(Kind kind, std::int64_t integer) {
    Value value;
    value.kind = kind;
    value.integer = integer;
    return value;
  }
  static Value of(double number) {
    Value value;
    value.kind = Kind::kDouble;
    value.number = number;
    return value;
  }
  static Value of(std::string_view text) {
    Value value;
    value.kind = Kind::kText;
    value.length = static_cast<std::uint32_t>(text.size());
    value.text = text.data();
    return value;
  }
  static Value of(const List* list) {
    Value value;
    value.kind = Kind::kList;
    value.list = list;
    return value;
  }
  static Value of(const Object* object) {
    Value value;
    value.kind = Kind::kObject;
    value.object = object;
    return value;
  }
  static Value from(const Json& json);  // Borrows lists, objects and text.

  bool is_error() const { return kind == Kind::kError; }
  bool is_null() const { return kind == Kind::kNull; }
  bool is_number() const { return kind == Kind::kInt || kind == Kind::kDouble; }
  bool is_text() const { return kind == Kind::kText; }
  bool is_list() const { return kind == Kind::kList || kind == Kind::kJsonList; }
  bool is_object() const { return kind == Kind::kObject || kind == Kind::kJsonObject; }
  bool is(Kind wanted) const { return kind == wanted; }
  bool truth() const { return integer != 0; }
  std::string_view view() const { return {text, length}; }
  double as_double() const { return kind == Kind::kInt ? static_cast<double>(integer) : number; }
};

struct List {
  std::vector<Value> items;
};

struct Object {
  std::vector<std::pair<Value, Value>> members;  // Keys are kText.
};

std::string_view kind_name(Value::Kind kind);  // "string", "list", …

enum class NodeKind : std::uint8_t {
  kLiteral,
  kRoot,    // `text` is the name
  kLocal,   // The name that a macro binds; `slot`
  kStep,    // steps.`text`.`field`
  kSelect,  // [base].`text`
  kIndex,   // [base][[index]]
  kList,
  kMap,  // [key, value, key, value, …]
  kNot,
  kNegate,
  kBinary,
  kAnd,  // Two or more operands
  kOr,
  kCoalesce,     // a ?? b
  kConditional,  // a ? b : c
  kHas,
  kCall,
  kMacro,  // [range, body] or, for map with a condition, [range, condition, body]
};

enum class Operator : std::uint8_t {
  kNone,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kRemainder,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn
};

enum class Macro : std::uint8_t { kAll, kExists, kExistsOne, kMap, kFilter };

struct Node {
  NodeKind kind = NodeKind::kLiteral;
  Operator op = Operator::kNone;
  Macro macro = Macro::kAll;
  std::uint32_t begin = 0;  // Its bytes in the text.
  std::uint32_t end = 0;
  std::uint32_t height = 1;
  std::uint32_t slot = 0;

  // By the mentions:
  bool tolerant = false;
  // By the checker; without it every number is a double and nothing may be null.
  bool integers = false;   // Both operands are statically integers.
  bool null_base = false;  // What is selected from may be null, and then so is the result.
  bool may_be_missing = false;
  Value::Kind convert = Value::Kind::kNull;  // kDuration, kTimestamp: text of the environment becomes one.

  Value value;
  std::string text;
  std::string field;
  std::vector<Node*> children;
  const Function* function = nullptr;
  const List* constant = nullptr;  // Of a list of literals: made once.
  std::optional<Pattern> pattern;  // Of `matches` with a literal.

  const Node& child(std::size_t index) const { return *children[index]; }
};

// The text and the nodes, which point into each other: neither copied nor moved.
struct Tree {
  std::string text;
  Mark mark;
  std::uint32_t line_column = 1;  // Where lines after the first begin.
  std::deque<Node> nodes;
  std::deque<List> constants;
  Node* root = nullptr;

  Tree() = default;
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  Mark at(std::uint32_t offset) const;
  std::string quote(const Node& node) const;  // "`a + b`", shortened
};

const std::vector<std::string>& step_fields();

// `input.a["b"].c` of a chain of selections from a name or a step, empty of anything else. Locals begin with '#'.
std::string path_of(const Node& node);
// Paths that are non-null where `node` has the value `truth`.
void collect_facts(const Node& node, bool truth, std::vector<std::string>& facts);
void collect_mentions(const Tree& tree, Node& node, std::vector<MentionChain>& chains);

}  // namespace weft::workflows::expression

namespace weft::workflows {

struct Expression::Parts {
  expression::Tree tree;
  std::vector<MentionChain> mentions;
  std::vector<std::string> roots;
  std::vector<std::string> narrows;
};

}  // namespace weft::workflows
