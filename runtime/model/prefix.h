// The bytes with which every call of one agent begins, and the conversation that is appended to them.
//
// A request body is  prefix bytes + appended messages + tail.  Nothing of it is ever serialised twice. How each part is
// written, the dialect says.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/model/agent_spec.h"
#include "runtime/model/dialect.h"
#include "runtime/model/message.h"

namespace weft::model {

// One changed byte loses the provider's cache, so a Prefix is built once per agent version, tools in the order of their
// wire names, and holds nothing that varies between calls.
// Immutable.
class Prefix {
 public:
  // INVALID_ARGUMENT where check_tools() or the dialect refuses it.
  static Result<Prefix> build(AgentSpec agent, const WireFormat& format);
  const std::shared_ptr<const std::string>& bytes() const { return bytes_; }
  const Digest& digest() const { return digest_; }  // Of exactly these bytes.
  // weft's name of the tool that a model called by its exact wire name; nothing for any other.
  std::optional<std::string> tool_named(std::string_view wire) const;
  const Dialect& dialect() const { return *format_.dialect; }
  const Features& features() const { return format_.features; }
  Thinking thinking() const { return thinking_; }
  const Sha256& hash() const { return hash_; }  // After these bytes, for a conversation to go on from.

 private:
  std::shared_ptr<const std::string> bytes_;
  Digest digest_{};
  Sha256 hash_;
  WireFormat format_;
  Thinking thinking_ = Thinking::kOff;
  std::vector<std::pair<std::string, std::string>> wire_to_tool_;
};

// Whether what follows them is written in the same way, byte for byte, and they are the same bytes.
bool is_same(const Prefix& one, const Prefix& other);

// The messages that follow a prefix; append-only, so that request k+1 begins with the bytes of request k.
class Conversation {
 public:
  explicit Conversation(std::shared_ptr<const Prefix> prefix);

  void add_user(std::string_view text);
  void add_turn(const Turn& turn);                             // Arguments and reasoning byte for byte.
  void add_tool_results(std::span<const ToolResult> results);  // All of one turn, in the order of its calls.

  // Prefix, messages, tail: the pieces of a body. Valid as long as they are held; later appends do not change them.
  std::vector<std::shared_ptr<const std::string>> body() const;
  // SHA-256 over body(), computed incrementally.
  Digest digest() const;
  std::uint64_t size() const;  // Bytes of body().
  const Prefix& prefix() const { return *prefix_; }

 private:
  Dialect::Place place() const { return pieces_.empty() ? Dialect::Place::kFirst : Dialect::Place::kLater; }
  void append(std::string bytes);
  std::shared_ptr<const Prefix> prefix_;
  std::vector<std::shared_ptr<const std::string>> pieces_;
  std::uint64_t bytes_ = 0;  // Without the tail.
  Sha256 hash_;              // Over them.
};

}  // namespace weft::model
