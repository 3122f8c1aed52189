// From a schema to the rules by which values are checked.
#include "workflows/shape_rules.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft::workflows::shape {
namespace {

std::uint8_t type_bit(const std::string& name) {
  constexpr std::pair<std::string_view, int> kBits[] = {{"null", 1},    {"boolean", 2}, {"integer", 4}, {"number", 8},
                                                        {"string", 16}, {"array", 32},  {"object", 64}};
  for (const auto& [known, bit] : kBits) {
    if (name == known) return static_cast<std::uint8_t>(bit);
  }
  return 0;
}

template <class T>
std::optional<T> number_at(const Json& schema, const char* keyword) {
  const auto found = schema.find(keyword);
  if (found == schema.end()) return std::nullopt;
  return found->get<T>();
}

}  // namespace

const Rules::Rule* Rules::Set::compile(const Json& schema) {
  auto& slot = rules[&schema];
  if (slot) return slot.get();
  slot = std::make_unique<Rule>();
  // Later, and not from here: references can make a chain as long as the file.
  open.emplace_back(&schema, slot.get());
  return slot.get();
}

void Rules::Set::compile_open() {
  while (!open.empty()) {
    const auto [schema, rule] = open.back();
    open.pop_back();
    if (schema->is_boolean()) {
      rule->nothing = !schema->get<bool>();
    } else {
      compile_into(*schema, *rule);
    }
  }
}

std::vector<const Rules::Rule*> Rules::Set::compile_all(const Json& schema, const char* keyword) {
  std::vector<const Rule*> result;
  if (const auto parts = schema.find(keyword); parts != schema.end()) {
    for (const auto& part : *parts) result.push_back(compile(part));
  }
  return result;
}

void Rules::Set::compile_into(const Json& schema, Rule& rule) {
  if (const auto reference = schema.find("$ref"); reference != schema.end()) {
    if (const Json* target = resolve(*root, reference->get_ref<const std::string&>()))
      rule.reference = compile(*target);
    return;
  }
  if (const auto type = schema.find("type"); type != schema.end()) {
    if (type->is_string()) rule.types = type_bit(type->get_ref<const std::string&>());
    if (type->is_array()) {
      for (const auto& name : *type) rule.types |= type_bit(name.get_ref<const std::string&>());
    }
  }
  if (const auto values = schema.find("enum"); values != schema.end()) rule.values = &*values;
  if (const auto value = schema.find("const"); value != schema.end()) rule.constant = &*value;
  rule.length_min = number_at<std::uint64_t>(schema, "minLength");
  rule.length_max = number_at<std::uint64_t>(schema, "maxLength");
  rule.items_min = number_at<std::uint64_t>(schema, "minItems");
  rule.items_max = number_at<std::uint64_t>(schema, "maxItems");
  rule.members_min = number_at<std::uint64_t>(schema, "minProperties");
  rule.members_max = number_at<std::uint64_t>(schema, "maxProperties");
  rule.minimum = number_at<double>(schema, "minimum");
  rule.maximum = number_at<double>(schema, "maximum");
  rule.above = number_at<double>(schema, "exclusiveMinimum");
  rule.below = number_at<double>(schema, "exclusiveMaximum");
  rule.multiple = number_at<double>(schema, "multipleOf");
  rule.unique = number_at<bool>(schema, "uniqueItems").value_or(false);
  if (const auto pattern = schema.find("pattern"); pattern != schema.end()) {
    if (auto compiled = Pattern::compile(pattern->get_ref<const std::string&>())) rule.pattern = *std::move(compiled);
  }
  if (const auto items = schema.find("items"); items != schema.end()) rule.items = compile(*items);
  if (const auto excluded = schema.find("not"); excluded != schema.end()) rule.excluded = compile(*excluded);
  rule.any_of = compile_all(schema, "anyOf");
  rule.one_of = compile_all(schema, "oneOf");
  rule.all_of = compile_all(schema, "allOf");
  compile_object(schema, rule);
}

void Rules::Set::compile_object(const Json& schema, Rule& rule) {
  if (const auto properties = schema.find("properties"); properties != schema.end()) {
    for (const auto& [name, property] : properties->items())
      rule.properties.push_back({name, compile(property), false});
  }
  if (const auto required = schema.find("required"); required != schema.end()) {
    for (const auto& name : *required) {
      const auto property = std::find_if(rule.properties.begin(), rule.properties.end(), [&](const Rule::Property& p) {
        return p.name == name.get_ref<const std::string&>();
      });
      if (property != rule.properties.end()) {
        property->required = true;
      } else {
        rule.names.push_back(name.get<std::string>());
      }
    }
  }
  if (const auto additional = schema.find("additionalProperties"); additional != schema.end()) {
    rule.closed = *additional == Json(false);
    if (additional->is_object()) rule.additional = compile(*additional);
  }
}

Rules::Rules(const Json& schema) : set_(std::make_unique<Set>()) {
  set_->root = &schema;
  set_->first = set_->compile(schema);
  set_->compile_open();
}

Rules::~Rules() = default;

}  // namespace weft::workflows::shape
