// What a shape is inside: a JSON Schema, the type that expressions see of it, and the rules that check values by it.
// Private to shape*.cpp.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "workflows/diagnostic.h"
#include "workflows/type.h"
#include "workflows/yaml.h"

namespace weft::workflows::shape {

inline constexpr std::size_t kSchemaDepthMax = 64;
inline constexpr std::size_t kSchemaPartsMax = 1'000;     // Fields, values or forms in one place.
inline constexpr std::size_t kTypeNodesMax = 10'000;      // Of a type; what is larger is `any`, as recursion is.
inline constexpr std::size_t kCheckDepthMax = 256;        // Values and references together.
inline constexpr std::size_t kCheckStepsMax = 4'000'000;  // Of one check; `anyOf` over references can be exponential.
inline constexpr std::size_t kShownBytesMax = 60;         // Of a value inside a message.

// The schema in canonical form: known keywords only, in one order. Faults go to `diagnostics`, and `{}` stands there.
Json read_schema(const yaml::Node& node, Diagnostics& diagnostics);

// What `reference` ("#", "#/$defs/x") names within the schema; null where nothing is there.
const Json* resolve(const Json& root, std::string_view reference);

// REQUIRES: a schema of read_schema().
Type type_of_schema(const Json& schema);

class Rules {
 public:
  // REQUIRES: a schema of read_schema(), which outlives the rules.
  explicit Rules(const Json& schema);
  ~Rules();
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;

  // Gives numbers the types of the schema in place. Errors: INVALID_ARGUMENT with the path, RESOURCE_EXHAUSTED.
  Status check(Json& value, std::string_view what, Budget* budget) const;

 private:
  struct Rule;
  struct Set;
  class Check;
  std::unique_ptr<Set> set_;
};

}  // namespace weft::workflows::shape
