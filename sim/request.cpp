#include "sim/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "sim/fields.h"
#include "sim/slices.h"

namespace weft::sim {
namespace {

constexpr std::array<std::string_view, 18> kFields = {"model",
                                                      "messages",
                                                      "thinking",
                                                      "reasoning_effort",
                                                      "max_tokens",
                                                      "response_format",
                                                      "stop",
                                                      "stream",
                                                      "stream_options",
                                                      "temperature",
                                                      "top_p",
                                                      "tools",
                                                      "tool_choice",
                                                      "logprobs",
                                                      "top_logprobs",
                                                      "presence_penalty",
                                                      "frequency_penalty",
                                                      "user_id"};
constexpr std::array<std::string_view, 3> kModels = {"deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"};
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kUserIdBytesMax = 512;

bool contains(const auto& names, std::string_view name) {
  return std::ranges::find(names, name) != std::ranges::end(names);
}

bool is_name(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

Status check_number(const Json& body, const char* key, double min, double max) {
  const Json* value = find(body, key);
  if (value == nullptr) return {};
  if (!value->is_number()) return undeserializable(fmt::format("{}: invalid type, expected a number", key));
  double number = value->get<double>();
  if (number >= min && number <= max) return {};
  return invalid_argument(fmt::format("Invalid {} value, the valid range of {} is [{}, {}]", key, key, min, max));
}

Result<bool> read_flag(const Json& object, const char* key) {
  const Json* value = find(object, key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) return undeserializable(fmt::format("{}: invalid type, expected a boolean", key));
  return value->get<bool>();
}

Status read_tools(const Json& body, std::string_view raw, Request& request) {
  const Json* tools = find(body, "tools");
  if (tools == nullptr) return {};
  if (!tools->is_array()) return undeserializable("tools: invalid type, expected a sequence");
  if (tools->size() > kToolsMax) {
    return invalid_argument(fmt::format(
        "Invalid 'tools': array too long. Expected an array with maximum length {}, but got an array with length {} "
        "instead.",
        kToolsMax, tools->size()));
  }
  for (std::size_t i = 0; i < tools->size(); ++i) {
    std::string where = fmt::format("tools[{}]", i);
    const Json& tool = (*tools)[i];
    WEFT_TRY(std::string type, read_text(tool, "type", where));
    if (type != "function") return undeserializable(fmt::format("{}.type: expected `function`", where));
    const Json* function = find(tool, "function");
    if (function == nullptr) return undeserializable(fmt::format("{}: missing field `function`", where));
    WEFT_TRY(std::string name, read_text(*function, "name", where + ".function"));
    if (!is_name(name, kNameBytesMax)) {
      return invalid_argument(fmt::format(
          "Invalid '{}.function.name': string does not match pattern. Expected a string that matches the pattern "
          "'^[a-zA-Z0-9_-]{{1,64}}$'.",
          where));
    }
    if (const Json* parameters = find(*function, "parameters"); parameters != nullptr && !parameters->is_object()) {
      return invalid_argument(fmt::format("Invalid '{}.function.parameters': expected a JSON Schema object", where));
    }
    if (contains(request.tools, name)) return invalid_argument("Tool names must be unique.");
    request.tools.push_back(std::move(name));
  }
  if (request.tools.empty()) return {};
  std::string_view slice = member_bytes(raw, "tools");
  request.tools_raw = slice.empty() ? to_text(*tools) : std::string(slice);
  return {};
}

Status read_tool_choice(const Json& body, Request& request) {
  request.tool_choice = request.tools.empty() ? "none" : "auto";
  const Json* choice = find(body, "tool_choice");
  if (choice == nullptr) return {};
  if (choice->is_string()) {
    request.tool_choice = choice->get<std::string>();
    if (request.tool_choice != "none" && request.tool_choice != "auto" && request.tool_choice != "required") {
      return invalid_argument(fmt::format("Invalid tool_choice: {}", request.tool_choice));
    }
  } else {
    const Json* function = find(*choice, "function");
    if (function == nullptr) return invalid_argument("Invalid tool_choice: expected a string or a function");
    WEFT_TRY(request.tool_choice, read_text(*function, "name", "tool_choice.function"));
    if (!contains(request.tools, request.tool_choice)) {
      return invalid_argument(fmt::format("Tool choice '{}' is not among 'tools'", request.tool_choice));
    }
  }
  bool forced = request.tool_choice != "none" && request.tool_choice != "auto";
  if (forced && request.tools.empty()) return invalid_argument("tool_choice needs tools");
  if (forced && request.thinking == Thinking::kOn) {
    return invalid_argument("Thinking mode does not support this tool_choice");
  }
  return {};
}

Status read_thinking(const Json& body, Request& request) {
  if (const Json* thinking = find(body, "thinking")) {
    WEFT_TRY(std::string type, read_text(*thinking, "type", "thinking"));
    if (type != "enabled" && type != "disabled") {
      return undeserializable(fmt::format("thinking.type: unknown variant `{}`", type));
    }
    request.thinking = type == "enabled" ? Thinking::kOn : Thinking::kOff;
  }
  const Json* effort = find(body, "reasoning_effort");
  if (effort == nullptr) return {};
  const std::array<std::pair<std::string_view, std::string_view>, 7> native = {{{"minimal", "low"},
                                                                                {"low", "low"},
                                                                                {"medium", "high"},
                                                                                {"high", "high"},
                                                                                {"xhigh", "high"},
                                                                                {"max", "max"},
                                                                                {"ultra", "max"}}};
  for (auto [name, means] : native) {
    if (*effort == name) {
      request.effort = means;
      return {};
    }
  }
  return undeserializable("reasoning_effort: unknown variant");
}

Status read_format(const Json& body, Request& request) {
  const Json* format = find(body, "response_format");
  if (format == nullptr) return {};
  WEFT_TRY(std::string type, read_text(*format, "type", "response_format"));
  if (type != "text" && type != "json_object") return invalid_argument("This response_format type is unavailable now");
  request.json_object = type == "json_object";
  if (!request.json_object) return {};
  bool said = std::ranges::any_of(request.messages, [](const Message& message) {
    return message.text.contains("json") || message.text.contains("JSON");
  });
  if (said) return {};
  return invalid_argument(
      "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'.");
}

Status read_limits(const Json& body, Request& request) {
  if (const Json* max_tokens = find(body, "max_tokens")) {
    if (!max_tokens->is_number_integer()) return undeserializable("max_tokens: invalid type, expected an integer");
    WEFT_RETURN_IF_ERROR(check_number(body, "max_tokens", 1, static_cast<double>(kOutputTokensMax)));
    request.max_tokens = max_tokens->get<std::uint64_t>();
  }
  WEFT_RETURN_IF_ERROR(check_number(body, "temperature", 0, 2));
  WEFT_RETURN_IF_ERROR(check_number(body, "top_p", 0, 1));
  WEFT_RETURN_IF_ERROR(check_number(body, "presence_penalty", -2, 2));
  WEFT_RETURN_IF_ERROR(check_number(body, "frequency_penalty", -2, 2));
  WEFT_RETURN_IF_ERROR(check_number(body, "top_logprobs", 0, 20));
  if (const Json* stop = find(body, "stop"); stop != nullptr && !stop->is_string()) {
    if (!stop->is_array() || stop->size() > kStopsMax) {
      return invalid_argument(fmt::format("Invalid 'stop': expected a string or at most {} strings", kStopsMax));
    }
  }
  const Json* user_id = find(body, "user_id");
  if (user_id == nullptr) return {};
  if (!user_id->is_string() || !is_name(user_id->get<std::string>(), kUserIdBytesMax)) {
    return invalid_argument("Invalid 'user_id': expected a string that matches '^[a-zA-Z0-9_-]{1,512}$'");
  }
  request.user_id = user_id->get<std::string>();
  return {};
}

Status check_model(const Request& request, const Settings& settings) {
  if (settings.any_model || contains(kModels, request.model) || contains(settings.models, request.model)) {
    return {};
  }
  return invalid_argument("Model Not Exist");
}

// In thinking mode with tools, every turn of the model comes back with its reasoning, also where that is "".
Status check_reasoning(const Request& request) {
  if (request.thinking == Thinking::kOff || request.tools.empty()) return {};
  for (const Message& message : request.messages) {
    if (message.role == Role::kAssistant && !message.has_reasoning) {
      return invalid_argument("The `reasoning_content` in the thinking mode must be passed back to the API.");
    }
  }
  return {};
}

}  // namespace

std::uint64_t Request::turn() const {
  return 1 + static_cast<std::uint64_t>(
                 std::ranges::count_if(messages, [](const Message& m) { return m.role == Role::kAssistant; }));
}

std::string Request::system() const {
  std::string text;
  for (const Message& message : messages) {
    if (message.role != Role::kSystem) continue;
    if (!text.empty()) text += '\n';
    text += message.text;
  }
  return text;
}

const Message* Request::first_user() const {
  auto found = std::ranges::find(messages, Role::kUser, &Message::role);
  return found == messages.end() ? nullptr : &*found;
}

const Message* Request::last_user() const {
  auto found = std::find_if(messages.rbegin(), messages.rend(), [](const Message& m) { return m.role == Role::kUser; });
  return found == messages.rend() ? nullptr : &*found;
}

const Call* Request::call_of(const Message& tool) const {
  // From the end, since a model may give one id again in a later turn.
  std::size_t at = static_cast<std::size_t>(&tool - messages.data());
  while (at-- > 0) {
    auto found = std::ranges::find(messages[at].calls, tool.call_id, &Call::id);
    if (found != messages[at].calls.end()) return &*found;
  }
  return nullptr;
}

std::string weft_tool_name(std::string_view wire) {
  std::size_t dot = wire.find("__");
  if (dot == std::string_view::npos) return std::string(wire);
  return fmt::format("{}.{}", wire.substr(0, dot), wire.substr(dot + 2));
}

std::string wire_tool_name(std::string_view weft) {
  std::size_t dot = weft.find('.');
  if (dot == std::string_view::npos) return std::string(weft);
  return fmt::format("{}__{}", weft.substr(0, dot), weft.substr(dot + 1));
}

Result<Request> read_request(std::string_view body, const Settings& settings) {
  WEFT_TRY(const Json json, parse_untrusted(body, {.bytes_max = body.size()}));
  if (!json.is_object()) return undeserializable("invalid type, expected a map");
  for (const auto& [key, value] : json.items()) {
    if (!contains(kFields, std::string_view(key))) {
      return undeserializable(fmt::format("unknown field `{}`", key));
    }
  }
  Request request;
  if (find(json, "model") == nullptr) return undeserializable("missing field `model`");
  WEFT_TRY(request.model, read_text(json, "model", "body"));
  WEFT_RETURN_IF_ERROR(check_model(request, settings));
  WEFT_RETURN_IF_ERROR(read_thinking(json, request));
  WEFT_RETURN_IF_ERROR(read_messages(json, body, request));
  WEFT_RETURN_IF_ERROR(read_tools(json, body, request));
  WEFT_RETURN_IF_ERROR(read_tool_choice(json, request));
  WEFT_RETURN_IF_ERROR(read_format(json, request));
  WEFT_RETURN_IF_ERROR(read_limits(json, request));
  WEFT_RETURN_IF_ERROR(check_reasoning(request));
  WEFT_TRY(request.stream, read_flag(json, "stream"));
  if (const Json* options = find(json, "stream_options")) {
    if (!request.stream) return invalid_argument("stream_options should be set along with stream = true");
    WEFT_TRY(request.include_usage, read_flag(*options, "include_usage"));
  }
  return request;
}

}  // namespace weft::sim
