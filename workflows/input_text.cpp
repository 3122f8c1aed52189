#include "workflows/input_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workflows/diagnostic.h"

namespace weft::workflows {

Result<const Input*> find_input(const Workflow& workflow, const std::string& name) {
  const auto found = std::ranges::find(workflow.inputs, name, &Input::name);
  if (found != workflow.inputs.end()) return &*found;
  std::vector<std::string> names;
  for (const Input& input : workflow.inputs) names.push_back(input.name);
  const std::string near = nearest(name, names);
  return invalid_argument(fmt::format("workflow {} has no input \"{}\"{}", workflow.name, name,
                                      near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
}

Result<Json> read_input(const Input& input, const std::string& text) {
  const Type& type = input.shape.type();
  const auto as_json = [&]() -> Result<Json> {
    auto value = parse_untrusted(text);
    if (value) return value;
    return invalid_argument(
        fmt::format("input \"{}\": expected {}, got {}", input.name, type.to_text(), weft::to_text(Json(text))));
  };
  switch (type.kind()) {
    case Type::Kind::kString:
    case Type::Kind::kDuration:
    case Type::Kind::kTimestamp: return Json(text);
    case Type::Kind::kEnum: {
      // A word is the string that is listed; 3 or true are what JSON says.
      const bool listed = std::ranges::any_of(type.values(), [&](const Json& value) { return value == Json(text); });
      if (listed) return Json(text);
      auto value = parse_untrusted(text);
      return value ? value : Json(text);
    }
    case Type::Kind::kAny: {
      auto value = parse_untrusted(text);
      return value ? value : Json(text);
    }
    default: return as_json();
  }
}

}  // namespace weft::workflows
