#include "workflows/yaml_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"

namespace weft::yaml {
namespace {

// Where the first byte stands that belongs to no UTF-8 sequence.
std::size_t first_bad_byte(std::string_view text) {
  std::size_t line = 0;
  while (is_utf8(first_line(text.substr(line)))) line += first_line(text.substr(line)).size() + 1;
  std::size_t good = line;
  for (std::size_t length = 1; length <= 4 && good + length <= text.size(); ++length) {
    if (!is_utf8(text.substr(good, length))) continue;
    good += length;
    length = 0;
  }
  return good;
}

bool is_key_indicator(std::string_view text, std::size_t at) {
  std::size_t before = at;
  while (before > 0 && (text[before - 1] == ' ' || text[before - 1] == '\t')) --before;
  if (before == 0 || text[before - 1] == '\n') return true;
  const char last = text[before - 1];
  if (last == '{' || last == '[' || last == ',') return true;
  return before < at && (last == ':' || last == '-' || last == '?');
}

// The parser reads a whole line of brackets ahead, 250 bytes for each, before it says that the first is open. Even
// inside a text nobody means so many.
std::size_t find_bracket_run(std::string_view text) {
  constexpr std::size_t kBracketsMax = 256;
  std::size_t run = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '[' || c == '{') {
      if (++run > kBracketsMax) return at;
    } else if (c != ' ') {
      run = 0;
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

Source::Source(std::string_view text) : text_(text) {
  for (std::size_t at = 0; at < text.size(); at = next_line(at)) lines_.push_back(at);
}

std::string_view Source::at(std::size_t offset) const {
  return offset < text_.size() ? text_.substr(offset) : std::string_view();
}

std::string_view Source::line(std::uint32_t number) const {
  return number >= 1 && number <= lines_.size() ? first_line(text_.substr(lines_[number - 1])) : std::string_view();
}

std::size_t Source::next_line(std::size_t offset) const {
  const std::size_t end = text_.find('\n', offset);
  return end == std::string_view::npos ? text_.size() : end + 1;
}

Mark Source::mark(std::size_t offset) const {
  const auto after = std::ranges::upper_bound(lines_, offset);
  if (after == lines_.begin()) return {};
  const auto line = static_cast<std::size_t>(after - lines_.begin());
  return {static_cast<std::uint32_t>(line), static_cast<std::uint32_t>(offset - lines_[line - 1] + 1)};
}

char unused_control(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const char control : {'\x01', '\x02', '\x03', '\x05', '\x06', '\x0e', '\x0f', '\x10'}) {
    const int code = control;
    const bool is_escaped = lower.find(fmt::format("\\x{:02x}", code)) != std::string::npos ||
                            lower.find(fmt::format("\\u{:04x}", code)) != std::string::npos ||
                            lower.find(fmt::format("\\u{:08x}", code)) != std::string::npos;
    if (!is_escaped) return control;
  }
  return '\0';
}

std::string with_questions_hidden(std::string_view text, char control) {
  std::string hidden(text);
  if (control == '\0') return hidden;
  for (std::size_t at = text.find('?'); at != std::string_view::npos; at = text.find('?', at + 1)) {
    if (!is_key_indicator(text, at)) hidden[at] = control;
  }
  return hidden;
}

bool check_bytes(std::string_view text, const Source& source, Diagnostics& diagnostics) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if ((byte >= 0x20 && byte != 0x7F) || byte == '\n' || byte == '\t' || byte == '\r') continue;
    diagnostics.error(source.mark(at), "yaml-bytes",
                      fmt::format("the control character {:#04x} may not stand in YAML", byte),
                      fmt::format("write it as \"\\x{:02x}\" in a quoted text", byte));
    return false;
  }
  if (const std::size_t run = find_bracket_run(text); run != std::string_view::npos) {
    diagnostics.error(source.mark(run), "limit", "values are nested far too deep here");
    return false;
  }
  if (is_utf8(text)) return true;
  diagnostics.error(source.mark(first_bad_byte(text)), "yaml-bytes", "the file is not valid UTF-8 here",
                    "save it as UTF-8");
  return false;
}

}  // namespace weft::yaml
