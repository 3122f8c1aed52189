#include "workflows/shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/pattern.h"
#include "workflows/expression/functions.h"
#include "workflows/shape_schema.h"

namespace weft::workflows {
namespace shape {
namespace {

enum class Takes : std::uint8_t {
  kType,
  kEnum,
  kAnything,
  kText,
  kPattern,
  kReference,
  kNames,
  kCount,
  kNumber,
  kTruth,
  kSchema,
  kSchemas,
  kSchemaOrTruth,
  kNamedSchemas
};

struct Keyword {
  std::string_view name;
  Takes takes;
};
// In the order in which a schema is written.
constexpr Keyword kKeywords[] = {
    {"$schema", Takes::kText},
    {"$id", Takes::kText},
    {"$comment", Takes::kText},
    {"$ref", Takes::kReference},
    {"title", Takes::kText},
    {"description", Takes::kText},
    {"type", Takes::kType},
    {"enum", Takes::kEnum},
    {"const", Takes::kAnything},
    {"default", Takes::kAnything},
    {"examples", Takes::kAnything},
    {"format", Takes::kText},
    {"pattern", Takes::kPattern},
    {"minLength", Takes::kCount},
    {"maxLength", Takes::kCount},
    {"minimum", Takes::kNumber},
    {"maximum", Takes::kNumber},
    {"exclusiveMinimum", Takes::kNumber},
    {"exclusiveMaximum", Takes::kNumber},
    {"multipleOf", Takes::kNumber},
    {"items", Takes::kSchema},
    {"minItems", Takes::kCount},
    {"maxItems", Takes::kCount},
    {"uniqueItems", Takes::kTruth},
    {"properties", Takes::kNamedSchemas},
    {"required", Takes::kNames},
    {"additionalProperties", Takes::kSchemaOrTruth},
    {"minProperties", Takes::kCount},
    {"maxProperties", Takes::kCount},
    {"anyOf", Takes::kSchemas},
    {"oneOf", Takes::kSchemas},
    {"allOf", Takes::kSchemas},
    {"not", Takes::kSchema},
    {"$defs", Takes::kNamedSchemas},
    {"definitions", Takes::kNamedSchemas},
};

constexpr std::uint64_t kEmbeddedUnits = 4'000;  // Of the budget of the check: a text that is read as YAML of its own.

const std::vector<std::string> kTypeNames = {"string", "number", "integer", "boolean", "object", "any"};

struct Alias {
  std::string_view written;
  std::string_view meant;
};
constexpr Alias kAliases[] = {{"str", "string"},    {"text", "string"},  {"int", "integer"}, {"float", "number"},
                              {"double", "number"}, {"bool", "boolean"}, {"list", "[any]"},  {"array", "[any]"},
                              {"map", "object"},    {"dict", "object"}};

bool is_keyword(std::string_view name) {
  return std::any_of(std::begin(kKeywords), std::end(kKeywords), [&](const Keyword& k) { return k.name == name; });
}

// Keys of a YAML map are distinct, so none needs to be looked up.
void append(Json& object, const std::string& name, Json value) {
  auto& members = static_cast<std::vector<Json::object_t::value_type>&>(object.get_ref<Json::object_t&>());
  members.emplace_back(name, std::move(value));
}

// Whether it says so itself: `null` among its types or its values.
bool accepts_null(const Json& schema) {
  if (!schema.is_object()) return false;
  const auto type = schema.find("type");
  const auto values = schema.find("enum");
  const bool among_types =
      type != schema.end() && type->is_array() && std::find(type->begin(), type->end(), Json("null")) != type->end();
  return among_types || (values != schema.end() && std::find(values->begin(), values->end(), Json()) != values->end());
}

class Reader {
 public:
  explicit Reader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  Json run(const yaml::Node& node) {
    Json schema = shape(node);
    for (const auto& [reference, mark] : references_) {
      if (!resolve(schema, reference)) {
        fault(mark, fmt::format("the reference \"{}\" names no schema within this one", reference),
              "references stay within the shape: \"#/$defs/NAME\"");
      }
    }
    return schema;
  }

 private:
  Json fault(Mark mark, std::string message, std::string suggestion = {}) {
    diagnostics_.error(mark, "shape", std::move(message), std::move(suggestion));
    return Json::object();
  }

  Json shape(const yaml::Node& node);
  bool too_many(const yaml::Node& node);
  Json word(const yaml::Node& node);
  Json embedded(const yaml::Node& node, std::string_view text);
  Json fields(const yaml::Node& node);
  Json schema(const yaml::Node& node);
  void keyword(const Keyword& known, const yaml::Node& node, Json& out);
  Json type(const yaml::Node& node);
  Json enumeration(const yaml::Node& node);
  Json named(const yaml::Node& node);
  // A schema, `true` or `false`, or a shape.
  Json part(const yaml::Node& node);
  static Json optional(Json schema);

