#include "workflows/yaml_scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "workflows/yaml.h"

namespace weft::yaml {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

std::string_view without_sign(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return text;
}

bool is_digits(std::string_view text, std::string_view digits = "0123456789") {
  return !text.empty() && text.find_first_not_of(digits) == std::string_view::npos;
}

bool is_infinite(std::string_view text) { return is_one_of(without_sign(text), {".inf", ".Inf", ".INF"}); }
bool is_not_a_number(std::string_view text) { return is_one_of(text, {".nan", ".NaN", ".NAN"}); }

bool is_integer(std::string_view text) {
  if (text.starts_with("0o")) return is_digits(text.substr(2), "01234567");
  if (text.starts_with("0x")) return is_digits(text.substr(2), "0123456789abcdefABCDEF");
  return is_digits(without_sign(text));
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool is_float(std::string_view text) {
  text = without_sign(text);
  if (const std::size_t exponent = text.find_first_of("eE"); exponent != std::string_view::npos) {
    if (!is_digits(without_sign(text.substr(exponent + 1)))) return false;
    text = text.substr(0, exponent);
  }
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos) return is_digits(text);
  const std::string_view before = text.substr(0, point), after = text.substr(point + 1);
  if (before.empty()) return is_digits(after);
  return is_digits(before) && (after.empty() || is_digits(after));
}

std::optional<std::int64_t> integer_of(std::string_view text) {
  int base = 10;
  if (text.starts_with("0o")) base = 8;
  if (text.starts_with("0x")) base = 16;
  if (base != 10) text.remove_prefix(2);
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> number_of(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

Plain classify(std::string_view text) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return Plain::kNull;
  if (is_one_of(text, {"true", "True", "TRUE", "false", "False", "FALSE"})) return Plain::kBool;
  if (is_integer(text)) return Plain::kInteger;
  if (is_float(text)) return Plain::kNumber;
  return Plain::kText;
}

std::optional<std::string> refuse_plain(std::string_view text) {
  if (is_infinite(text) || is_not_a_number(text)) return fmt::format("{} is no value that JSON can hold", text);
  const Plain plain = classify(text);
  if (plain == Plain::kInteger && !integer_of(text))
    return fmt::format("the integer {} does not fit into 64 bits", text);
  if (plain == Plain::kNumber && !number_of(text)) return fmt::format("the number {} is out of range", text);
  return std::nullopt;
}

bool Node::is_string() const { return is_scalar() && (style != Style::kPlain || classify(text) == Plain::kText); }

const Node* Node::get(std::string_view key) const {
  const auto found = std::ranges::find(members, key, &Member::key);
  if (found == members.end()) return nullptr;
  found->used = true;
  return found->value.get();
}

bool Node::has(std::string_view key) const { return std::ranges::find(members, key, &Member::key) != members.end(); }

std::optional<bool> Node::as_bool() const {
  if (!is_scalar() || style != Style::kPlain || classify(text) != Plain::kBool) return std::nullopt;
  return text.starts_with('t') || text.starts_with('T');
}

std::optional<std::int64_t> Node::as_integer() const {
  if (!is_scalar() || style != Style::kPlain || classify(text) != Plain::kInteger) return std::nullopt;
  return integer_of(text);
}

std::optional<double> Node::as_number() const {
  if (const auto integer = as_integer()) return static_cast<double>(*integer);
  if (!is_scalar() || style != Style::kPlain || classify(text) != Plain::kNumber) return std::nullopt;
  return number_of(text);
}

Json Node::to_json() const {
  if (is_scalar()) {
    if (const auto boolean = as_bool()) return *boolean;
    if (const auto integer = as_integer()) return *integer;
    if (const auto number = as_number()) return *number;
    if (is_string()) return text;
    return nullptr;
  }
  if (is_sequence()) {
    Json list = Json::array();
    for (const NodePtr& item : items) list.push_back(item->to_json());
    return list;
  }
  if (!is_map()) return nullptr;
  Json object = Json::object();
  // By the vector beneath, since the object's own insertion compares with every key before; keys are unique already.
  auto& pairs = static_cast<std::vector<Json::object_t::value_type>&>(object.get_ref<Json::object_t&>());
  pairs.reserve(members.size());
  for (const Member& member : members) {
    member.used = true;
    pairs.emplace_back(member.key, member.value->to_json());
  }
  return object;
}

void refuse_unused(const Node& map, std::string_view what, const std::vector<std::string>& known,
                   Diagnostics& diagnostics) {
  for (const Node::Member& member : map.members) {
    if (member.used) continue;
    const std::string near = diagnostics.nearest(member.key, known);
    diagnostics.error(member.key_mark, "unknown-key", fmt::format("{} has no key \"{}\"", what, member.key),
                      near.empty() ? std::string() : fmt::format("did you mean \"{}\"?", near));
  }
}

}  // namespace weft::yaml
