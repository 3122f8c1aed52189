// What the text of an expression says without its types: places, paths, mentions of steps, proofs of non-null.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "workflows/expression/ast.h"

namespace weft::workflows::expression {
namespace {

bool is_step_field(const std::string& name) {
  return std::find(step_fields().begin(), step_fields().end(), name) != step_fields().end();
}

// These have a value, or are null, however the step ended.
bool is_tolerant_field(const std::string& name) {
  return name == "status" || name == "error" || name == "reason" || name == "exhausted" || name == "iteration" ||
         name == "items";
}

struct Context {
  bool in_has = false;
  bool in_condition = false;
};

class MentionCollector {
 public:
  MentionCollector(const Tree& tree, std::vector<MentionChain>& chains) : tree_(tree), chains_(chains) {}

  void visit(Node& node, Context context) {
    switch (node.kind) {
      case NodeKind::kCoalesce: chain(node, context); return;
      case NodeKind::kConditional:
        visit(*node.children[0], {context.in_has, true});
        visit(*node.children[1], context);
        visit(*node.children[2], context);
        return;
      case NodeKind::kHas: visit(*node.children[0], {true, true}); return;
      case NodeKind::kRoot:
      case NodeKind::kStep:
      case NodeKind::kSelect:
      case NodeKind::kIndex: {
        Node* step = nullptr;
        auto mention = path(node, context, step);
        if (!mention) return;
        mention->tolerant = mention->tolerant || context.in_has;
        if (step) step->tolerant = mention->tolerant;
        const bool tolerant = mention->tolerant;
        chains_.push_back({{*std::move(mention)}, tolerant});
        return;
      }
      default:
        for (Node* child : node.children) visit(*child, context);
    }
  }

 private:
  static bool is_path(const Node& node) {
    return node.kind == NodeKind::kRoot || node.kind == NodeKind::kStep || node.kind == NodeKind::kSelect ||
           node.kind == NodeKind::kIndex;
  }

  void chain(Node& node, Context context) {
    context.in_condition = true;
    std::vector<Node*> operands;
    flatten(node, operands);
    MentionChain chain;
    std::vector<Node*> steps;
    bool tolerant = context.in_has;
    for (Node* operand : operands) {
      Node* step = nullptr;
      auto mention = is_path(*operand) ? path(*operand, context, step) : std::nullopt;
      if (!is_path(*operand)) visit(*operand, context);
      tolerant = tolerant || !mention || mention->tolerant;
      if (!mention) continue;
      chain.mentions.push_back(*std::move(mention));
      if (step) steps.push_back(step);
    }
    if (chain.mentions.empty()) return;
    chain.tolerant = tolerant;
    for (auto& mention : chain.mentions) mention.tolerant = mention.tolerant || tolerant;
    // All but the last may be null where they are read.
    for (Node* step : steps) step->tolerant = tolerant || step != steps.back();
    chains_.push_back(std::move(chain));
  }

  static void flatten(Node& node, std::vector<Node*>& operands) {
    if (node.kind != NodeKind::kCoalesce) {
      operands.push_back(&node);
      return;
    }
    for (Node* child : node.children) flatten(*child, operands);
  }

  // The mention with which a chain of selections begins, if it does; what stands in its brackets is visited.
  std::optional<Mention> path(Node& node, Context context, Node*& step) {
    std::vector<Node*> selections;  // The outermost first.
    Node* base = &node;
    while (base->kind == NodeKind::kSelect || base->kind == NodeKind::kIndex) {
      selections.push_back(base);
      if (base->kind == NodeKind::kIndex) visit(*base->children[1], context);
      base = base->children[0];
    }
    Mention mention;
    mention.mark = tree_.at(base->begin);
    mention.in_condition = context.in_condition;
    if (base->kind == NodeKind::kStep) {
      step = base;
      mention.step = base->text;
      mention.field = base->field;
    } else if (base->kind == NodeKind::kRoot && base->text == "previous") {
      const auto selected = [&](std::size_t index) {
        if (index >= selections.size()) return std::string();
        const Node& selection = *selections[selections.size() - 1 - index];
        return selection.kind == NodeKind::kSelect ? selection.text : std::string();
      };
      mention.previous = true;
      if (is_step_field(selected(0))) {
        mention.field = selected(0);
      } else if (is_step_field(selected(1))) {
        mention.step = selected(0);
        mention.field = selected(1);
      } else {
        return std::nullopt;
      }
    } else {
      if (base->kind != NodeKind::kRoot) visit(*base, context);
      return std::nullopt;
    }
    mention.tolerant = is_tolerant_field(mention.field);
    return mention;
  }

