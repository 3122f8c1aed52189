// Names for the tests of expressions: their types from shapes, their values from JSON.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "workflows/expression/expression.h"
#include "workflows/shape.h"
#include "workflows/yaml.h"

namespace weft::workflows::test {

inline Json json_of(std::string_view text) {
  auto value = parse_untrusted(text);
  if (!value) throw std::runtime_error(value.error().message);
  return *std::move(value);
}

// The type that a shape names: "{a: string?}".
inline Type type_of(const std::string& shape) {
  Diagnostics diagnostics("shape");
  const yaml::NodePtr node = yaml::read(shape, diagnostics);
  if (!node) throw std::runtime_error("not YAML: " + shape);
  const Type type = Shape::read(*node, diagnostics).type();
  if (diagnostics.has_errors()) throw std::runtime_error(to_text(diagnostics.take().front()));
  return type;
}

// Steps are "NAME.FIELD"; read tolerantly they may be null.
class Names final : public TypeScope {
 public:
  void name(const std::string& root, Type type, Json value) {
    types_[root] = std::move(type);
    values_[root] = std::move(value);
  }
  void step(const std::string& path, Type type, Json value) {
    step_types_[path] = std::move(type);
    step_values_[path] = std::move(value);
  }
  void narrow(std::vector<std::string> paths) { narrowed_ = std::move(paths); }

  std::optional<Type> name(std::string_view root) const override {
    const auto found = types_.find(std::string(root));
    return found == types_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<Type> step(std::string_view name, std::string_view field, bool tolerant) const override {
    const auto found = step_types_.find(std::string(name) + "." + std::string(field));
    if (found == step_types_.end()) return not_found("there is no step " + std::string(name));
    return tolerant ? found->second.as_optional() : found->second;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, type] : types_) names.push_back(name);
    return names;
  }
  std::vector<std::string> narrowed() const override { return narrowed_; }

 private:
  const Json* value_in(const std::map<std::string, Json>& values, const std::string& key) const {
    const auto found = values.find(key);
    return found == values.end() ? nullptr : &found->second;
  }
  struct Values final : Environment {
    const Names* names = nullptr;
    const Json* name(std::string_view root) const override {
      return names->value_in(names->values_, std::string(root));
    }
    const Json* step(std::string_view name, std::string_view field) const override {
      return names->value_in(names->step_values_, std::string(name) + "." + std::string(field));
    }
  };

 public:
  Values values() const {
    Values values;
    values.names = this;
    return values;
  }

 private:
  std::map<std::string, Type> types_, step_types_;
  std::map<std::string, Json> values_, step_values_;
  std::vector<std::string> narrowed_;
};

inline Names scope() {
  Names names;
  names.name(
      "input",
      type_of("{n: integer, x: number, s: string, b: boolean, l: [integer], t: [string], o: {a: '{b: integer?}?'}, "
              "any: any, maybe: string?, count: integer?, kind: {enum: [refund, bug]}, map: object, "
              "people: [{name: string, age: integer?}]}"),
      json_of(R"({"n": 7, "x": 2.5, "s": "Grüße", "b": true, "l": [3, 1, 2], "t": ["b", "a", "b"],
                         "o": {"a": null}, "any": {"deep": [{"k": 5}], "t": "text", "null": null, "f": 5.0},
                         "maybe": null, "kind": "bug", "map": {"one": 1, "two": 2},
                         "people": [{"name": "Ann", "age": 40}, {"name": "Bo"}]})"));
  names.name("previous", type_of("{review: {output: {notes: string}}, output: any}").as_optional(), nullptr);
  names.name("started", Type::of(Type::Kind::kTimestamp), "2026-11-21T09:30:00Z");
  names.step("a.output", type_of("{v: integer, w: string?}"), json_of(R"({"v": 5, "w": null})"));
  names.step("a.status", Type::of(Type::Kind::kString), "succeeded");
  names.step("b.output", type_of("{v: integer}"), nullptr);
  names.step("c.output", type_of("any"), nullptr);
  return names;
}

inline std::string said(Diagnostics& diagnostics) {
  std::string text;
  for (const auto& diagnostic : diagnostics.take()) text += workflows::to_text(diagnostic) + "\n";
  return text;
}

// The compact JSON of the value, or "error: " and the sentence.
inline std::string value_of(const std::string& text, const ExpressionLimits& limits = {}) {
  const Names names = scope();
  Diagnostics diagnostics("e");
  auto expression = Expression::parse(text, {1, 1}, diagnostics);
  if (!expression) return "refused: " + said(diagnostics);
  expression->check(names, diagnostics);
  if (diagnostics.has_errors()) return "refused: " + said(diagnostics);
  auto value = expression->evaluate(names.values(), limits);
  return value ? weft::to_text(*value) : "error: " + value.error().message;
}

inline Expression parsed(const std::string& text) {
  Diagnostics diagnostics("e");
  auto expression = Expression::parse(text, {1, 1}, diagnostics);
  if (!expression) throw std::runtime_error(said(diagnostics));
  return *expression;
}

}  // namespace weft::workflows::test
