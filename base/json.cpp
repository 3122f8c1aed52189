#include "base/json.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "base/bytes.h"

namespace weft {
namespace {

constexpr std::uint64_t kUnitsPerByte = 3;   // Of a budget, for reading,
constexpr std::uint64_t kUnitsPerPart = 50;  // and for each value or key that is made, and destroyed.

// Builds the value by hand, since the library's own builder looks every new key up linearly (a hostile object of
// 100,000 keys would cost 10^10 comparisons) and keeps the last of two equal keys without a word.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(const JsonLimits& limits, Budget* budget) : limits_(limits), budget_(budget) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) return put(static_cast<double>(value));
    return put(static_cast<number_integer_t>(value));
  }
  bool number_float(number_float_t value, const string_t&) override {
    if (!std::isfinite(value)) return fail(invalid_argument("a number is out of range"));
    return put(value);
  }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return fail(invalid_argument("binary values are not JSON")); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (!count()) return false;
    Frame& frame = frames_.back();
    auto& members = static_cast<std::vector<Json::object_t::value_type>&>(frame.value.get_ref<Json::object_t&>());
    bool seen = false;
    if (members.size() < kLinearMax) {
      for (const auto& member : members) seen = seen || member.first == name;
    } else {
      if (frame.names.empty()) {
        for (const auto& member : members) frame.names.insert(member.first);
      }
      seen = frame.names.contains(name);
      frame.names.insert(name);
    }
    if (seen) return fail(invalid_argument(fmt::format("the key \"{}\" stands twice in one object", printable(name))));
    members.emplace_back(std::move(name), nullptr);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    if (!error_) {
      std::string_view what = error.what();
      // "[json.exception.parse_error.101] parse error at line 1, column 2: ..." names the place; the tag says nothing.
      if (const auto end = what.find("] "); end != std::string_view::npos) what.remove_prefix(end + 2);
      error_ = invalid_argument(fmt::format("not JSON at byte {}: {}", position, printable(what)));
    }
    return false;
  }

  Result<Json> take() {
    if (error_) return *std::move(error_);
    return std::move(root_);
  }

 private:
  static constexpr std::size_t kLinearMax = 16;
  struct Frame {
    Json value;
    std::unordered_set<std::string> names;  // Filled only for wide objects.
  };

  bool fail(Error error) {
    error_ = std::move(error);
    return false;
  }

  bool count() {
    if (budget_ == nullptr || budget_->spend(kUnitsPerPart)) return true;
    return fail(budget_->error());
  }
  bool count_value() {
    if (++nodes_ <= limits_.nodes_max) return count();
    return fail(resource_exhausted(fmt::format("a JSON text has more than {} values", limits_.nodes_max))
                    .with("limit", "json_nodes_max"));
  }

  template <class T>
  bool put(T&& value) {
    if (!count_value()) return false;
    place(Json(std::forward<T>(value)));
    return true;
  }

  void place(Json value) {
    if (frames_.empty()) {
      root_ = std::move(value);
      return;
    }
    Json& parent = frames_.back().value;
    if (parent.is_array()) {
      parent.get_ref<Json::array_t&>().push_back(std::move(value));
    } else {
      auto& members = static_cast<std::vector<Json::object_t::value_type>&>(parent.get_ref<Json::object_t&>());
      members.back().second = std::move(value);
    }
  }

  bool open(Json container) {
    if (frames_.size() >= limits_.depth_max) {
      return fail(resource_exhausted(fmt::format("a JSON text is nested deeper than {}", limits_.depth_max))
                      .with("limit", "json_depth_max"));
    }
    if (!count_value()) return false;
    frames_.push_back({std::move(container), {}});
    return true;
  }

  bool close() {
    Json value = std::move(frames_.back().value);
    frames_.pop_back();
    place(std::move(value));
    return true;
  }

  const JsonLimits& limits_;
  Budget* const budget_;
  std::vector<Frame> frames_;
  Json root_;
  std::size_t nodes_ = 0;
  std::optional<Error> error_;
};