  const Tree& tree_;
  std::vector<MentionChain>& chains_;
};

bool is_null_literal(const Node& node) { return node.kind == NodeKind::kLiteral && node.value.is_null(); }

}  // namespace

Value Value::from(const Json& json) {
  Value value;
  switch (json.type()) {
    case Json::value_t::boolean: return of(*json.get_ptr<const Json::boolean_t*>());
    case Json::value_t::number_integer: return of(std::int64_t{*json.get_ptr<const Json::number_integer_t*>()});
    case Json::value_t::number_unsigned: {
      const std::uint64_t number = *json.get_ptr<const Json::number_unsigned_t*>();
      return number > static_cast<std::uint64_t>(INT64_MAX) ? of(static_cast<double>(number))
                                                            : of(static_cast<std::int64_t>(number));
    }
    case Json::value_t::number_float: return of(*json.get_ptr<const Json::number_float_t*>());
    case Json::value_t::string: return of(std::string_view(*json.get_ptr<const std::string*>()));
    case Json::value_t::array: value.kind = Kind::kJsonList; break;
    case Json::value_t::object: value.kind = Kind::kJsonObject; break;
    default: return value;
  }
  value.json = &json;
  return value;
}

std::string_view kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::kError: return "error";
    case Value::Kind::kNull: return "null";
    case Value::Kind::kBool: return "boolean";
    case Value::Kind::kInt: return "integer";
    case Value::Kind::kDouble: return "number";
    case Value::Kind::kText: return "string";
    case Value::Kind::kJsonList:
    case Value::Kind::kList: return "list";
    case Value::Kind::kJsonObject:
    case Value::Kind::kObject: return "object";
    case Value::Kind::kDuration: return "duration";
    case Value::Kind::kTimestamp: return "timestamp";
  }
  return "value";
}

Mark Tree::at(std::uint32_t offset) const {
  Mark place = mark;
  const std::size_t end = std::min<std::size_t>(offset, text.size());
  for (std::size_t i = 0; i < end; ++i) {
    place.column = text[i] == '\n' ? line_column : place.column + 1;
    if (text[i] == '\n') ++place.line;
  }
  return place;
}

std::string Tree::quote(const Node& node) const {
  std::string_view part = std::string_view(text).substr(node.begin, node.end - node.begin);
  const bool cut = part.size() > kQuoteBytesMax;
  if (cut) part = part.substr(0, kQuoteBytesMax);
  while (cut && !part.empty() && !is_utf8(part)) part.remove_suffix(1);
  return fmt::format("`{}{}`", printable(part), cut ? "…" : "");
}

const std::vector<std::string>& step_fields() {
  static const std::vector<std::string> kFields = {"output", "text",      "status",    "error",   "reason",
                                                   "items",  "iteration", "exhausted", "limited", "answered_by"};
  return kFields;
}

std::string path_of(const Node& node) {
  switch (node.kind) {
    case NodeKind::kRoot: return node.text;
    case NodeKind::kLocal: return fmt::format("#{}", node.slot);
    case NodeKind::kStep: return fmt::format("steps.{}.{}", node.text, node.field);
    case NodeKind::kSelect: {
      const std::string base = path_of(node.child(0));
      return base.empty() ? base : base + "." + node.text;
    }
    case NodeKind::kIndex: {
      const std::string base = path_of(node.child(0));
      const Node& index = node.child(1);
      if (base.empty() || index.kind != NodeKind::kLiteral) return {};
      // `m["a"]` is `m.a`, but `m["a.b"]` is another place than `m.a.b`.
      if (index.value.is_text()) {
        const bool plain = index.text.find_first_of(".[\"") == std::string::npos;
        return plain ? base + "." + index.text : fmt::format("{}[\"{}\"]", base, index.text);
      }
      return index.value.is(Value::Kind::kInt) ? fmt::format("{}[{}]", base, index.value.integer) : std::string();
    }
    default: return {};
  }
}

void collect_facts(const Node& node, bool truth, std::vector<std::string>& facts) {
  const auto add = [&](const Node& path) {
    if (std::string text = path_of(path); !text.empty()) facts.push_back(std::move(text));
  };
  switch (node.kind) {
    case NodeKind::kAnd:
    case NodeKind::kOr:
      if (truth != (node.kind == NodeKind::kAnd)) return;
      for (const Node* child : node.children) collect_facts(*child, truth, facts);
      return;
    case NodeKind::kNot: collect_facts(node.child(0), !truth, facts); return;
    case NodeKind::kHas:
      if (truth) add(node.child(0));
      return;
    case NodeKind::kBinary:
      if (node.op != (truth ? Operator::kNotEqual : Operator::kEqual)) return;
      if (is_null_literal(node.child(1))) add(node.child(0));
      if (is_null_literal(node.child(0))) add(node.child(1));
      return;
    default: return;
  }
}

void collect_mentions(const Tree& tree, Node& node, std::vector<MentionChain>& chains) {
  MentionCollector(tree, chains).visit(node, {});
}

}  // namespace weft::workflows::expression

namespace weft::workflows {

namespace {
const std::string kNoText;
const std::vector<MentionChain> kNoMentions;
const std::vector<std::string> kNoNames;
}  // namespace

Expression::Expression() = default;
Expression::~Expression() = default;
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;
Expression::Expression(const Expression&) = default;
Expression& Expression::operator=(const Expression&) = default;

const std::string& Expression::text() const { return parts_ ? parts_->tree.text : kNoText; }
Mark Expression::mark() const { return parts_ ? parts_->tree.mark : Mark{}; }
const std::vector<MentionChain>& Expression::mentions() const { return parts_ ? parts_->mentions : kNoMentions; }
const std::vector<std::string>& Expression::roots() const { return parts_ ? parts_->roots : kNoNames; }
const std::vector<std::string>& Expression::narrows() const { return parts_ ? parts_->narrows : kNoNames; }

}  // namespace weft::workflows
