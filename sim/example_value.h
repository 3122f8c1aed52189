// The smallest JSON value that fits a JSON Schema, for a model that has no script.
#pragma once

#include <optional>
#include <string_view>

#include "base/json.h"

namespace weft::sim {

// Required fields only, the first value of an enum, lists of one element, numbers at their minimum; texts hold `text`,
// cut or filled to their length. What a schema says with `pattern`, `not` or `if` is not looked at.
Json example_value(const Json& schema, std::string_view text);

// The schema of a prompt that ends, as weft's do, with "Answer with one JSON value that fits this JSON Schema: {…}".
std::optional<Json> schema_asked_for(std::string_view prompt);
// The prompt without that line.
std::string_view without_schema(std::string_view prompt);

// The first `code_points_max` code points of it; never cuts one in two.
std::string_view first_code_points(std::string_view text, std::size_t code_points_max);

}  // namespace weft::sim
