// The equality on which a condition turns: by it, the places for which the condition may be true are looked up.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "workflows/expression/evaluate.h"
#include "workflows/expression/functions.h"

namespace weft::workflows {
namespace {

using expression::Node;
using expression::NodeKind;
using expression::Operator;

struct Named {
  bool root = false;
  bool others = false;
};

Named names_in(const Node& node, std::string_view root) {
  Named named;
  if (node.kind == NodeKind::kRoot) (node.text == root ? named.root : named.others) = true;
  if (node.kind == NodeKind::kStep) named.others = true;
  for (const Node* child : node.children) {
    const Named inner = names_in(*child, root);
    named.root = named.root || inner.root;
    named.others = named.others || inner.others;
  }
  return named;
}

struct Equality {
  const Node* of_root = nullptr;
  const Node* other = nullptr;
  bool tells_apart = false;  // The other side has a name in it, and so another value in another place.
};

// `other` is null where there is none. One that tells apart comes before one that does not.
Equality equality_in(const Node& node, std::string_view root) {
  Equality best;
  if (node.kind == NodeKind::kAnd) {
    for (const Node* child : node.children) {
      const Equality found = equality_in(*child, root);
      if (found.other != nullptr && (best.other == nullptr || (found.tells_apart && !best.tells_apart))) best = found;
    }
  }
  if (node.kind != NodeKind::kBinary || node.op != Operator::kEqual) return best;
  const Named left = names_in(node.child(0), root);
  const Named right = names_in(node.child(1), root);
  if (left.root && !left.others && !right.root) return {&node.child(0), &node.child(1), right.others};
  if (right.root && !right.others && !left.root) return {&node.child(1), &node.child(0), left.others};
  return best;
}

}  // namespace

bool Expression::turns_on(std::string_view root) const {
  return parts_ && equality_in(*parts_->tree.root, root).other != nullptr;
}

Result<std::string> Expression::key(std::string_view root, Side side, const Environment& environment,
                                    const ExpressionLimits& limits) const {
  if (!parts_) return internal("an expression was never parsed");
  const Equality equality = equality_in(*parts_->tree.root, root);
  if (equality.other == nullptr) return internal("the expression turns on no equality");
  expression::Evaluation evaluation(environment, limits);
  const expression::Value value =
      evaluation.run(parts_->tree, side == Side::kOfRoot ? *equality.of_root : *equality.other);
  if (value.is_error()) return evaluation.take_error();
  std::string key;
  if (!expression::scalar_key(value, key)) key = "containers";
  return key;
}

}  // namespace weft::workflows
