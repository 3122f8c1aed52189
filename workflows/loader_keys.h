// Readers of single settings: each says what was expected where, and gives nothing back where it was something else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "workflows/diagnostic.h"
#include "workflows/yaml.h"

namespace weft::workflows {

struct Between {
  std::int64_t least;
  std::int64_t most;
};

void expected(Diagnostics& diagnostics, const yaml::Node& node, std::string_view what, std::string_view wanted);
bool is_name(std::string_view name);
// `[a-z][a-z0-9_]*` and no word of the expression language; otherwise an error that offers the repaired name.
bool check_name(Diagnostics& diagnostics, Mark mark, std::string_view what, const std::string& name,
                std::string_view letters = "a-z, 0-9 and _");
// The error for a name that `known` does not hold, with the nearest as suggestion.
void unknown_name(Diagnostics& diagnostics, Mark mark, const char* code, std::string_view what, const std::string& name,
                  const std::vector<std::string>& known);

std::optional<std::string> read_text(Diagnostics& diagnostics, const yaml::Node& node, std::string_view what);
std::optional<Duration> read_duration(Diagnostics& diagnostics, const yaml::Node& node, std::string_view what);
// An integer, or one with `k` or `M` behind it.
std::optional<std::int64_t> parse_count(const yaml::Node& node);
std::optional<std::int64_t> read_count(Diagnostics& diagnostics, const yaml::Node& node, std::string_view what,
                                       Between limits);
std::optional<std::string> read_choice(Diagnostics& diagnostics, const yaml::Node& node, std::string_view what,
                                       const std::vector<std::string>& choices);

// An error "later" for each of `keys` that `map` has: the language knows it, this version does not.
void refuse_later(Diagnostics& diagnostics, const yaml::Node& map, const std::vector<std::string>& keys);
void refuse_later_value(Diagnostics& diagnostics, Mark mark, std::string_view what);
bool has_template(std::string_view text);

// The place of the key, for what is said of it as a whole.
Mark key_mark(const yaml::Node& map, std::string_view key);

}  // namespace weft::workflows
