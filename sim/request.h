// One request of the ChatCompletions format, read and refused as the real provider refuses it.
//
// Source of the rules: https://api-docs.deepseek.com (chat completion, thinking mode, tool calls, error codes).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "sim/script.h"

namespace weft::sim {

inline constexpr std::size_t kToolsMax = 128;
inline constexpr std::size_t kStopsMax = 16;
inline constexpr std::uint64_t kOutputTokensMax = 393'216;

struct Call {
  std::string id;
  std::string tool;       // As on the wire: `fs__read`.
  std::string arguments;  // The text, as the model wrote it.
};

enum class Role : std::uint8_t { kSystem, kUser, kAssistant, kTool };

struct Message {
  Role role = Role::kUser;
  std::string text;
  std::string reasoning;       // kAssistant
  bool has_reasoning = false;  // The field was there, also where it is "".
  std::vector<Call> calls;     // kAssistant
  std::string call_id;         // kTool
  std::string raw;             // kSystem: the message's own bytes in the body.
};

enum class Thinking : std::uint8_t { kOff, kOn };

struct Request {
  std::string model;
  Thinking thinking = Thinking::kOn;  // The provider's default.
  std::string effort = "high";        // low, high or max
  std::vector<Message> messages;
  std::vector<std::string> tools;  // Names as on the wire, in the order of the request.
  std::string tools_raw;           // The bytes of `tools` in the body; empty where there are none.
  std::string tool_choice;         // auto, none, required, or a tool's name
  bool json_object = false;
  bool stream = false;
  bool include_usage = false;
  std::uint64_t max_tokens = kOutputTokensMax;
  std::string user_id;

  // The number of the model's turn that is asked for, from 1.
  std::uint64_t turn() const;
  std::string system() const;         // All system messages, joined by a line feed.
  const Message* first_user() const;  // Null where there is none.
  const Message* last_user() const;   // Null where there is none.
  // The call that a tool message answers; null where there is none.
  const Call* call_of(const Message& tool) const;
};

// `fs__read` is `fs.read`, as weft writes its tools on the wire.
std::string weft_tool_name(std::string_view wire);
std::string wire_tool_name(std::string_view weft);

// Errors: INVALID_ARGUMENT, with the sentence of the real provider where it is known; NOT_FOUND for an unknown model.
Result<Request> read_request(std::string_view body, const Settings& settings);

}  // namespace weft::sim
