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

// Whether what somebody wrote means this instance: rounds and attempts may be left out, elements may not.
bool names_path(std::string_view written, std::string_view path, std::uint32_t attempt);

// Whether what is at `path` is of this instance, or of this step: itself, an attempt, an element, a round, a call of it
// or what is inside it; not of another whose name begins alike. Everything is of the empty one, the run.
bool lies_within(std::string_view path, std::string_view instance);

// One call at a path: `refund~2` the call of a tool step, `draft~3:4.2` the second tool call of an agent's fourth turn.
std::string call_path(std::string_view path, std::uint32_t attempt, std::uint32_t turn, std::uint32_t call);

// A key as it stands in a path: what would be read as notation is written %XX.
std::string encode_key(std::string_view key);

}  // namespace weft::workflows
