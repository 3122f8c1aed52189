#include "workflows/loader_keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace weft::workflows {
namespace {

// What expressions read as values or operators, so that no name can be it.
constexpr std::string_view kReserved[] = {"true", "false", "null", "in", "none"};

std::string repaired(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      if (!out.empty() && out.back() != '_') out += '_';
      out += static_cast<char>(c - 'A' + 'a');
    } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      out += c;
    } else if (!out.empty() && out.back() != '_') {
      out += '_';
    }
  }
  while (out.ends_with('_')) out.pop_back();
  if (!out.empty() && out.front() >= '0' && out.front() <= '9') out.insert(0, "n");
  return out;
}

}  // namespace

void expected(Diagnostics& diagnostics, const yaml::Node& node, std::string_view what, std::string_view wanted) {
  diagnostics.error(node.mark, "type", fmt::format("{} must be {}", what, wanted));
}

bool is_name(std::string_view name) {
  if (name.empty() || name.front() < 'a' || name.front() > 'z') return false;
  return std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool check_name(Diagnostics& diagnostics, Mark mark, std::string_view what, const std::string& name,
                std::string_view letters) {
  constexpr std::size_t kNameBytesMax = 64;
  if (name.size() > kNameBytesMax) {
    diagnostics.error(mark, "name", fmt::format("the name of {} is longer than {} bytes", what, kNameBytesMax));
    return false;
  }
  if (std::ranges::find(kReserved, name) != std::ranges::end(kReserved)) {
    diagnostics.error(mark, "name", fmt::format("\"{}\" is a word of the language and no name of {}", name, what),
                      fmt::format("write \"{}_\"", name), name);
    return false;
  }
  if (is_name(name)) return true;
  const std::string repair = repaired(name);
  diagnostics.error(mark, "name",
                    fmt::format("\"{}\" is no name of {}: names begin with a-z and go on with {}", name, what, letters),
                    is_name(repair) ? fmt::format("write \"{}\"", repair) : std::string(), name);
  return false;
}

void unknown_name(Diagnostics& diagnostics, Mark mark, const char* code, std::string_view what, const std::string& name,
                  const std::vector<std::string>& known) {
  const std::string near = diagnostics.nearest(name, known);
  diagnostics.error(mark, code, fmt::format("there is no {} \"{}\"", what, name),
                    near.empty() ? std::string() : fmt::format("did you mean \"{}\"?", near), name);
}

std::optional<std::string> read_text(Diagnostics& diagnostics, const yaml::Node& node, std::string_view what) {
  if (node.is_string()) return node.text;
  expected(diagnostics, node, what, node.is_scalar() ? "a text; quote it" : "a text");
  return std::nullopt;
}

std::optional<Duration> read_duration(Diagnostics& diagnostics, const yaml::Node& node, std::string_view what) {
  if (!node.is_scalar()) {
    expected(diagnostics, node, what, "a duration such as 30s or 5m");
    return std::nullopt;
  }
  auto duration = parse_duration(node.text);
  if (!duration) {
    diagnostics.error(node.mark, "duration", fmt::format("{}: {}", what, duration.error().message));
    return std::nullopt;
  }
  if (*duration > Duration::zero()) return *duration;
  diagnostics.error(node.mark, "duration", fmt::format("{} must be longer than nothing", what));
  return std::nullopt;
}

std::optional<std::int64_t> parse_count(const yaml::Node& node) {
  if (const auto integer = node.as_integer()) return integer;
  if (!node.is_scalar() || node.text.size() < 2) return std::nullopt;
  const std::int64_t factor = node.text.back() == 'k' ? 1'000 : node.text.back() == 'M' ? 1'000'000 : 0;
  std::int64_t value = 0;
  const char* const end = node.text.data() + node.text.size() - 1;
  const auto [stop, error] = std::from_chars(node.text.data(), end, value);
  if (factor == 0 || error != std::errc{} || stop != end || value < 0 || value > INT64_MAX / factor)
    return std::nullopt;
  return value * factor;
}

std::optional<std::int64_t> read_count(Diagnostics& diagnostics, const yaml::Node& node, std::string_view what,
                                       Between limits) {
  const auto count = parse_count(node);
  if (count && *count >= limits.least && *count <= limits.most) return count;
  diagnostics.error(node.mark, "count",
                    fmt::format("{} must be an integer from {} to {}", what, limits.least, limits.most),
                    limits.most >= 1000 ? "200k and 1M are understood" : "");
  return std::nullopt;
}

std::optional<std::string> read_choice(Diagnostics& diagnostics, const yaml::Node& node, std::string_view what,
                                       const std::vector<std::string>& choices) {
  if (node.is_scalar() && std::ranges::find(choices, node.text) != choices.end()) return node.text;
  const std::string near = node.is_scalar() ? diagnostics.nearest(node.text, choices) : std::string();
  diagnostics.error(node.mark, "choice", fmt::format("{} must be one of {}", what, fmt::join(choices, ", ")),
                    near.empty() ? std::string() : fmt::format("did you mean \"{}\"?", near));
  return std::nullopt;
}

void refuse_later(Diagnostics& diagnostics, const yaml::Node& map, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (map.get(key)) refuse_later_value(diagnostics, key_mark(map, key), fmt::format("\"{}\"", key));
  }
}

void refuse_later_value(Diagnostics& diagnostics, Mark mark, std::string_view what) {
  diagnostics.error(mark, "later",
                    fmt::format("{} is part of the language, but this version of weft does not have it yet", what));
}

bool has_template(std::string_view text) { return text.find("{{") != std::string_view::npos; }

Mark key_mark(const yaml::Node& map, std::string_view key) {
  const auto member = std::ranges::find(map.members, key, &yaml::Node::Member::key);
  return member == map.members.end() ? map.mark : member->key_mark;
}

}  // namespace weft::workflows
