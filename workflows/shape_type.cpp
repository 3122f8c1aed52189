// The type that expressions see of a schema.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "workflows/shape_schema.h"

namespace weft::workflows::shape {
namespace {

using Kind = Type::Kind;

// A type and how many types it is made of: shared parts count each time, since who walks it meets them each time.
struct Sized {
  Type type;
  std::size_t nodes = 1;
};

class Deriver {
 public:
  explicit Deriver(const Json& root) : root_(root) {}

  Sized run(const Json& schema) {
    if (!schema.is_object()) return {};
    const auto [known, is_new] = done_.try_emplace(&schema);
    if (!is_new) return known->second;  // Of a schema within itself: any.
    // References make a schema deeper than it is written; what is deeper than a check goes is any, as recursion is.
    if (depth_ >= kCheckDepthMax) return {};
    ++depth_;
    Sized result = derive(schema);
    --depth_;
    if (result.nodes > kTypeNodesMax) result = {};
    done_[&schema] = result;
    return result;
  }

 private:
  Sized derive(const Json& schema) {
    if (const auto reference = schema.find("$ref"); reference != schema.end()) {
      const Json* target = resolve(root_, reference->get_ref<const std::string&>());
      return target ? run(*target) : Sized{};
    }
    if (const auto values = schema.find("enum"); values != schema.end()) {
      const auto is_scalar = [](const Json& value) { return !value.is_structured(); };
      if (!std::all_of(values->begin(), values->end(), is_scalar)) return {};
      return {Type::enumeration(values->get<std::vector<Json>>()), values->size()};
    }
    if (const auto value = schema.find("const"); value != schema.end()) {
      return value->is_structured() ? Sized{} : Sized{Type::enumeration({*value}), 1};
    }
    for (const char* keyword : {"anyOf", "oneOf"}) {
      if (const auto parts = schema.find(keyword); parts != schema.end()) return joined(*parts);
    }
    if (const auto parts = schema.find("allOf"); parts != schema.end()) return merged(schema, *parts);
    return typed(schema);
  }

  Sized joined(const Json& parts) {
    Sized result = run(parts[0]);
    for (std::size_t i = 1; i < parts.size() && result.nodes <= kTypeNodesMax; ++i) {
      const Sized part = run(parts[i]);
      result = {Type::join(result.type, part.type), result.nodes + part.nodes};
    }
    return result;
  }

  // Of objects all fields; else the first that says something.
  Sized merged(const Json& schema, const Json& parts) {
    Sized result = typed(schema);
    for (const auto& part : parts) {
      if (result.nodes > kTypeNodesMax) break;
      const Sized next = run(part);
      if (result.type.kind() == Kind::kObject && next.type.kind() == Kind::kObject) {
        std::vector<Type::Field> fields = result.type.fields();
        for (const auto& field : next.type.fields()) {
          if (!result.type.field(field.name)) fields.push_back(field);
        }
        result = {Type::object(std::move(fields)), result.nodes + next.nodes};
      } else if (result.type.kind() == Kind::kAny || result.type.kind() == Kind::kMap) {
        result = next;
      }
    }
    return result;
  }

  Sized typed(const Json& schema) {
    const auto type = schema.find("type");
    if (type == schema.end()) return schema.contains("properties") ? object(schema) : Sized{};
    if (type->is_string()) return named(type->get_ref<const std::string&>(), schema);
    Sized result = named((*type)[0].get_ref<const std::string&>(), schema);
    for (std::size_t i = 1; i < type->size(); ++i) {
      const Sized next = named((*type)[i].get_ref<const std::string&>(), schema);
      result = {Type::join(result.type, next.type), result.nodes + next.nodes};
    }
    return result;
  }

  Sized named(const std::string& name, const Json& schema) {
    if (name == "object") return object(schema);
    if (name == "array") {
      const auto items = schema.find("items");
      const Sized element = items == schema.end() ? Sized{} : run(*items);
      return {Type::list(element.type), element.nodes + 1};
    }
    if (name == "string") return {Type::of(Kind::kString), 1};
    if (name == "integer") return {Type::of(Kind::kInteger), 1};
    if (name == "number") return {Type::of(Kind::kNumber), 1};
    if (name == "boolean") return {Type::of(Kind::kBoolean), 1};
    return {Type::of(Kind::kNull), 1};
  }

  Sized object(const Json& schema) {
    const auto properties = schema.find("properties");
    if (properties == schema.end()) {
      const auto additional = schema.find("additionalProperties");
      if (additional != schema.end() && *additional == Json(false)) return {Type::object({}), 1};
      const Sized element = additional == schema.end() ? Sized{} : run(*additional);
      return {Type::map(element.type), element.nodes + 1};
    }
    const auto required = schema.find("required");
    std::vector<Type::Field> fields;
    std::size_t nodes = 1;
    for (const auto& [name, property] : properties->items()) {
      const Sized field = run(property);
      const bool is_required =
          required != schema.end() && std::find(required->begin(), required->end(), Json(name)) != required->end();
      std::string description;
      if (property.is_object() && property.contains("description"))
        description = property["description"].get<std::string>();
      fields.push_back({name, is_required ? field.type : field.type.as_optional(), std::move(description)});
      nodes += field.nodes;
    }
    return {Type::object(std::move(fields)), nodes};
  }

  const Json& root_;
  std::map<const Json*, Sized> done_;  // By identity; never iterated.
  std::size_t depth_ = 0;
};

}  // namespace

Type type_of_schema(const Json& schema) { return Deriver(schema).run(schema).type; }

}  // namespace weft::workflows::shape
