#include "runtime/cli/grammar/inputs.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/files.h"
#include "workflows/input_text.h"

namespace weft::cli {
namespace {

constexpr std::size_t kInputBytesMax = std::size_t{16} << 20;

// What `k=@file` and `k=-` stand for.
Result<std::string> text_of(const std::string& value) {
  if (value != "-" && !value.starts_with('@')) return value;
  return read_file(value == "-" ? value : value.substr(1), kInputBytesMax, Pipes::kTaken);
}

Error given_twice(const std::string& name) {
  return invalid_argument(fmt::format("input \"{}\" is given twice", name));
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
    WEFT_TRY(const auto pair, split_pair(text, "--input"));
    const auto& [name, value] = pair;
    WEFT_TRY(const workflows::Input* const input, workflows::find_input(workflow, name));
    if (inputs.contains(name)) return given_twice(name);
    WEFT_TRY(const std::string typed, text_of(value));
    WEFT_TRY(inputs[name], workflows::read_input(*input, typed));
  }
  return inputs;
}

Result<std::vector<std::pair<std::string, std::string>>> read_input_texts(const std::vector<std::string>& given) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (const std::string& text : given) {
    WEFT_TRY(auto pair, split_pair(text, "--input"));
    WEFT_TRY(pair.second, text_of(pair.second));
    if (!is_utf8(pair.second)) return invalid_argument(fmt::format("input \"{}\" is not UTF-8", pair.first));
    texts.push_back(std::move(pair));
  }
  return texts;
}

}  // namespace weft::cli
