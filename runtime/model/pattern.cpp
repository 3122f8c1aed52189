#include "runtime/model/pattern.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"

namespace weft::model {
namespace {

constexpr std::string_view kProbe = "weft-probe";

char unescape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return '\0';
  }
}

// Reads the inside of a JSON string literal; false where it is not one, or has an escape by number.
bool read_literal(std::string_view literal, std::string& out) {
  bool ascii = true;
  out.clear();
  for (std::size_t i = 0; i < literal.size(); ++i) {
    char c = literal[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || byte < 0x20) return false;
    ascii = ascii && byte < 0x80;
    if (c == '\\') {
      if (++i == literal.size()) return false;
      c = unescape(literal[i]);
      if (c == '\0') return false;
    }
    out += c;
  }
  return ascii || is_utf8(out);
}

const Json* at(const Json* value, const char* name) {
  if (value == nullptr || !value->is_object()) return nullptr;
  const auto found = value->find(name);
  return found == value->end() ? nullptr : &*found;
}

const Json* only(const Json* list) {
  return list == nullptr || !list->is_array() || list->size() != 1 ? nullptr : &list->front();
}

bool says_something(const Json* text) { return text != nullptr && !text->is_null() && *text != ""; }

}  // namespace

std::optional<ChunkPatterns::Match> ChunkPatterns::match(std::string_view chunk) {
  for (std::size_t i = 0; i < patterns_.size(); ++i) {
    if (!patterns_[i]) continue;
    const Pattern& pattern = *patterns_[i];
    if (chunk.size() < pattern.before.size() + pattern.after.size() || !chunk.starts_with(pattern.before) ||
        !chunk.ends_with(pattern.after)) {
      continue;
    }
    chunk.remove_prefix(pattern.before.size());
    chunk.remove_suffix(pattern.after.size());
    if (!read_literal(chunk, literal_)) return {};
    return Match{static_cast<Place>(i), pattern.index, literal_};
  }
  return {};
}

void ChunkPatterns::learn(std::string_view chunk, Place place) {
  if (tries_ >= kLearnTriesMax) return;
  ++tries_;
  constexpr std::array<std::string_view, 4> kKeys = {"content", "reasoning_content", "reasoning", "arguments"};
  for (const std::string_view key : kKeys) {
    const std::string quoted = fmt::format("\"{}\":", key);
    std::size_t start = chunk.find(quoted);
    if (start == std::string_view::npos) continue;
    start = chunk.find_first_not_of(' ', start + quoted.size());
    if (start == std::string_view::npos || chunk[start] != '"') continue;
    std::size_t end = ++start;
    while (end < chunk.size() && chunk[end] != '"') end += chunk[end] == '\\' ? 2 : 1;
    if (end >= chunk.size()) continue;
    Pattern pattern{std::string(chunk.substr(0, start)), std::string(chunk.substr(end)), {}};
    // The parser itself confirms that what was found is the place.
    const Result<Json> probe = parse_untrusted(fmt::format("{}{}{}", pattern.before, kProbe, pattern.after));
    if (!probe) continue;
    const Json* holder = at(only(at(&*probe, "choices")), "delta");
    if (place == Place::kArguments) {
      const Json* const call = only(at(holder, "tool_calls"));
      holder = at(call, "function");
      if (holder == nullptr || says_something(at(call, "id")) || says_something(at(holder, "name"))) continue;
      const Json* const index = at(call, "index");
      if (index != nullptr && index->is_number_integer()) pattern.index = index->get<std::int64_t>();
    }
    const Json* const found = at(holder, std::string(key).c_str());
    const bool fits =
        (place == Place::kText) == (key == "content") && (place == Place::kArguments) == (key == "arguments");
    if (!fits || found == nullptr || *found != kProbe) continue;
    patterns_[static_cast<std::size_t>(place)] = std::move(pattern);
    return;
  }
}

}  // namespace weft::model
