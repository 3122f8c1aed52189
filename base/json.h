// JSON values, and the one bounded parser for all JSON that comes from outside.
//
// Objects keep the order of their keys, since bytes matter wherever a model reads them.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/budget.h"
#include "base/result.h"

namespace weft {

using Json = nlohmann::ordered_json;

// nlohmann/json 3.11 parses any depth and then overflows the stack when the value is copied or destroyed.
struct JsonLimits {
  std::size_t bytes_max = std::size_t{16} << 20;
  std::size_t depth_max = 128;
  std::size_t nodes_max = 2'000'000;
};

// Parses exactly one JSON text (RFC 8259). Duplicate keys, invalid UTF-8, NaN and what follows the value are errors
// that name the byte. Never throws. Errors: INVALID_ARGUMENT (not JSON), RESOURCE_EXHAUSTED (a limit, by its name, or
// `budget`, where there is one: the reading is spent out of it).
Result<Json> parse_untrusted(std::string_view text, const JsonLimits& limits = {}, Budget* budget = nullptr);

// The one JSON value in a model's answer: the whole text, or what stands in its only code fence. Errors as above.
Result<Json> parse_fenced(std::string_view text, Budget* budget = nullptr);

// Compact, UTF-8 as it is, doubles that are integral without ".0". The same value gives the same bytes.
std::string to_text(const Json& value);

}  // namespace weft
