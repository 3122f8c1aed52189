// How a value is written by servers that repeat it, for tests that look for it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"

namespace weft::test {

inline std::string dumped(const std::string& text, bool ascii = false) {
  const std::string quoted = Json(text).dump(-1, ' ', ascii);
  return quoted.substr(1, quoted.size() - 2);
}

// The text in UTF-16, as JSON's escapes name it.
inline std::vector<unsigned> code_units(const std::string& text) {
  std::vector<unsigned> units;
  const std::string ascii = dumped(text, true);
  for (std::size_t at = 0; at < ascii.size(); ++at) {
    if (ascii[at] != '\\') {
      units.push_back(static_cast<unsigned char>(ascii[at]));
    } else if (ascii[++at] == 'u') {
      units.push_back(static_cast<unsigned>(std::stoul(ascii.substr(at + 1, 4), nullptr, 16)));
      at += 4;
    } else {
      units.push_back(static_cast<unsigned char>(ascii[at] == 'n' ? '\n' : ascii[at] == 't' ? '\t' : ascii[at]));
    }
  }
  return units;
}

inline std::string all_unicode_escapes(const std::string& text, const char* form) {
  std::string out;
  for (const unsigned unit : code_units(text)) out += fmt::format(fmt::runtime(form), unit);
  return out;
}

inline std::string percent(const std::string& text, const char* form, bool all = false) {
  std::string out;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    out += plain && !all ? std::string(1, c) : fmt::format(fmt::runtime(form), static_cast<unsigned char>(c));
  }
  return out;
}

inline std::string form_encoded(const std::string& text) {
  std::string out = percent(text, "%{:02X}");
  for (std::size_t at = out.find("%20"); at != std::string::npos; at = out.find("%20")) out.replace(at, 3, "+");
  return out;
}

inline std::string html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '&'    ? "&amp;"
           : c == '<'  ? "&lt;"
           : c == '>'  ? "&gt;"
           : c == '"'  ? "&quot;"
           : c == '\'' ? "&#39;"
           : c == '/'  ? "&#x2F;"
                       : std::string(1, c);
  }
  return out;
}

inline std::string base64(const std::string& bytes, std::string_view last_two = "+/") {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + std::string(last_two);
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      out += at + i <= bytes.size() ? alphabet[group >> (18 - 6 * i) & 63] : '=';
    }
  }
  return out;
}

inline std::string in_lines(const std::string& text, std::size_t columns) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += columns) out += text.substr(at, columns) + "\r\n";
  return out;
}

inline std::string slashes(std::string text) {
  for (std::size_t at = text.find('/'); at != std::string::npos; at = text.find('/', at + 2)) text.insert(at, "\\");
  return text;
}

inline std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// The ways in which servers write a value back.
inline std::vector<std::string> writings(const std::string& value) {
  std::vector<std::string> all = {value,
                                  dumped(value),
                                  dumped(value, true),
                                  slashes(dumped(value)),
                                  dumped(dumped(value)),
                                  dumped(dumped(dumped(value))),
                                  slashes(dumped(slashes(dumped(value)))),
                                  dumped(slashes(dumped(value, true)), true),
                                  all_unicode_escapes(value, "\\u{:04x}"),
                                  all_unicode_escapes(value, "\\u{:04X}"),
                                  all_unicode_escapes(value, "\\\\u{:04x}"),
                                  percent(value, "%{:02X}"),
                                  percent(value, "%{:02x}"),
                                  percent(value, "%{:02X}", true),
                                  percent(value, "%25{:02X}"),
                                  form_encoded(value),
                                  html(value),
                                  dumped(html(value)),
                                  to_hex(value),
                                  upper(to_hex(value))};
  for (const std::string before : {"", "x", "xy", "user:", "a longer one:"}) {
    for (const std::string after : {"", "z", "zz", ";and what follows"}) {
      const std::string whole = before + value + after;
      all.push_back(base64(whole));
      all.push_back(base64(whole, "-_"));
      all.push_back(slashes(base64(whole)));
      all.push_back(percent(base64(whole), "%{:02X}"));
      all.push_back(in_lines(base64(whole), 16));
      all.push_back(dumped(in_lines(base64(whole), 16)));
      std::string bare = base64(whole, "-_");
      bare.resize(std::min(bare.size(), bare.find('=')));
      all.push_back(bare);
    }
  }
  return all;
}

// Texts of which each says `value` to whoever reads it: what must not be in a file. Of base64 in each of its three
// positions the characters that hang on nothing but the value.
inline std::vector<std::string> traces_of(const std::string& value) {
  std::vector<std::string> traces = {value,
                                     dumped(value),
                                     dumped(value, true),
                                     slashes(dumped(value)),
                                     dumped(dumped(value)),
                                     all_unicode_escapes(value, "\\u{:04x}"),
                                     percent(value, "%{:02X}"),
                                     percent(value, "%{:02x}"),
                                     form_encoded(value),
                                     html(value),
                                     to_hex(value),
                                     upper(to_hex(value))};
  for (const std::string before : {"", "x", "xy"}) {
    for (const char* last_two : {"+/", "-_"}) {
      const std::string whole = base64(before + value, last_two);
      const std::size_t from = (before.size() * 8 + 5) / 6;
      traces.push_back(whole.substr(from, (before.size() + value.size()) * 8 / 6 - from));
    }
  }
  return traces;
}

}  // namespace weft::test
