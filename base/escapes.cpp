#include "base/escapes.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace weft {
namespace {

constexpr std::size_t kReferenceBytesMax = 10;  // "&#x10ffff;"
constexpr int kPercentRoundsMax = 3;

std::optional<std::uint32_t> number(std::string_view text, int base) {
  std::uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

class Reader {
 public:
  Reader(std::string_view text, std::size_t at) : text_(text), at_(at) {}

  Readings take() {
    switch (text_[at_]) {
      case '\\': read_backslashes(); break;
      case '%': read_percent(); break;
      case '&': read_reference(); break;
      case '+': add_byte(' ', 1); break;
      default: break;
    }
    return readings_;
  }

 private:
  void add_byte(char byte, std::size_t length) {
    if (readings_.count == kReadingsMax) return;
    readings_.list[readings_.count++] = {{byte}, 1, static_cast<std::uint8_t>(length)};
  }

  void add_character(std::uint32_t code, std::size_t length) {
    if (code < 0x80) return add_byte(static_cast<char>(code), length);
    if (readings_.count == kReadingsMax || code > 0x10FFFF) return;
    Unescaped& reading = readings_.list[readings_.count++];
    reading.length = static_cast<std::uint8_t>(length);
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    constexpr std::array<std::uint32_t, 4> kFirst = {0, 0xC0, 0xE0, 0xF0};
    reading.bytes[reading.count++] = static_cast<char>(kFirst[static_cast<std::size_t>(more)] | code >> (6 * more));
    for (int i = more - 1; i >= 0; --i) {
      reading.bytes[reading.count++] = static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
    }
  }

  // The number of `digits` hexadecimal digits; nothing where there are others, or the text ends before.
  std::optional<std::uint32_t> hex(std::size_t at, std::size_t digits) {
    const std::string_view part = text_.substr(std::min(at, text_.size()), digits);
    const bool hexadecimal = std::ranges::all_of(
        part, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); });
    if (!hexadecimal) return std::nullopt;
    if (part.size() < digits) {
      readings_.cut = true;
      return std::nullopt;
    }
    return number(part, 16);
  }

  void read_backslashes() {
    std::size_t run = 1;
    while (run <= kBackslashesMax && at_ + run < text_.size() && text_[at_ + run] == '\\') ++run;
    for (std::size_t length = 2; length <= run; length *= 2) add_byte('\\', length);
    if (run > kBackslashesMax) return;
    if (at_ + run == text_.size()) {
      readings_.cut = true;
      return;
    }
    switch (const char mark = text_[at_ + run]) {
      case '"':
      case '/': add_byte(mark, run + 1); break;
      case 'b': add_byte('\b', run + 1); break;
      case 'f': add_byte('\f', run + 1); break;
      case 'n': add_byte('\n', run + 1); break;
      case 'r': add_byte('\r', run + 1); break;
      case 't': add_byte('\t', run + 1); break;
      case 'x':
        if (const auto byte = hex(at_ + run + 1, 2)) add_byte(static_cast<char>(*byte), run + 3);
        break;
      case 'u': read_code_unit(run); break;
      default: break;
    }
  }

  void read_code_unit(std::size_t run) {
    const std::size_t length = run + 5;
    const auto unit = hex(at_ + run + 1, 4);
    if (!unit) return;
    const bool high = *unit >= 0xD800 && *unit <= 0xDBFF;
    if (!high) return add_character(*unit, length);
    // The other half follows, escaped as the first one is.
    const std::string_view lead = text_.substr(at_, run + 1);
    const std::string_view rest = text_.substr(at_ + length);
    if (rest.size() < lead.size()) {
      readings_.cut = readings_.cut || lead.starts_with(rest);
      return;
    }
    if (!rest.starts_with(lead)) return;
    const auto low = hex(at_ + length + lead.size(), 4);
    if (!low || *low < 0xDC00 || *low > 0xDFFF) return;
    add_character(0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00), 2 * length);
  }

  void read_percent() {
    std::size_t at = at_ + 1;
    for (int round = 0; round < kPercentRoundsMax; ++round) {
      const auto byte = hex(at, 2);
      if (!byte) return;
      add_byte(static_cast<char>(*byte), at + 2 - at_);
      if (*byte != '%') return;
      at += 2;
    }
  }

  void read_reference() {
    constexpr std::array<std::pair<std::string_view, char>, 5> kNames = {
        {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};
    const std::string_view rest = text_.substr(at_, kReferenceBytesMax);
    const std::size_t end = rest.find(';');
    if (end == std::string_view::npos) {
      readings_.cut = at_ + rest.size() == text_.size() && rest.size() < kReferenceBytesMax;
      return;
    }
    for (const auto& [name, byte] : kNames) {
      if (rest.starts_with(name)) add_byte(byte, name.size());
    }
    if (rest.size() < 3 || rest[1] != '#') return;
    const bool hexadecimal = rest[2] == 'x' || rest[2] == 'X';
    const std::size_t from = hexadecimal ? 3 : 2;
    if (end <= from) return;
    if (const auto code = number(rest.substr(from, end - from), hexadecimal ? 16 : 10)) add_character(*code, end + 1);
  }

  const std::string_view text_;
  const std::size_t at_;
  Readings readings_;
};

}  // namespace

Readings readings_at(std::string_view text, std::size_t at) { return Reader(text, at).take(); }

}  // namespace weft
