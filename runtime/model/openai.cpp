#include "runtime/model/openai.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/model/openai_decoder.h"
#include "runtime/model/prefix.h"

namespace weft::model {
namespace {

constexpr std::size_t kCacheKeyBytesMax = 512;

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

bool fits_user_id(std::string_view key) {
  return key.size() <= kCacheKeyBytesMax && std::ranges::all_of(key, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
         });
}

// The members before `tools`: the model, and how it is to answer.
Result<std::string> settings(const AgentSpec& agent, const Features& features) {
  WEFT_RETURN_IF_ERROR(check_text(agent.model, "the name of the model"));
  if (agent.thinking != Thinking::kOff && !features.thinking_switch) {
    return invalid_argument(fmt::format("the provider of \"{}\" has no switch for thinking", printable(agent.model)));
  }
  std::string out = "\"model\":" + quote(agent.model);
  if (features.thinking_switch) {
    if (agent.thinking == Thinking::kOff) {
      out += ",\"thinking\":{\"type\":\"disabled\"}";
    } else {
      out += fmt::format(",\"thinking\":{{\"type\":\"enabled\"}},\"reasoning_effort\":\"{}\"", effort(agent.thinking));
    }
  }
  if (features.user_id && !agent.cache_key.empty()) {
    if (!fits_user_id(agent.cache_key)) {
      return invalid_argument(fmt::format("the cache key \"{}\" is not 1 to {} of the characters A-Z a-z 0-9 _ -",
                                          printable(agent.cache_key), kCacheKeyBytesMax));
    }
    out += ",\"user_id\":" + quote(agent.cache_key);
  }
  out += ",\"stream\":true,\"stream_options\":{\"include_usage\":true}";
  out += fmt::format(",{}:{}", quote(features.max_tokens_field), agent.max_output);
  if (agent.temperature) out += ",\"temperature\":" + to_text(Json(*agent.temperature));
  return out;
}

Result<std::string> declaration(const ToolDeclaration& tool) {
  WEFT_TRY(const std::string wire, wire_name(tool.name));
  WEFT_RETURN_IF_ERROR(check_text(tool.description, fmt::format("the description of the tool \"{}\"", tool.name)));
  const Result<Json> schema = parse_untrusted(tool.schema);
  if (!schema || !schema->is_object())
    return invalid_argument(fmt::format("the schema of the tool \"{}\" is not a JSON object", tool.name));
  return "{\"type\":\"function\",\"function\":{\"name\":" + quote(wire) +
         ",\"description\":" + quote(tool.description) + ",\"parameters\":" + tool.schema + "}}";
}

Result<std::string> system_text(const std::vector<std::string>& parts) {
  std::string system;
  for (const std::string& part : parts) {
    WEFT_RETURN_IF_ERROR(check_text(part, "the system text"));
    if (part.empty()) continue;
    if (!system.empty()) system += "\n\n";
    system += part;
  }
  return system;
}

class OpenAiDialect final : public Dialect {
 public:
  std::string_view name() const override { return "openai"; }

  Result<std::string> prefix(const AgentSpec& agent, const Features& features) const override {
    WEFT_TRY(const std::string members, settings(agent, features));
    std::string out = "{" + members;
    for (const ToolDeclaration& tool : agent.tools) {
      WEFT_TRY(const std::string declared, declaration(tool));
      out += &tool == agent.tools.data() ? ",\"tools\":[" : ",";
      out += declared;
    }
    if (!agent.tools.empty()) out += ']';
    out += ",\"messages\":[";
    WEFT_TRY(const std::string system, system_text(agent.system));
    if (!system.empty()) out += "{\"role\":\"system\",\"content\":" + quote(system) + '}';
    return out;
  }

  std::string user(const Prefix& prefix, Place place, std::string_view text) const override {
    return joint(prefix, place) + "{\"role\":\"user\",\"content\":" + quote(text) + '}';
  }

  std::string turn(const Prefix& prefix, Place place, const Turn& turn) const override {
    std::string out = joint(prefix, place) + "{\"role\":\"assistant\",\"content\":" + quote(turn.text);
    // A server that thinks refuses a history in which an assistant's turn lacks the field, also where it was empty, or
    // where another model made the turn.
    const bool needed = turn.reasoning.has_value() || prefix.thinking() != Thinking::kOff;
    if (prefix.features().reasoning_replay && needed)
      out += ",\"reasoning_content\":" + quote(turn.reasoning.value_or(""));
    for (const ToolCall& call : turn.tool_calls) {
      out += &call == turn.tool_calls.data() ? ",\"tool_calls\":[" : ",";
      out += "{\"id\":" + quote(call.id) + ",\"type\":\"function\",\"function\":{\"name\":" + quote(call.name) +
             ",\"arguments\":" + quote(call.arguments) + "}}";
    }
    if (!turn.tool_calls.empty()) out += ']';
    return out + '}';
  }

  std::string results(const Prefix& prefix, Place place, std::span<const ToolResult> results) const override {
    std::string out;
    for (const ToolResult& result : results) {
      out += out.empty() ? joint(prefix, place) : ",";
      out += "{\"role\":\"tool\",\"tool_call_id\":" + quote(result.call_id) +
             ",\"content\":" + (result.failed ? quote("error: " + result.content) : quote(result.content)) + '}';
    }
    return out;
  }

  const std::shared_ptr<const std::string>& tail() const override { return tail_; }

  HttpRequest request(const Endpoint& endpoint) const override {
    HttpRequest request;
    std::string_view base = endpoint.base_url;
    while (base.ends_with('/')) base.remove_suffix(1);
    request.url = fmt::format("{}/chat/completions", base);
    request.headers = {"Content-Type: application/json", "Accept: text/event-stream, application/json"};
    if (!endpoint.key.empty()) request.headers.push_back("Authorization: Bearer " + endpoint.key);
    return request;
  }

  std::unique_ptr<ResponseDecoder> decoder(OnProgress on_progress, const DecoderLimits& limits) const override {
    return std::make_unique<OpenAiDecoder>(std::move(on_progress), limits);
  }

 private:
  // The system text, where there is one, is the first message of all.
  static std::string joint(const Prefix& prefix, Place place) {
    return place == Place::kFirst && prefix.bytes()->ends_with('[') ? "" : ",";
  }

  const std::shared_ptr<const std::string> tail_ = std::make_shared<const std::string>("]}");
};

}  // namespace

const Dialect& openai_dialect() {
  static const OpenAiDialect kDialect;
  return kDialect;
}

}  // namespace weft::model
