// The bytes of the parts of a JSON text, as they stand in it: what a prefix cache compares.
//
// REQUIRES of all: the text was parsed, so it is known to be JSON.
#pragma once

#include <string_view>
#include <vector>

namespace weft::sim {

// The bytes of the value under `key` of an object; empty where there is none, or where the key is written with escapes.
std::string_view member_bytes(std::string_view object, std::string_view key);
std::vector<std::string_view> element_bytes(std::string_view array);

}  // namespace weft::sim
