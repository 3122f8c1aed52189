// The inputs that a workflow declares, and those that a run brings.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "workflows/draft.h"
#include "workflows/input_text.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

bool is_schema(const yaml::Node& node) {
  return node.is_map() && (node.has("type") || node.has("enum") || node.has("anyOf") || node.has("$ref"));
}

Input read_input(Draft& draft, const yaml::Node::Member& member) {
  const yaml::Node& node = *member.value;
  Input input{
      .name = member.key, .description = {}, .shape = Shape::read(node, draft.diagnostics), .otherwise = nullptr};
  if (!is_schema(node)) return input;
  if (const yaml::Node* description = node.get("description")) {
    input.description = read_text(draft.diagnostics, *description, "description").value_or("");
  }
  if (const yaml::Node* otherwise = node.get("default")) {
    auto value = input.shape.validate(otherwise->to_json(), "default");
    if (value) {
      input.otherwise = std::make_shared<const Json>(std::move(*value));
    } else {
      draft.diagnostics.error(otherwise->mark, "type", value.error().message, {}, weft::to_text(otherwise->to_json()));
    }
  }
  return input;
}

}  // namespace

void read_inputs(Draft& draft, const yaml::Node& top) {
  draft.input_type = Type::object({});
  const yaml::Node* inputs = top.get("input");
  if (!inputs || inputs->is_null()) return;
  if (!inputs->is_map()) return expected(draft.diagnostics, *inputs, "input", "a map of names to shapes");
  if (inputs->members.size() > kInputsMax) {
    draft.diagnostics.error(inputs->mark, "limit", fmt::format("a workflow has at most {} inputs", kInputsMax));
    return;
  }
  for (const auto& member : inputs->members) {
    check_name(draft.diagnostics, member.key_mark, "an input", member.key);
    draft.workflow->inputs.push_back(read_input(draft, member));
  }
  std::vector<Type::Field> fields;
  for (const Input& input : draft.workflow->inputs)
    fields.push_back({input.name, input.shape.type(), input.description});
  draft.input_type = Type::object(std::move(fields));
}

Result<Json> check_inputs(const Workflow& workflow, const Json& inputs) {
  if (!inputs.is_object() && !inputs.is_null()) {
    return invalid_argument("inputs are an object of names and values, such as {\"name\": \"Ada\"}");
  }
  for (const auto& [name, value] : inputs.items()) WEFT_RETURN_IF_ERROR(find_input(workflow, name));
  Json checked = Json::object();
  for (const Input& input : workflow.inputs) {
    const bool given = inputs.is_object() && inputs.contains(input.name) &&
                       !(inputs[input.name].is_null() && (input.otherwise || input.shape.type().optional()));
    if (given) {
      WEFT_TRY(checked[input.name], input.shape.validate(inputs[input.name], "input." + input.name));
    } else if (input.otherwise) {
      checked[input.name] = *input.otherwise;
    } else if (input.shape.type().optional()) {
      checked[input.name] = nullptr;
    } else {
      return invalid_argument(fmt::format("the input \"{}\" is missing{}", input.name,
                                          input.description.empty() ? std::string() : ": " + input.description));
    }
  }
  return checked;
}

}  // namespace weft::workflows
