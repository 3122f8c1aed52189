// One evaluation of one expression, or of all expressions of one template. Private to this room.
#pragma once

#include <array>
#include <cstdint>
#include <forward_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "workflows/expression/ast.h"

namespace weft::workflows::expression {

enum class Path : std::uint8_t {
  kFirm,    // What is missing is an error.
  kLenient  // What is missing on a path is null: under `??` and has().
};

// Not thread-safe; lives as long as the values that come out of it are read.
class Evaluation {
 public:
  Evaluation(const Environment& environment, const ExpressionLimits& limits)
      : environment_(environment), limits_(limits), cost_(limits.cost_max, nullptr, environment.budget()) {}
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;

  // kError where it fails; take_error() then says why. REQUIRES: the tree outlives this object.
  Value run(const Tree& tree) { return run(tree, *tree.root); }
  Value run(const Tree& tree, const Node& node);
  Result<bool> run_bool(const Tree& tree);
  Error take_error() { return *std::move(error_); }

  // Copies into a value of its own; the bytes count against the result. False where it fails.
  // `depth` is how deep the value will stand in a greater one.
  bool write(const Value& value, Json& out, std::size_t depth = 1);
  // As text inside a template: a string as it is, everything else as compact JSON.
  bool write_text(const Value& value, std::string& out);
  // As compact JSON; the bytes count as new.
  bool write_json(const Value& value, std::string& out);
  bool count_result(std::size_t bytes);

  // For functions.
  Value fail(const Node& node, std::string sentence);
  bool charge(std::uint64_t steps) { return cost_.spend(steps) || exhausted(); }  // False where a limit is reached.
  bool charge_bytes(std::size_t bytes);                                           // For bytes that are read.
  bool charge_new(std::size_t bytes);                                             // For bytes that are made.
  Budget& cost() { return cost_; }
  // What was made lives as long as the evaluation. REQUIRES: charge_new() has counted it.
  Value keep(std::string text);
  Value keep(List list);
  Value keep(Object object);
  Value keep(Json value);
  bool equal(const Value& a, const Value& b);
  // a <=> b where they have an order; nothing where they have none.
  std::optional<int> compare(const Value& a, const Value& b);
  const Pattern* pattern(const Node& node, std::string_view text);

 private:
  Value eval(const Node& node, Path path = Path::kFirm);
  Value root(const Node& node);
  Value converted(const Node& node, const Value& value);
  Value select(const Node& node, Path path);
  Value index(const Node& node, Path path);
  Value member(const Node& node, const Value& base, std::string_view name, Path path);
  Value list(const Node& node);
  Value map(const Node& node);
  Value negate(const Node& node);
  Value binary(const Node& node);
  Value integers(const Node& node, std::int64_t a, std::int64_t b);
  Value arithmetic(const Node& node, const Value& a, const Value& b);
  Value doubles(const Node& node, double a, double b);
  Value times(const Node& node, const Value& a, const Value& b);
  Value added_lists(const Value& a, const Value& b);
  Value relation(const Node& node, const Value& a, const Value& b);
  Value within(const Node& node, const Value& a, const Value& b);
  Value connective(const Node& node, bool decisive);
  Value call(const Node& node);
  bool charge_call(const Function& function, std::span<const Value> arguments);
  Value macro(const Node& node);
  Value quantifier(const Node& node, const Value& range);
  Value limit(std::string_view name, std::string sentence);
  bool exhausted();  // False; says which budget is used up.
  enum class Counts : std::uint8_t { kResult, kNew };
  bool count(Counts as, std::size_t bytes) { return as == Counts::kResult ? count_result(bytes) : charge_new(bytes); }
  bool write_at(const Value& value, Json& out, Counts as, std::size_t depth);
  bool measure(const Json& value, Counts as, std::size_t depth);
  bool within_depth(std::size_t depth);  // False, with the limit said, where a value may not stand so deep.

  const Environment& environment_;
  const ExpressionLimits& limits_;
  const Tree* tree_ = nullptr;
  Budget cost_;
  std::size_t new_bytes_ = 0;
  std::size_t result_bytes_ = 0;
  std::optional<Error> error_;
  bool fatal_ = false;  // The error is a limit, which nothing swallows.
  std::array<Value, kLocalsMax> locals_;
  std::map<std::pair<std::string_view, std::string_view>, const Json*> roots_;  // By name and field.
  // Empty lists allocate nothing, which most evaluations leave them.
  std::forward_list<std::string> texts_;
  std::forward_list<List> lists_;
  std::forward_list<Object> objects_;
  std::forward_list<Json> values_;
  std::optional<Pattern> pattern_;  // The last one that was computed.
  std::string pattern_text_;
};

// Of lists and objects of either kind.
std::size_t size_of(const Value& container);
Value element_of(const Value& list, std::size_t index);
std::pair<std::string_view, Value> member_of(const Value& object, std::size_t index);
std::size_t code_points(std::string_view text);
bool as_integer(const Value& value, std::int64_t& out);  // Integers and integral doubles.

}  // namespace weft::workflows::expression
