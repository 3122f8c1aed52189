#include "sim/example_value.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

namespace weft::sim {
namespace {

constexpr std::string_view kAsk = "Answer with one JSON value that fits this JSON Schema: ";
constexpr std::size_t kDepthMax = 32;
constexpr std::size_t kNodesMax = 10'000;  // A recursive schema may ask for more than fits anywhere.
constexpr std::size_t kElementsMax = 1'000;
constexpr std::size_t kTextMax = 10'000;  // Code points.

const Json* find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

double number_at(const Json& schema, const char* key, double otherwise) {
  const Json* value = find(schema, key);
  return value != nullptr && value->is_number() ? value->get<double>() : otherwise;
}

std::size_t count_at(const Json& schema, const char* key, std::size_t otherwise, std::size_t max) {
  double count = number_at(schema, key, static_cast<double>(otherwise));
  return static_cast<std::size_t>(std::clamp(count, 0.0, static_cast<double>(max)));
}

class Example {
 public:
  Example(const Json& root, std::string_view text) : root_(root), text_(text) {}

  Json make(const Json& schema, std::size_t depth) {
    if (depth > kDepthMax || ++nodes_ > kNodesMax || !schema.is_object()) return nullptr;
    if (const Json* value = find(schema, "const")) return *value;
    if (const Json* values = find(schema, "enum"); values != nullptr && values->is_array() && !values->empty()) {
      return values->front();
    }
    if (const Json* reference = find(schema, "$ref")) return make(refer(*reference), depth + 1);
    for (const char* key : {"anyOf", "oneOf", "allOf"}) {
      const Json* parts = find(schema, key);
      if (parts == nullptr || !parts->is_array() || parts->empty()) continue;
      if (key == std::string_view("allOf")) return make(merged(schema, *parts), depth + 1);
      return make(parts->front(), depth + 1);
    }
    return of_type(type_of(schema), schema, depth);
  }

 private:
  static std::string type_of(const Json& schema) {
    const Json* type = find(schema, "type");
    if (type != nullptr && type->is_array() && !type->empty()) type = &type->front();
    if (type != nullptr && type->is_string()) return type->get<std::string>();
    if (find(schema, "properties") != nullptr || find(schema, "required") != nullptr) return "object";
    return find(schema, "items") != nullptr ? "array" : "string";
  }

  Json of_type(const std::string& type, const Json& schema, std::size_t depth) {
    if (type == "object") return object(schema, depth);
    if (type == "array") return array(schema, depth);
    if (type == "integer") return static_cast<std::int64_t>(std::ceil(number(schema, 1)));
    if (type == "number") return number(schema, 0.5);
    if (type == "boolean") return true;
    if (type == "null") return nullptr;
    return string(schema);
  }

  Json object(const Json& schema, std::size_t depth) {
    Json made = Json::object();
    const Json* required = find(schema, "required");
    const Json* properties = find(schema, "properties");
    if (required == nullptr || !required->is_array()) return made;
    for (const Json& name : *required) {
      if (!name.is_string()) continue;
      const Json* property = properties == nullptr ? nullptr : find(*properties, name.get<std::string>().c_str());
      made[name.get<std::string>()] = property == nullptr ? Json(std::string(text_)) : make(*property, depth + 1);
    }
    return made;
  }

  Json array(const Json& schema, std::size_t depth) {
    Json made = Json::array();
    std::size_t least = count_at(schema, "minItems", 0, kElementsMax);
    std::size_t count =
        std::min(std::max<std::size_t>(least, 1), count_at(schema, "maxItems", kElementsMax, kElementsMax));
    if (depth >= kDepthMax) return made;
    const Json* items = find(schema, "items");
    for (std::size_t i = 0; i < count; ++i) {
      made.push_back(items == nullptr ? Json(std::string(text_)) : make(*items, depth + 1));
    }
    return made;
  }

  static double number(const Json& schema, double step) {
    double least = number_at(schema, "exclusiveMinimum", -HUGE_VAL);
    double value = std::isfinite(least) ? least + step : number_at(schema, "minimum", 0);
    double most = number_at(schema, "maximum", HUGE_VAL);
    double under = number_at(schema, "exclusiveMaximum", HUGE_VAL);
    if (value > most) value = most;
    if (value >= under) value = under - step;
    if (double factor = number_at(schema, "multipleOf", 0); factor > 0) value = std::ceil(value / factor) * factor;
    return value;
  }

  Json string(const Json& schema) const {
    const Json* format = find(schema, "format");
    if (format != nullptr && *format == "date-time") return "2026-01-01T00:00:00Z";
    if (format != nullptr && *format == "date") return "2026-01-01";
    if (format != nullptr && *format == "uri") return "https://example.com/";
    if (format != nullptr && *format == "email") return "someone@example.com";
    if (format != nullptr && *format == "uuid") return "00000000-0000-4000-8000-000000000000";
    std::string text(first_code_points(text_, count_at(schema, "maxLength", kTextMax, kTextMax)));
    std::size_t least = count_at(schema, "minLength", 0, kTextMax);
    // Filled by bytes: at least as many code points as are missing.
    std::size_t have = 0;
    for (unsigned char byte : text) have += (byte & 0xC0) != 0x80 ? 1 : 0;
    if (have < least) text.append(least - have, '.');
    return text;
  }

  const Json& refer(const Json& reference) const {
    static const Json anything = Json::object();
    if (!reference.is_string()) return anything;
    std::string path = reference.get<std::string>();
    if (path == "#") return root_;
    if (!path.starts_with("#/")) return anything;
    const Json* at = &root_;
    for (std::size_t from = 2; from <= path.size() && at != nullptr;) {
      std::size_t to = std::min(path.find('/', from), path.size());
      at = find(*at, path.substr(from, to - from).c_str());
      from = to + 1;
    }
    return at == nullptr ? anything : *at;
  }

  // All parts as one schema; of a keyword that several hold, `required` and `properties` are joined.
  Json merged(const Json& schema, const Json& parts) const {
    Json all = schema;
    all.erase("allOf");
    for (const Json& each : parts) {
      const Json* reference = find(each, "$ref");
      const Json& part = reference == nullptr ? each : refer(*reference);
      if (!part.is_object()) continue;
      for (const auto& [key, value] : part.items()) {
        if (key == "required" && value.is_array() && all["required"].is_array()) {
          for (const Json& name : value) all["required"].push_back(name);
        } else if (key == "properties" && value.is_object() && all["properties"].is_object()) {
          all["properties"].update(value);
        } else {
          all[key] = value;
        }
      }
    }
    return all;
  }

  const Json& root_;
  std::string_view text_;
  std::size_t nodes_ = 0;
};

}  // namespace

Json example_value(const Json& schema, std::string_view text) { return Example(schema, text).make(schema, 0); }

std::optional<Json> schema_asked_for(std::string_view prompt) {
  std::size_t at = prompt.rfind(kAsk);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view text = prompt.substr(at + kAsk.size());
  text = text.substr(0, text.find('\n'));
  auto schema = parse_untrusted(text);
  if (!schema) return std::nullopt;
  return *std::move(schema);
}

std::string_view without_schema(std::string_view prompt) {
  prompt = prompt.substr(0, prompt.rfind(kAsk));
  while (prompt.ends_with('\n')) prompt.remove_suffix(1);
  return prompt;
}

std::string_view first_code_points(std::string_view text, std::size_t code_points_max) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool begins = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (begins && count++ == code_points_max) return text.substr(0, i);
  }
  return text;
}

}  // namespace weft::sim
