#include "runtime/model/prefix.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace weft::model {
namespace {

constexpr std::size_t kWireNameBytesMax = 64;
constexpr std::size_t kToolsMax = 128;
constexpr std::size_t kCacheKeyBytesMax = 512;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// JSON text of a string. What is not UTF-8 becomes U+FFFD, byte by byte: a tool may return anything.
std::string quote(std::string_view text) {
  if (is_utf8(text)) return to_text(Json(text));
  std::string mended;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = 1;
    while (length <= 4 && at + length <= text.size() && !is_utf8(text.substr(at, length))) ++length;
    if (length > 4 || at + length > text.size()) {
      mended += "\xEF\xBF\xBD";
      ++at;
    } else {
      mended += text.substr(at, length);
      at += length;
    }
  }
  return to_text(Json(mended));
}

std::string_view effort(Thinking thinking) {
  switch (thinking) {
    case Thinking::kLow: return "low";
    case Thinking::kHigh: return "high";
    case Thinking::kMax: return "max";
    case Thinking::kOff: break;
  }
  return "";
}

Status check_text(std::string_view text, std::string_view what) {
  if (is_utf8(text)) return {};
  return invalid_argument(fmt::format("{} is not valid UTF-8", what));
}

const std::shared_ptr<const std::string>& tail() {
  static const auto kTail = std::make_shared<const std::string>("]}");
  return kTail;
}

}  // namespace

Result<std::string> wire_name(std::string_view tool) {
  const auto refuse = [&](std::string_view reason) {
    return invalid_argument(fmt::format("a tool cannot be named \"{}\": {}", printable(tool), reason));
  };
  if (tool.empty() || !is_lower(tool.front())) return refuse("a name begins with a letter from a to z");
  if (tool.back() == '.') return refuse("a name does not end with a dot");
  std::string wire;
  int dots = 0;
  for (const char c : tool) {
    if (c == '.') {
      ++dots;
      wire += "__";
    } else if (is_lower(c) || is_digit(c) || c == '_') {
      wire += c;
    } else {
      return refuse("it may hold only a to z, 0 to 9, _ and one dot");
    }
  }
  if (dots > 1) return refuse("it may hold only one dot");
  if (tool.contains("__")) return refuse("\"__\" stands for the dot on the wire");
  if (wire.size() > kWireNameBytesMax) {
    return refuse(fmt::format("providers take at most {} bytes, of which the dot takes two", kWireNameBytesMax));
  }
  return wire;
}

Status check_tools(const std::vector<std::string>& tools) {
  if (tools.size() > kToolsMax) {
    return invalid_argument(fmt::format("an agent has {} tools; providers take at most {}", tools.size(), kToolsMax));
  }
  std::map<std::string, std::string> seen;
  for (const std::string& tool : tools) {
    WEFT_TRY(const std::string wire, wire_name(tool));
    const auto [other, added] = seen.emplace(wire, tool);
    if (added) continue;
    if (other->second == tool) return invalid_argument(fmt::format("the tool \"{}\" is given twice", tool));
    return invalid_argument(
        fmt::format("the tools \"{}\" and \"{}\" have the same name on the wire, \"{}\"", other->second, tool, wire));
  }
  return {};
}

