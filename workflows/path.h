// The notation of paths, the same in traces, answers and errors: `search[7]` an element, `reply#2/draft` round 2,
// `draft~3` attempt 3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::workflows {

// One segment of a path. Views into the path it was read from.
struct PathSegment {
  std::string_view name;
  std::optional<std::string_view> key;  // As it is written: encoded.
  std::uint32_t round = 0;              // 0: not named.
  std::uint32_t attempt = 0;            // 0: not named.
};

// Takes the first segment off `path` (and the slash behind it).
PathSegment take_segment(std::string_view& path);

// The path without `~N`: the same for every attempt.
std::string without_attempts(std::string_view path);

// One call at a path: `refund~2` the call of a tool step, `draft~3:4.2` the second tool call of an agent's fourth turn.
std::string call_path(std::string_view path, std::uint32_t attempt, std::uint32_t turn, std::uint32_t call);

// A key as it stands in a path: what would be read as notation is written %XX.
std::string encode_key(std::string_view key);

}  // namespace weft::workflows
