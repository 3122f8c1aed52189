#include "workflows/path.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace weft::workflows {

PathSegment take_segment(std::string_view& path) {
  const std::size_t slash = path.find('/');
  const std::string_view text = path.substr(0, slash);
  path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  PathSegment segment;
  segment.name = text.substr(0, text.find_first_of("[#~"));
  std::string_view rest = text.substr(segment.name.size());
  if (rest.starts_with('[')) {
    const std::size_t close = rest.find(']');
    segment.key = rest.substr(1, close == std::string_view::npos ? close : close - 1);
    rest.remove_prefix(close == std::string_view::npos ? rest.size() : close + 1);
  }
  const auto number_after = [&](char mark) {
    std::uint32_t number = 0;
    const std::size_t at = rest.find(mark);
    if (at != std::string_view::npos) std::from_chars(rest.data() + at + 1, rest.data() + rest.size(), number);
    return number;
  };
  segment.round = number_after('#');
  segment.attempt = number_after('~');
  return segment;
}

std::string without_attempts(std::string_view path) {
  std::string out;
  bool in_attempt = false;
  for (const char c : path) {
    in_attempt = c == '~' || (in_attempt && c >= '0' && c <= '9');
    if (!in_attempt) out += c;
  }
  return out;
}

bool names_path(std::string_view written, std::string_view path, std::uint32_t attempt) {
  if (written == path || written == call_path(path, attempt, 0, 0)) return true;
  // Segment by segment: what is written must be so, what is not written may be anything.
  while (!written.empty() && !path.empty()) {
    const PathSegment wanted = take_segment(written);
    const PathSegment have = take_segment(path);
    const std::uint32_t number = path.empty() ? attempt : have.attempt;
    if (wanted.name != have.name || wanted.key != have.key) return false;
    if (wanted.round != 0 && wanted.round != have.round) return false;
    if (wanted.attempt != 0 && wanted.attempt != std::max(number, 1U)) return false;
  }
  return written.empty() && path.empty();
}

bool lies_within(std::string_view path, std::string_view instance) {
  if (!path.starts_with(instance)) return false;
  if (instance.empty() || path.size() == instance.size()) return true;
  return std::string_view("/~:[#").find(path[instance.size()]) != std::string_view::npos;
}

std::string call_path(std::string_view path, std::uint32_t attempt, std::uint32_t turn, std::uint32_t call) {
  std::string text(path);
  if (attempt > 1) text += fmt::format("~{}", attempt);
  if (turn > 0) text += fmt::format(":{}.{}", turn, call);
  return text;
}

std::string encode_key(std::string_view key) {
  std::string out;
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || std::string_view("/[]#~:%").find(c) != std::string_view::npos) {
      out += fmt::format("%{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace weft::workflows