void write(const Json& value, std::string& out);

void write_escaped(char c, std::string& out) {
  switch (c) {
    case '"': out += "\\\""; break;
    case '\\': out += "\\\\"; break;
    case '\b': out += "\\b"; break;
    case '\f': out += "\\f"; break;
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    default: fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
  }
}

void write_string(const std::string& text, std::string& out) {
  out += '"';
  const char* plain = text.data();  // What is written as it is, from here on.
  const char* const end = text.data() + text.size();
  for (const char* at = plain; at != end; ++at) {
    if (static_cast<unsigned char>(*at) >= 0x20 && *at != '"' && *at != '\\') continue;
    out.append(plain, at);
    write_escaped(*at, out);
    plain = at + 1;
  }
  out.append(plain, end);
  out += '"';
}

void write_integer(auto value, std::string& out) {
  const fmt::format_int digits(value);
  out.append(digits.data(), digits.size());
}

void write_number(double value, std::string& out) {
  constexpr double kExactMax = 9007199254740992.0;  // 2^53
  if (value == std::trunc(value) && std::fabs(value) <= kExactMax) {
    write_integer(static_cast<std::int64_t>(value), out);
  } else if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(out), "{}", value);  // Shortest form that reads back the same.
  } else {
    out += "null";
  }
}

void write(const Json& value, std::string& out) {
  switch (value.type()) {
    case Json::value_t::object: {
      out += '{';
      bool first = true;
      for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
        if (!first) out += ',';
        first = false;
        write_string(name, out);
        out += ':';
        write(member, out);
      }
      out += '}';
      break;
    }
    case Json::value_t::array: {
      out += '[';
      bool first = true;
      for (const auto& element : value.get_ref<const Json::array_t&>()) {
        if (!first) out += ',';
        first = false;
        write(element, out);
      }
      out += ']';
      break;
    }
    case Json::value_t::string: write_string(value.get_ref<const std::string&>(), out); break;
    case Json::value_t::boolean: out += value.get<bool>() ? "true" : "false"; break;
    case Json::value_t::number_integer: write_integer(value.get<std::int64_t>(), out); break;
    case Json::value_t::number_unsigned: write_integer(value.get<std::uint64_t>(), out); break;
    case Json::value_t::number_float: write_number(value.get<double>(), out); break;
    default: out += "null";
  }
}

}  // namespace

Result<Json> parse_untrusted(std::string_view text, const JsonLimits& limits, Budget* budget) {
  if (text.size() > limits.bytes_max) {
    return resource_exhausted(fmt::format("a JSON text has {} bytes; the limit is {}", text.size(), limits.bytes_max))
        .with("limit", "json_bytes_max");
  }
  if (budget != nullptr && !budget->spend(text.size() * kUnitsPerByte)) return budget->error();
  Builder builder(limits, budget);
  try {
    Json::sax_parse(text.begin(), text.end(), &builder);
  } catch (const std::exception& error) {
    return invalid_argument(fmt::format("not JSON: {}", printable(error.what())));
  }
  return builder.take();
}

Result<Json> parse_fenced(std::string_view text, Budget* budget) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto trimmed = [&](std::string_view part) {
    const std::size_t begin = part.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return std::string_view();
    return part.substr(begin, part.find_last_not_of(kBlank) - begin + 1);
  };
  const std::string_view whole = trimmed(text);
  auto value = parse_untrusted(whole, {}, budget);
  if (value || Budget::caused(value.error())) return value;
  const std::size_t open = whole.find("```");
  if (open == std::string_view::npos) return value;
  const std::size_t line = whole.find('\n', open);
  const std::size_t close = line == std::string_view::npos ? line : whole.find("```", line);
  if (close == std::string_view::npos || whole.find("```", close + 3) != std::string_view::npos) return value;
  return parse_untrusted(trimmed(whole.substr(line, close - line)), {}, budget);
}

std::string to_text(const Json& value) {
  std::string out;
  write(value, out);
  return out;
}

}  // namespace weft