Result<Prefix> Prefix::build(const AgentFace& agent, const Features& features) {
  std::vector<std::string> names;
  for (const ToolFace& tool : agent.tools) names.push_back(tool.name);
  WEFT_RETURN_IF_ERROR(check_tools(names));
  WEFT_RETURN_IF_ERROR(check_text(agent.model, "the name of the model"));
  if (agent.thinking != Thinking::kOff && !features.thinking_switch) {
    return invalid_argument(fmt::format("the provider of \"{}\" has no switch for thinking", printable(agent.model)));
  }

  std::string out = "{\"model\":" + quote(agent.model);
  if (features.thinking_switch) {
    if (agent.thinking == Thinking::kOff) {
      out += ",\"thinking\":{\"type\":\"disabled\"}";
    } else {
      out += fmt::format(",\"thinking\":{{\"type\":\"enabled\"}},\"reasoning_effort\":\"{}\"", effort(agent.thinking));
    }
  }
  if (features.user_id && !agent.cache_key.empty()) {
    const bool fits = agent.cache_key.size() <= kCacheKeyBytesMax &&
                      std::all_of(agent.cache_key.begin(), agent.cache_key.end(), [](char c) {
                        return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
                      });
    if (!fits) {
      return invalid_argument(fmt::format("the cache key \"{}\" is not 1 to {} of the characters A-Z a-z 0-9 _ -",
                                          printable(agent.cache_key), kCacheKeyBytesMax));
    }
    out += ",\"user_id\":" + quote(agent.cache_key);
  }
  out += ",\"stream\":true,\"stream_options\":{\"include_usage\":true}";
  out += fmt::format(",{}:{}", quote(features.max_tokens_field), agent.max_output);
  if (agent.temperature) out += ",\"temperature\":" + to_text(Json(*agent.temperature));

  Prefix prefix;
  std::map<std::string, const ToolFace*> by_wire;
  for (const ToolFace& tool : agent.tools) {
    WEFT_TRY(const std::string wire, wire_name(tool.name));
    by_wire.emplace(wire, &tool);
  }
  if (!by_wire.empty()) {
    out += ",\"tools\":[";
    for (const auto& [wire, tool] : by_wire) {
      WEFT_RETURN_IF_ERROR(
          check_text(tool->description, fmt::format("the description of the tool \"{}\"", tool->name)));
      const Result<Json> schema = parse_untrusted(tool->schema);
      if (!schema || !schema->is_object()) {
        return invalid_argument(fmt::format("the schema of the tool \"{}\" is not a JSON object", tool->name));
      }
      if (!prefix.wire_to_tool_.empty()) out += ',';
      out += "{\"type\":\"function\",\"function\":{\"name\":" + quote(wire) +
             ",\"description\":" + quote(tool->description) + ",\"parameters\":" + tool->schema + "}}";
      prefix.wire_to_tool_.emplace_back(wire, tool->name);
    }
    out += ']';
  }

  out += ",\"messages\":[";
  std::string system;
  for (const std::string& part : agent.system) {
    WEFT_RETURN_IF_ERROR(check_text(part, "the system text"));
    if (part.empty()) continue;
    if (!system.empty()) system += "\n\n";
    system += part;
  }
  if (!system.empty()) out += "{\"role\":\"system\",\"content\":" + quote(system) + '}';

  prefix.hash_.update(out);
  prefix.digest_ = Sha256(prefix.hash_).finish();
  prefix.bytes_ = std::make_shared<const std::string>(std::move(out));
  prefix.features_ = features;
  prefix.thinking_ = agent.thinking;
  return prefix;
}

std::optional<std::string> Prefix::tool_named(std::string_view wire) const {
  for (const auto& [name, tool] : wire_to_tool_) {
    if (name == wire) return tool;
  }
  return {};
}

Conversation::Conversation(std::shared_ptr<const Prefix> prefix)
    : prefix_(std::move(prefix)), bytes_(prefix_->bytes()->size()), hash_(prefix_->hash()) {}

void Conversation::add_user(std::string_view text) { append("{\"role\":\"user\",\"content\":" + quote(text) + '}'); }

void Conversation::add_turn(const Turn& turn) {
  std::string out = "{\"role\":\"assistant\",\"content\":" + quote(turn.text);
  // A server that thinks refuses a history in which an assistant's turn lacks the field, also where it was empty, or
  // where another model made the turn.
  const bool needed = turn.reasoning.has_value() || prefix_->thinking() != Thinking::kOff;
  if (prefix_->features().reasoning_replay && needed) {
    out += ",\"reasoning_content\":" + quote(turn.reasoning.value_or(""));
  }
  if (!turn.tool_calls.empty()) {
    out += ",\"tool_calls\":[";
    for (const ToolCall& call : turn.tool_calls) {
      if (&call != turn.tool_calls.data()) out += ',';
      out += "{\"id\":" + quote(call.id) + ",\"type\":\"function\",\"function\":{\"name\":" + quote(call.name) +
             ",\"arguments\":" + quote(call.arguments) + "}}";
    }
    out += ']';
  }
  append(out + '}');
}

void Conversation::add_tool_result(std::string_view call_id, std::string_view content) {
  append("{\"role\":\"tool\",\"tool_call_id\":" + quote(call_id) + ",\"content\":" + quote(content) + '}');
}

void Conversation::append(std::string bytes) {
  const bool first = pieces_.empty() && prefix_->bytes()->ends_with('[');
  if (!first) bytes.insert(bytes.begin(), ',');
  bytes_ += bytes.size();
  hash_.update(bytes);
  pieces_.push_back(std::make_shared<const std::string>(std::move(bytes)));
}

std::vector<std::shared_ptr<const std::string>> Conversation::body() const {
  std::vector<std::shared_ptr<const std::string>> out;
  out.reserve(pieces_.size() + 2);
  out.push_back(prefix_->bytes());
  out.insert(out.end(), pieces_.begin(), pieces_.end());
  out.push_back(tail());
  return out;
}

Digest Conversation::digest() const {
  Sha256 whole(hash_);
  whole.update(*tail());
  return whole.finish();
}

std::uint64_t Conversation::size() const { return bytes_ + tail()->size(); }

}  // namespace weft::model
