#include "runtime/cli/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/cli/files.h"
#include "workflows/diagnostic.h"

namespace weft::cli {
namespace {

using workflows::Type;

constexpr std::size_t kInputBytesMax = std::size_t{16} << 20;

Result<Json> read_value(const std::string& name, const Type& type, const std::string& text) {
  const auto as_json = [&]() -> Result<Json> {
    auto value = parse_untrusted(text);
    if (value) return value;
    return invalid_argument(
        fmt::format("input \"{}\": expected {}, got {}", name, type.to_text(), to_text(Json(text))));
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

}  // namespace

Result<std::pair<std::string, std::string>> split_pair(const std::string& text, std::string_view what) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return invalid_argument(fmt::format("{} \"{}\" is not NAME=VALUE", what, text));
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

Result<Json> read_inputs(const workflows::Workflow& workflow, const std::vector<std::string>& given) {
  Json inputs = Json::object();
  for (const std::string& text : given) {
    WEFT_TRY(auto pair, split_pair(text, "--input"));
    auto& [name, value] = pair;
    const auto found =
        std::ranges::find_if(workflow.inputs, [&](const workflows::Input& input) { return input.name == name; });
    if (found == workflow.inputs.end()) {
      std::vector<std::string> names;
      for (const auto& input : workflow.inputs) names.push_back(input.name);
      const std::string near = workflows::nearest(name, names);
      return invalid_argument(fmt::format("workflow {} has no input \"{}\"{}", workflow.name, name,
                                          near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
    }
    if (inputs.contains(name)) return invalid_argument(fmt::format("input \"{}\" is given twice", name));
    if (value == "-" || value.starts_with('@')) {
      WEFT_TRY(value, read_file(value == "-" ? value : value.substr(1), kInputBytesMax));
    }
    WEFT_TRY(inputs[name], read_value(name, found->shape.type(), value));
  }
  return inputs;
}

}  // namespace weft::cli