  Diagnostics& diagnostics_;
  std::vector<std::pair<std::string, Mark>> references_;
  std::size_t depth_ = 0;
};

Json Reader::optional(Json schema) {
  if (auto type = schema.find("type"); type != schema.end() && type->is_string()) {
    *type = Json::array({*type, "null"});
  } else if (auto values = schema.find("enum"); values != schema.end()) {
    if (std::find(values->begin(), values->end(), Json()) == values->end()) values->push_back(nullptr);
  } else if (schema.contains("anyOf") || schema.contains("$ref")) {
    return Json{{"anyOf", Json::array({std::move(schema), Json{{"type", "null"}}})}};
  }
  return schema;
}

Json Reader::shape(const yaml::Node& node) {
  if (depth_ >= kSchemaDepthMax)
    return fault(node.mark, fmt::format("a shape is nested deeper than {}", kSchemaDepthMax));
  ++depth_;
  Json result = Json::object();
  if (node.is_sequence()) {
    if (node.items.size() == 1) {
      result = Json{{"type", "array"}, {"items", shape(*node.items[0])}};
    } else {
      fault(node.mark, fmt::format("a list has one type of elements, and here are {}", node.items.size()),
            "write [string]");
    }
  } else if (node.is_map()) {
    const bool is_schema = node.has("type") || node.has("enum") || node.has("anyOf") || node.has("$ref");
    result = is_schema ? schema(node) : fields(node);
  } else if (node.is_scalar()) {
    result = word(node);
  } else {
    fault(node.mark, "a type is missing", "write one of string, number, integer, boolean, object, any");
  }
  --depth_;
  return result;
}

Json Reader::word(const yaml::Node& node) {
  std::string_view text = node.text;
  const bool is_optional = text.ends_with('?');
  if (is_optional) text.remove_suffix(1);
  Json result = Json::object();
  if (text.starts_with('[') || text.starts_with('{')) {
    result = embedded(node, text);
  } else if (text == "file") {
    return fault(node.mark, "files are not yet values of workflows", "pass the file's text as a string");
  } else if (std::find(kTypeNames.begin(), kTypeNames.end(), text) == kTypeNames.end()) {
    std::string close = diagnostics_.nearest(std::string(text), kTypeNames);
    for (const auto& alias : kAliases) {
      if (text == alias.written) close = alias.meant;
    }
    return fault(node.mark, fmt::format("\"{}\" is no type", printable(text.substr(0, kShownBytesMax))),
                 close.empty()
                     ? "types are string, number, integer, boolean, object, any, T?, [T], {enum: […]} and maps"
                     : fmt::format("write {}{}", close, is_optional ? "?" : ""));
  } else if (text != "any") {
    result = Json{{"type", std::string(text)}};
  }
  return is_optional ? optional(std::move(result)) : result;
}

// A `?` cannot follow brackets in YAML, so "[string]?" is written in quotes.
Json Reader::embedded(const yaml::Node& node, std::string_view text) {
  if (!diagnostics_.work().spend(kEmbeddedUnits)) return Json::object();
  Diagnostics inner("", diagnostics_);
  Json result = Json::object();
  const yaml::NodePtr read = yaml::read(text, inner);
  if (read && !inner.has_errors()) result = shape(*read);
  for (const auto& diagnostic : inner.take()) {
    diagnostics_.error(node.text_mark, diagnostic.code, diagnostic.message, diagnostic.suggestion);
  }
  return result;
}

// Whether one place lists more than may stand there; reported.
bool Reader::too_many(const yaml::Node& node) {
  if (std::max(node.members.size(), node.items.size()) <= kSchemaPartsMax) return false;
  diagnostics_.error(node.mark, "limit",
                     fmt::format("more than {} parts of a shape stand in one place", kSchemaPartsMax));
  return true;
}

Json Reader::fields(const yaml::Node& node) {
  if (too_many(node)) return Json::object();
  Json properties = Json::object();
  Json required = Json::array();
  for (const auto& member : node.members) {
    member.used = true;
    const yaml::Node& value = *member.value;
    Json field = shape(value);
    const bool may_be_absent = (value.is_scalar() && value.text.ends_with('?')) || accepts_null(field);
    if (!may_be_absent) required.push_back(member.key);
    append(properties, member.key, std::move(field));
  }
  Json result{{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) result["required"] = std::move(required);
  result["additionalProperties"] = false;
  return result;
}

Json Reader::part(const yaml::Node& node) {
  if (node.is_scalar() && node.as_bool()) return Json(*node.as_bool());
  if (!node.is_map()) return shape(node);
  if (depth_ >= kSchemaDepthMax)
    return fault(node.mark, fmt::format("a shape is nested deeper than {}", kSchemaDepthMax));
  ++depth_;
  Json result = schema(node);
  --depth_;
  return result;
}

Json Reader::schema(const yaml::Node& node) {
  Json out = Json::object();
  for (const auto& known : kKeywords) {
    if (const yaml::Node* value = node.get(known.name)) keyword(known, *value, out);
  }
  for (const auto& member : node.members) {
    if (is_keyword(member.key)) continue;
    member.used = true;
    if (member.key.starts_with("x-")) continue;  // What extends JSON Schema says so by its name.
    fault(
        member.key_mark, fmt::format("this is read as a JSON Schema, which does not know `{}`", printable(member.key)),
        "a field that is called type, enum, anyOf or $ref stands under `properties` of {type: object, properties: …}");
  }
  return out;
}

void Reader::keyword(const Keyword& known, const yaml::Node& node, Json& out) {
  Json value;
  std::string wanted;
  if (known.takes != Takes::kAnything && too_many(node)) return;
  switch (known.takes) {
    case Takes::kType: value = type(node); break;
    case Takes::kEnum: value = enumeration(node); break;
    case Takes::kAnything: value = node.to_json(); break;
    case Takes::kText:
    case Takes::kPattern:
    case Takes::kReference:
      // A number, true or null is no text: another writing of it would be the same value.
      if (!node.to_json().is_string()) wanted = "a text, in quotes";
      value = node.text;
      break;
    case Takes::kNames:
      value = node.to_json();
      if (!value.is_array()) wanted = "a list of names";
      for (const auto& name : value) wanted = name.is_string() ? wanted : "a list of names";
      break;
    case Takes::kCount:
      value = node.to_json();
      if (!value.is_number_integer() || value.get<std::int64_t>() < 0) wanted = "a number of 0 or more";
      break;
    case Takes::kNumber:
      value = node.to_json();
      if (!value.is_number() || (known.name == "multipleOf" && !(value.get<double>() > 0))) wanted = "a number";
      break;
    case Takes::kTruth:
      value = node.to_json();
      if (!value.is_boolean()) wanted = "true or false";
      break;
    case Takes::kSchema:
    case Takes::kSchemaOrTruth:
      if (node.is_sequence() && known.name == "items") wanted = "one schema for all elements";
      if (wanted.empty()) value = part(node);
      break;
    case Takes::kSchemas:
      if (!node.is_sequence() || node.items.empty()) wanted = "a list of schemas";
      value = Json::array();
      for (const auto& item : node.items) value.push_back(part(*item));
      break;
    case Takes::kNamedSchemas:
      if (!node.is_map()) wanted = "a map of schemas";
      value = named(node);
      break;
  }
  if (!wanted.empty()) {
    fault(node.mark, fmt::format("`{}` takes {}", known.name, wanted));
    return;
  }
  if (known.takes == Takes::kPattern) {
    // Once here, to say what is wrong with it, and once for the rules.
    if (!diagnostics_.work().spend(2 * std::min(Pattern::compile_cost(node.text), kPatternCompileMax))) return;
    if (auto compiled = Pattern::compile(node.text); !compiled) {
      fault(node.mark, compiled.error().message, "patterns are those of RE2");
      return;
    }
  }
  if (known.takes == Takes::kReference) references_.emplace_back(node.text, node.mark);
  if (!(known.takes == Takes::kType && value.is_null())) out[std::string(known.name)] = std::move(value);
}

// Null where any type will do.
Json Reader::type(const yaml::Node& node) {
  Json types = Json::array();
  bool any = false;
  const auto add = [&](const yaml::Node& one) {
    std::string name = one.is_null() ? "null" : one.text;
    const bool is_optional = name.ends_with('?');
    if (is_optional) name.pop_back();
    const bool known =
        name == "null" || name == "array" || std::find(kTypeNames.begin(), kTypeNames.end(), name) != kTypeNames.end();
    if (!known || one.is_map() || one.is_sequence()) {
      any = true;
      if (name == "file") {
        fault(one.mark, "files are not yet values of workflows", "pass the file's text as a string");
      } else if (one.is_map() || one.is_sequence()) {
        fault(one.mark, "`type` makes this a JSON Schema, and takes the name of a type",
              "a field that is called type stands under `properties` of {type: object, properties: …}");
      } else {
        const std::string close = diagnostics_.nearest(name, kTypeNames);
        fault(one.mark, fmt::format("\"{}\" is no type", printable(name.substr(0, kShownBytesMax))),
              close.empty() ? "" : fmt::format("write {}", close));
      }
    }
    any = any || name == "any";
    if (std::find(types.begin(), types.end(), Json(name)) == types.end()) types.push_back(name);
    if (is_optional && std::find(types.begin(), types.end(), Json("null")) == types.end()) types.push_back("null");
  };
  if (node.is_sequence()) {
    for (const auto& item : node.items) add(*item);
    if (node.items.empty()) fault(node.mark, "`type` takes a type or a list of types");
  } else {
    add(node);
  }
  if (any || types.empty()) return {};
  return types.size() == 1 ? types[0] : types;
}

Json Reader::enumeration(const yaml::Node& node) {
  Json values = node.to_json();
  if (values.is_array() && !values.empty()) return values;
  fault(node.mark, "`enum` takes a list of values", "write {enum: [yes, no]}");
  return Json::array({nullptr});
}

Json Reader::named(const yaml::Node& node) {
  Json result = Json::object();
  for (const auto& member : node.members) {
    member.used = true;
    append(result, member.key, part(*member.value));
  }
  return result;
}

}  // namespace

Json read_schema(const yaml::Node& node, Diagnostics& diagnostics) { return Reader(diagnostics).run(node); }

const Json* resolve(const Json& root, std::string_view reference) {
  if (!reference.starts_with('#')) return nullptr;
  reference.remove_prefix(1);
  // Takes one name off the reference; nothing where there is none.
  const auto next = [&]() -> std::optional<std::string> {
    if (!reference.starts_with('/')) return std::nullopt;
    reference.remove_prefix(1);
    std::string name(reference.substr(0, reference.find('/')));
    reference.remove_prefix(name.size());
    for (std::size_t i = 0; (i = name.find('~', i)) != std::string::npos; ++i) {
      if (name.compare(i, 2, "~1") == 0) name.replace(i, 2, "/");
      if (name.compare(i, 2, "~0") == 0) name.replace(i, 2, "~");
    }
    return name;
  };
  // Only where schemas stand: what is beneath `default` or `enum` looks like one and is none.
  const Json* at = &root;
  while (!reference.empty()) {
    const auto keyword = next();
    if (!keyword || !at->is_object() || !at->contains(*keyword)) return nullptr;
    const auto known =
        std::find_if(std::begin(kKeywords), std::end(kKeywords), [&](const Keyword& k) { return k.name == *keyword; });
    if (known == std::end(kKeywords)) return nullptr;
    at = &(*at)[*keyword];
    if (known->takes == Takes::kSchema || known->takes == Takes::kSchemaOrTruth) continue;
    if (known->takes != Takes::kSchemas && known->takes != Takes::kNamedSchemas) return nullptr;
    const auto name = next();
    if (!name) return nullptr;
    if (at->is_array()) {
      const bool digits = !name->empty() && name->size() < 6 &&
                          std::all_of(name->begin(), name->end(), [](char c) { return c >= '0' && c <= '9'; });
      const std::size_t index = digits ? std::stoul(*name) : at->size();
      if (index >= at->size()) return nullptr;
      at = &(*at)[index];
    } else {
      const auto found = at->find(*name);
      if (found == at->end()) return nullptr;
      at = &*found;
    }
  }
  return at->is_object() || at->is_boolean() ? at : nullptr;
}

}  // namespace shape

struct Shape::Parts {
  Json source;
  Json schema;
  Type type;
  std::unique_ptr<shape::Rules> rules;
};

Shape::Shape() = default;

Shape Shape::read(const yaml::Node& node, Diagnostics& diagnostics) {
  Diagnostics faults("", diagnostics);
  auto parts = std::make_shared<Parts>();
  parts->source = node.to_json();
  parts->schema = shape::read_schema(node, faults);
  const bool refused = faults.has_errors();
  for (auto& fault : faults.take()) {
    diagnostics.error(fault.mark, std::move(fault.code), std::move(fault.message), std::move(fault.suggestion));
  }
  if (refused) return {};
  parts->type = shape::type_of_schema(parts->schema);
  parts->rules = std::make_unique<shape::Rules>(parts->schema);
  Shape result;
  result.parts_ = std::move(parts);
  return result;
}

bool Shape::is_any() const { return !parts_ || parts_->schema.empty(); }

const Type& Shape::type() const {
  static const Type kAny;
  return parts_ ? parts_->type : kAny;
}

const Json& Shape::schema() const {
  static const Json kAny = Json::object();
  return parts_ ? parts_->schema : kAny;
}

const Json& Shape::source() const {
  static const Json kAny = "any";
  return parts_ ? parts_->source : kAny;
}

Result<Json> Shape::validate(Json value, std::string_view what, Budget* budget) const {
  if (!parts_) return value;
  WEFT_RETURN_IF_ERROR(parts_->rules->check(value, what, budget));
  return value;
}

}  // namespace weft::workflows
