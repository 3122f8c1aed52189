// Shapes: the types that a workflow declares for inputs, outputs and tool arguments, and the check of values by them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/budget.h"
#include "base/json.h"
#include "base/result.h"
#include "workflows/type.h"
#include "workflows/yaml.h"

namespace weft::workflows {

// Immutable; copying shares. The default shape accepts anything.
class Shape {
 public:
  Shape();
  // `string number integer boolean object any`, `T?`, `[T]`, `{enum: […]}`, a nested map of these, or a JSON Schema
  // (recognised by `type`, `enum`, `anyOf` or `$ref`). Faults go to `diagnostics`; the result is then `any`.
  static Shape read(const yaml::Node& node, Diagnostics& diagnostics);

  bool is_any() const;
  const Type& type() const;
  // The JSON Schema of it (draft-07), keys in canonical order: what providers and tools are told.
  const Json& schema() const;
  // The way it was written, as JSON: what the emitted workflow holds.
  const Json& source() const;

  // Checks a value and gives it the number types of the shape (5.0 becomes 5 under `integer`; an integer stays one
  // under `number` where it is exact). A refusal names the path: "output.items[3].line: expected integer, got \"x\"".
  // Spends out of `budget` where there is one.
  Result<Json> validate(Json value, std::string_view what, Budget* budget = nullptr) const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace weft::workflows
