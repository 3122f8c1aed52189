// What is constant over all calls of one agent, and what its server takes: values, in no provider's words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weft::model {

// A tool as an agent is told of it. `name` is weft's ("fs.read"); on the wire the dot is "__".
struct ToolDeclaration {
  std::string name;
  std::string description;
  std::string schema;  // JSON Schema of the arguments: canonical bytes.
};

enum class Thinking : std::uint8_t { kOff, kLow, kHigh, kMax };

struct AgentSpec {
  std::string model;                   // The name that goes on the wire.
  std::vector<std::string> system;     // Context first, then the agent's own; joined by a blank line.
  std::vector<ToolDeclaration> tools;  // Any order; a prefix has them by wire name.
  std::uint64_t max_output = 8192;     // Tokens.
  std::optional<double> temperature;
  Thinking thinking = Thinking::kOff;
  std::string cache_key;  // One per tenant (`user_id` where the provider knows it); may be empty.
};

// What a server understands beyond the common ground of its dialect; from the catalog.
struct Features {
  bool thinking_switch = false;   // Say `thinking: {type: …}` (DeepSeek's default is on).
  bool reasoning_replay = false;  // Send `reasoning_content` back on every assistant turn.
  bool user_id = false;           // Say `user_id`.
  std::string max_tokens_field = "max_tokens";
  bool operator==(const Features&) const = default;
};

// Maps "fs.read" to "fs__read". Errors: INVALID_ARGUMENT where no provider would take it, with the reason.
Result<std::string> wire_name(std::string_view tool);
// Both directions for the tools of one agent. Two tools with one wire name, "__" in a name, wire names over 64 bytes
// and more than 128 tools are errors.
Status check_tools(const std::vector<std::string>& tools);

}  // namespace weft::model
