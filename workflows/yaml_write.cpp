#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "workflows/yaml.h"
#include "workflows/yaml_scalar.h"

namespace weft::yaml {
namespace {

// yaml-cpp reads a key without `? ` only up to 1024 bytes.
constexpr std::size_t kSimpleKeyBytesMax = 1000;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '/';
}

// A text that any reader of YAML, also of 1.1, takes for text without quotes.
bool is_plain_text(std::string_view text) {
  if (text.empty() || text.size() > 200) return false;
  const char first = text.front();
  if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z'))) return false;
  for (const char c : text) {
    if (!is_word(c)) return false;
  }
  static constexpr std::string_view kOlder[] = {"y", "n", "yes", "no", "on", "off"};
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const std::string_view word : kOlder) {
    if (lower == word) return false;
  }
  return classify(text) == Plain::kText;
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else if (text.substr(at).starts_with("\xEF\xBB\xBF")) {
      out += "\\uFEFF";
      at += 2;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string text_of(std::string_view text) { return is_plain_text(text) ? std::string(text) : in_quotes(text); }

std::string number_of(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

void write_value(std::string& out, const Json& value, std::size_t indent);

bool is_inline(const Json& value) { return !value.is_structured() || value.empty(); }

std::string inline_value(const Json& value) {
  if (value.is_object()) return "{}";
  if (value.is_array()) return "[]";
  if (value.is_string()) return text_of(value.get_ref<const std::string&>());
  if (value.is_number_float()) return number_of(value.get<double>());
  return to_text(value);
}

void write_map(std::string& out, const Json& map, std::size_t indent) {
  bool first = true;
  for (const auto& [key, value] : map.items()) {
    if (!first) out.append(indent, ' ');
    first = false;
    if (key.size() > kSimpleKeyBytesMax) {
      out += "? " + in_quotes(key) + "\n";
      out.append(indent, ' ');
    } else {
      out += text_of(key);
    }
    out += ':';
    if (is_inline(value)) {
      out += " " + inline_value(value) + "\n";
      continue;
    }
    out += '\n';
    out.append(indent + 2, ' ');
    write_value(out, value, indent + 2);
  }
}

// Writes at the current column, which is `indent`.
void write_value(std::string& out, const Json& value, std::size_t indent) {
  if (is_inline(value)) {
    out += inline_value(value) + "\n";
  } else if (value.is_object()) {
    write_map(out, value, indent);
  } else {
    bool first = true;
    for (const Json& item : value) {
      if (!first) out.append(indent, ' ');
      first = false;
      out += "- ";
      write_value(out, item, indent + 2);
    }
  }
}

}  // namespace

std::string write(const Json& value) {
  std::string out;
  write_value(out, value, 0);
  return out;
}

}  // namespace weft::yaml
