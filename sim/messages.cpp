#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "sim/fields.h"
#include "sim/slices.h"

namespace weft::sim {

// Null where the member is absent or null.
const Json* find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Error undeserializable(std::string_view what) {
  return invalid_argument(fmt::format("Failed to deserialize the JSON body into the target type: {}", what));
}

Result<std::string> read_text(const Json& object, const char* key, std::string_view where) {
  const Json* value = find(object, key);
  if (value == nullptr) return undeserializable(fmt::format("{}: missing field `{}`", where, key));
  if (!value->is_string()) {
    return undeserializable(fmt::format("{}.{}: invalid type, expected a string", where, key));
  }
  return value->get<std::string>();
}

namespace {

// A string, or a list of text parts, which are joined.
Result<std::string> read_content(const Json& content, std::string_view where) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) return undeserializable(fmt::format("{}.content: expected a string", where));
  std::string text;
  for (const Json& part : content) {
    const Json* type = find(part, "type");
    if (type == nullptr || *type != "text") {
      return undeserializable(fmt::format("{}.content: unknown variant, expected `text`", where));
    }
    WEFT_TRY(std::string piece, read_text(part, "text", where));
    text += piece;
  }
  return text;
}

Result<std::vector<Call>> read_calls(const Json& calls, std::string_view where) {
  if (!calls.is_array() || calls.empty()) {
    return invalid_argument(
        fmt::format("Invalid '{}.tool_calls': empty array. Expected an array with minimum length 1.", where));
  }
  std::vector<Call> read;
  std::set<std::string> ids;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    std::string at = fmt::format("{}.tool_calls[{}]", where, i);
    WEFT_TRY(std::string id, read_text(calls[i], "id", at));
    WEFT_TRY(std::string type, read_text(calls[i], "type", at));
    if (type != "function") return undeserializable(fmt::format("{}.type: expected `function`", at));
    const Json* function = find(calls[i], "function");
    if (function == nullptr) return undeserializable(fmt::format("{}: missing field `function`", at));
    WEFT_TRY(std::string name, read_text(*function, "name", at + ".function"));
    WEFT_TRY(std::string arguments, read_text(*function, "arguments", at + ".function"));
    if (!ids.insert(id).second) return invalid_argument(fmt::format("Duplicate value for 'tool_call_id' of {}", id));
    if (auto parsed = parse_untrusted(arguments); !parsed) {
      return invalid_argument(
          fmt::format("Invalid '{}.function.arguments': not valid JSON: {}", at, parsed.error().message));
    }
    read.push_back({std::move(id), std::move(name), std::move(arguments)});
  }
  return read;
}

Result<Message> read_message(const Json& body, std::string_view raw, std::size_t index) {
  std::string where = fmt::format("messages[{}]", index);
  if (!body.is_object()) return undeserializable(fmt::format("{}: expected an object", where));
  Message message;
  WEFT_TRY(std::string role, read_text(body, "role", where));
  if (role == "system" || role == "developer")
    message.role = Role::kSystem;
  else if (role == "user")
    message.role = Role::kUser;
  else if (role == "assistant")
    message.role = Role::kAssistant;
  else if (role == "tool")
    message.role = Role::kTool;
  else
    return undeserializable(fmt::format(
        "{}.role: unknown variant `{}`, expected one of `system`, `user`, `assistant`, `tool`", where, role));
  if (message.role == Role::kSystem) message.raw = raw.empty() ? to_text(body) : std::string(raw);

  if (const Json* calls = find(body, "tool_calls"); calls != nullptr && message.role == Role::kAssistant) {
    WEFT_TRY(message.calls, read_calls(*calls, where));
  }
  if (const Json* content = find(body, "content")) {
    WEFT_TRY(message.text, read_content(*content, where));
  } else if (message.calls.empty()) {
    return undeserializable(fmt::format("{}: missing field `content`", where));
  }
  if (const Json* reasoning = find(body, "reasoning_content"); reasoning != nullptr) {
    if (message.role != Role::kAssistant || !reasoning->is_string()) {
      return undeserializable(fmt::format("{}.reasoning_content: expected a string of an assistant message", where));
    }
    message.reasoning = reasoning->get<std::string>();
    message.has_reasoning = true;
  }
  if (message.role == Role::kTool) {
    WEFT_TRY(message.call_id, read_text(body, "tool_call_id", where));
  }
  return message;
}

// Each call is answered, by the tool messages right behind it, and nothing else is.
Status check_pairs(const std::vector<Message>& messages) {
  std::set<std::string> open;
  for (const Message& message : messages) {
    if (message.role == Role::kTool) {
      if (open.erase(message.call_id) == 0) {
        return invalid_argument(
            "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'");
      }
      continue;
    }
    if (!open.empty()) break;
    for (const Call& call : message.calls) open.insert(call.id);
  }
  if (open.empty()) return {};
  return invalid_argument(
      "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
      "(insufficient tool messages following tool_calls message)");
}

}  // namespace

Status read_messages(const Json& body, std::string_view raw, Request& request) {
  const Json* messages = find(body, "messages");
  if (messages == nullptr) return undeserializable("missing field `messages`");
  if (!messages->is_array()) return undeserializable("messages: invalid type, expected a sequence");
  if (messages->empty()) return invalid_argument("Empty input messages");
  auto slices = element_bytes(member_bytes(raw, "messages"));
  for (std::size_t i = 0; i < messages->size(); ++i) {
    WEFT_TRY(Message message, read_message((*messages)[i], i < slices.size() ? slices[i] : std::string_view(), i));
    request.messages.push_back(std::move(message));
  }
  WEFT_RETURN_IF_ERROR(check_pairs(request.messages));
  Role last = request.messages.back().role;
  if (last == Role::kUser || last == Role::kTool) return {};
  return invalid_argument(
      "The last message must be a user message or a tool message, or an assistant message with prefix mode on");
}

}  // namespace weft::sim
