// The bytes with which every call of one agent begins, and the conversation that is appended to them.
//
// A request body is  prefix bytes + appended messages + tail.  Nothing of it is ever serialised twice.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"
#include "base/result.h"
#include "runtime/model/message.h"

namespace weft::model {

// A tool as an agent is told of it. `name` is weft's ("fs.read"); on the wire the dot is "__".
struct ToolFace {
  std::string name;
  std::string description;
  std::string schema;  // JSON Schema of the arguments: canonical bytes.
};

enum class Thinking : std::uint8_t { kOff, kLow, kHigh, kMax };

// What is constant over all calls of one agent.
struct AgentFace {
  std::string model;                // The name that goes on the wire.
  std::vector<std::string> system;  // Context first, then the agent's own; joined by a blank line.
  std::vector<ToolFace> tools;      // Any order; the prefix sorts them by wire name.
  std::uint64_t max_output = 8192;  // Tokens.
  std::optional<double> temperature;
  Thinking thinking = Thinking::kOff;
  std::string cache_key;  // One per tenant (`user_id` where the provider knows it); may be empty.
};

// What a server understands beyond the common ground; from the catalog.
struct Features {
  bool thinking_switch = false;   // Say `thinking: {type: …}` (DeepSeek's default is on).
  bool reasoning_replay = false;  // Send `reasoning_content` back on every assistant turn.
  bool user_id = false;           // Say `user_id`.
  std::string max_tokens_field = "max_tokens";
};

// Maps "fs.read" to "fs__read". Errors: INVALID_ARGUMENT where no provider would take it, with the reason.
Result<std::string> wire_name(std::string_view tool);
// Both directions for the tools of one agent. Two tools with one wire name, "__" in a name, wire names over 64 bytes
// and more than 128 tools are errors.
Status check_tools(const std::vector<std::string>& tools);

// One changed byte loses the provider's cache, so a Prefix is built once per agent version, tools in the order of their
// wire names, and holds nothing that varies between calls.
// Immutable.
class Prefix {
 public:
  static Result<Prefix> build(const AgentFace& agent, const Features& features);
  const std::shared_ptr<const std::string>& bytes() const { return bytes_; }
  const Digest& digest() const { return digest_; }  // Of exactly these bytes.
  // weft's name of the tool that a model called by its exact wire name; nothing for any other.
  std::optional<std::string> tool_named(std::string_view wire) const;
  const Features& features() const { return features_; }
  Thinking thinking() const { return thinking_; }
  const Sha256& hash() const { return hash_; }  // After these bytes, for a conversation to go on from.

 private:
  std::shared_ptr<const std::string> bytes_;
  Digest digest_{};
  Sha256 hash_;
  Features features_;
  Thinking thinking_ = Thinking::kOff;
  std::vector<std::pair<std::string, std::string>> wire_to_tool_;
};

// The messages that follow a prefix; append-only, so that request k+1 begins with the bytes of request k.
class Conversation {
 public:
  explicit Conversation(std::shared_ptr<const Prefix> prefix);

  void add_user(std::string_view text);
  void add_turn(const Turn& turn);  // Arguments and reasoning byte for byte.
  void add_tool_result(std::string_view call_id, std::string_view content);

  // Prefix, messages, tail: the pieces of a body. Valid as long as they are held; later appends do not change them.
  std::vector<std::shared_ptr<const std::string>> body() const;
  // SHA-256 over body(), computed incrementally.
  Digest digest() const;
  std::uint64_t size() const;  // Bytes of body().
  const Prefix& prefix() const { return *prefix_; }

 private:
  void append(std::string bytes);
  std::shared_ptr<const Prefix> prefix_;
  std::vector<std::shared_ptr<const std::string>> pieces_;
  std::uint64_t bytes_ = 0;  // Without the tail.
  Sha256 hash_;              // Over them.
};

}  // namespace weft::model
