// Expressions (the Common Expression Language over JSON values) and templates (text with `{{ expression }}` in it).
//
// Language: https://github.com/google/cel-spec, with the deviations of docs/language.md: numbers take their type from
// the shape, mixed arithmetic is double, `a ?? b`, further functions. An expression always ends and has no effects.
//
// Both are parsed once, checked once against the types of the names they may use, and evaluated often.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/budget.h"
#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "workflows/diagnostic.h"
#include "workflows/type.h"
#include "workflows/yaml.h"

namespace weft::workflows {

struct ExpressionLimits {
  std::size_t length_max = 16 << 10;  // Bytes of source.
  std::size_t depth_max = 64;
  std::uint64_t cost_max = 5'000'000;  // Elementary steps of one evaluation; grows with the bytes touched.
  std::size_t new_bytes_max = std::size_t{1} << 20;
  std::size_t result_bytes_max = std::size_t{16} << 20;
};

// One reading of a step: `steps.NAME.FIELD`, or `previous…` / `previous.NAME…` (then `step` is empty or NAME).
struct Mention {
  std::string step;
  std::string field;  // output text status error reason items iteration exhausted limited answered_by
  bool previous = false;
  bool tolerant = false;      // Stands inside has(), or reads .status .error .reason .exhausted .iteration .items
  bool in_condition = false;  // Stands inside a condition (the left of `?:`, a `when`) or under `??`.
  Mark mark;
};

// `a ?? b ?? c` of mentions counts as one strict mention of the first that has a result; a chain whose last operand is
// no mention is tolerant. A mention outside `??` is a chain of one.
struct MentionChain {
  std::vector<Mention> mentions;
  bool tolerant = false;
};

// The types of the names that an expression may use. The checker of workflows builds it.
class TypeScope {
 public:
  virtual ~TypeScope() = default;
  // The type of a root name: input, previous, item, index, run, args, call. Nothing where there is no such name here;
  // `names()` then offers the nearest.
  virtual std::optional<Type> name(std::string_view root) const = 0;
  // The type of `steps.NAME.FIELD`. The error is the sentence for the diagnostic (unknown step, out of scope, no such
  // field).
  virtual Result<Type> step(std::string_view name, std::string_view field, bool tolerant) const = 0;
  virtual std::vector<std::string> names() const = 0;
  // Paths that are known to be non-null here: the `narrows()` of a step's `when`.
  virtual std::vector<std::string> narrowed() const { return {}; }
};

// The values of the names. Results are borrowed until the evaluation ends.
class Environment {
 public:
  virtual ~Environment() = default;
  // Null where the name has no value here (reads as null).
  virtual const Json* name(std::string_view root) const = 0;
  // The value of `steps.NAME.FIELD`; null where there is none (reads as null).
  virtual const Json* step(std::string_view name, std::string_view field) const = 0;
  // What the evaluation is spent out of, beside its own limits; null: nothing else bounds it.
  virtual Budget* budget() const { return nullptr; }
};

// Immutable after check(); evaluation is thread-safe.
class Expression {
 public:
  Expression();  // Invalid until parsed.
  ~Expression();
  Expression(Expression&&) noexcept;
  Expression& operator=(Expression&&) noexcept;
  Expression(const Expression&);  // Shares.
  Expression& operator=(const Expression&);

  // `mark` is the place of the text's first byte in its file, so that faults name line and column (a text of several
  // lines is taken for a block, whose lines all begin at that column).
  static std::optional<Expression> parse(std::string_view text, Mark mark, Diagnostics& diagnostics);
  // Resolves names and types; must come before evaluate(). Faults go to `diagnostics`; the type is then `any`.
  Type check(const TypeScope& scope, Diagnostics& diagnostics);

  const std::string& text() const;
  Mark mark() const;
  const std::vector<MentionChain>& mentions() const;
  // Root names that it uses (input, item, …), each once, in order of first use.
  const std::vector<std::string>& roots() const;
  // Mentions that the expression, when true, proves to be non-null (`x != null`, `has(x)` conjuncts): paths such as
  // "steps.classify.output.order".
  const std::vector<std::string>& narrows() const;

  // Errors: INVALID_ARGUMENT (wrong type, missing field, division by zero, …), RESOURCE_EXHAUSTED (a limit, by name;
  // Budget::caused() where it is the environment's budget, and then nothing is known of the value).
  Result<Json> evaluate(const Environment& environment, const ExpressionLimits& limits = {}) const;
  Result<bool> evaluate_bool(const Environment& environment, const ExpressionLimits& limits = {}) const;

  // Whether it is true only where an equality is (`signal.id == item.id`, alone or a part of its `&&`) of which one
  // side names nothing but `root` and the other side does not name it.
  bool turns_on(std::string_view root) const;
  // The value of a side of that equality, as a key: what is equal has equal keys, and scalars that are not have others.
  // Errors as of evaluate(). REQUIRES: turns_on(root).
  enum class Side : std::uint8_t { kOfRoot, kOther };
  Result<std::string> key(std::string_view root, Side side, const Environment& environment,
                          const ExpressionLimits& limits = {}) const;

 private:
  struct Parts;
  friend class Template;
  // Lines after the first begin at `line_column` of their file.
  static std::optional<Expression> parse_at(std::string_view text, Mark mark, std::uint32_t line_column,
                                            Diagnostics& diagnostics);
  std::shared_ptr<Parts> parts_;
};

// A value with `{{ expression }}` in its strings, at any depth: prompts, arguments, `set`, `returns`.
// `{{ e }}` alone in a string gives the typed value; inside longer text, text: strings as they are, everything else as
// compact JSON. What came in through `{{ }}` is never read as a template again. `{{ '{{' }}` is a literal `{{`.
// Immutable after check(); evaluation is thread-safe.
class Template {
 public:
  Template();
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  Template(const Template&);  // Shares.
  Template& operator=(const Template&);

  static std::optional<Template> read(const yaml::Node& node, Diagnostics& diagnostics);
  Type check(const TypeScope& scope, Diagnostics& diagnostics);

  const Json& source() const;                         // As written: what the emitted workflow holds.
  bool is_constant() const;                           // No `{{ }}` in it.
  bool is_expression() const;                         // One `{{ e }}` alone: it gives e's value as it is.
  const std::vector<MentionChain>& mentions() const;  // Over all its expressions.
  const std::vector<std::string>& roots() const;

  Result<Json> evaluate(const Environment& environment, const ExpressionLimits& limits = {}) const;
  // The same as text: a string as it is, everything else as compact JSON. For prompts.
  Result<std::string> evaluate_text(const Environment& environment, const ExpressionLimits& limits = {}) const;
  // The same where the text is a URL: what stands for `{{ }}` is percent-encoded (RFC 3986: all but unreserved
  // characters), so that a value stays within the part of the URL in which it stands. INVALID_ARGUMENT where it would
  // make a segment of the path empty, "." or ".." (workflows/url_values.h).
  Result<std::string> evaluate_url(const Environment& environment, const ExpressionLimits& limits = {}) const;

 private:
  struct Parts;
  std::shared_ptr<Parts> parts_;
};

}  // namespace weft::workflows
