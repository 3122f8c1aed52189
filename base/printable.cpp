// Foreign text where people read it: whatever is not seen, or moves what is, is written out.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/bytes.h"

namespace weft {
namespace {

struct Range {
  char32_t first, last;
};

// Of Unicode's categories Cc, Cf, Zl and Zp those that are not seen, and the letters and marks that are blank.
constexpr Range kUnseen[] = {
    {0x00, 0x1F},     {0x7F, 0x9F},     {0xAD, 0xAD},     {0x34F, 0x34F},     {0x61C, 0x61C},     {0x115F, 0x1160},
    {0x17B4, 0x17B5}, {0x180E, 0x180E}, {0x200B, 0x200F}, {0x2028, 0x202E},   {0x2060, 0x206F},   {0x3164, 0x3164},
    {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF9, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE00FF}};
constexpr char32_t kNonJoiner = 0x200C;
constexpr char32_t kJoiner = 0x200D;

bool is_unseen(char32_t code) {
  const auto* range = std::ranges::upper_bound(kUnseen, code, {}, &Range::first);
  return range != std::begin(kUnseen) && code <= std::prev(range)->last;
}

struct Character {
  std::size_t length = 0;  // 0: it is no UTF-8.
  char32_t code = 0;
};

Character character_at(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (at + length > text.size() || !is_utf8(text.substr(at, length))) return {};
  if (length == 1) return {1, first};
  char32_t code = first & (0xFF >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3F);
  return {length, code};
}

bool is_ascii_at(std::string_view text, std::size_t at) {
  return at >= text.size() || static_cast<unsigned char>(text[at]) < 0x80;
}

// Scripts and emoji join letters by them; between letters of ASCII they only hide.
bool joins(std::string_view text, std::size_t at, const Character& character) {
  return (character.code == kJoiner || character.code == kNonJoiner) && at > 0 && !is_ascii_at(text, at - 1) &&
         !is_ascii_at(text, at + character.length);
}

void escape(std::string_view bytes, char32_t code, std::string& out) {
  if (code >= 0x10000) {
    fmt::format_to(std::back_inserter(out), "\\U{:08x}", static_cast<std::uint32_t>(code));
  } else if (code > 0xFF) {
    fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<std::uint32_t>(code));
  } else {
    for (const char c : bytes) fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
  }
}

enum class Lines : std::uint8_t { kOne, kKept };

std::string written_out(std::string_view text, Lines lines) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const Character character = character_at(text, at);
    const std::size_t length = std::max<std::size_t>(character.length, 1);
    if ((c == '\n' || c == '\t') && lines == Lines::kKept) {
      out += c;
    } else if (c == '\n' || c == '\t') {
      out += c == '\n' ? "\\n" : "\\t";
    } else if (character.length == 0 || (is_unseen(character.code) && !joins(text, at, character))) {
      escape(text.substr(at, length), character.code, out);
    } else {
      out.append(text, at, length);
    }
    at += length;
  }
  return out;
}

}  // namespace

std::string printable(std::string_view text) { return written_out(text, Lines::kOne); }

std::string printable_lines(std::string_view text) { return written_out(text, Lines::kKept); }

std::string shown_json(std::string_view json) {
  std::string out;
  for (std::size_t at = 0; at < json.size();) {
    const Character character = character_at(json, at);
    const std::size_t length = std::max<std::size_t>(character.length, 1);
    // Below 0x80 JSON writes them out itself, and what is left separates its lines.
    const bool hidden = character.code >= 0x7F && is_unseen(character.code) && !joins(json, at, character);
    if (hidden && character.code >= 0x10000) {
      const std::uint32_t rest = static_cast<std::uint32_t>(character.code) - 0x10000;
      fmt::format_to(std::back_inserter(out), "\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
    } else if (hidden) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<std::uint32_t>(character.code));
    } else {
      out.append(json, at, length);
    }
    at += length;
  }
  return out;
}

}  // namespace weft
