// How a plain scalar reads by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace weft::yaml {

enum class Plain : std::uint8_t { kText, kNull, kBool, kInteger, kNumber };

Plain classify(std::string_view text);

// The sentence against a plain number that JSON cannot hold: infinity, not-a-number, an integer beyond 64 bits.
std::optional<std::string> refuse_plain(std::string_view text);

}  // namespace weft::yaml
