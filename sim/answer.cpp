#include "sim/answer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace weft::sim {
namespace {

constexpr std::size_t kTokenBytes = 4;

// Keeps the first `left` tokens of `text` and takes them off; whether all of it stayed.
bool keep(std::string& text, std::uint64_t& left) {
  std::size_t kept = 0;
  while (kept < text.size() && left > 0) {
    kept += first_token(std::string_view(text).substr(kept)).size();
    --left;
  }
  bool whole = kept == text.size();
  text.resize(kept);
  return whole;
}

// Cuts what the model says to max_tokens, as a model is cut: in the middle of whatever it was at.
bool cut(Answer& answer, std::uint64_t max_tokens) {
  std::uint64_t left = max_tokens;
  bool whole = keep(answer.reasoning, left);
  answer.reasoning_tokens = max_tokens - left;
  whole = keep(answer.text, left) && whole;
  std::size_t kept = 0;
  while (kept < answer.calls.size() && left > 0) {
    --left;
    whole = keep(answer.calls[kept++].arguments, left) && whole;
  }
  whole = whole && kept == answer.calls.size();
  answer.calls.resize(kept);
  answer.tokens = max_tokens - left;
  return !whole;
}

Json usage_of(const Answer& answer, const Reply& reply) {
  Json usage = {{"prompt_tokens", answer.prompt_tokens},
                {"completion_tokens", answer.tokens},
                {"total_tokens", answer.prompt_tokens + answer.tokens},
                {"prompt_tokens_details", {{"cached_tokens", answer.hit_tokens}}},
                {"completion_tokens_details", {{"reasoning_tokens", answer.reasoning_tokens}}},
                {"prompt_cache_hit_tokens", answer.hit_tokens},
                {"prompt_cache_miss_tokens", answer.prompt_tokens - answer.hit_tokens}};
  if (reply.usage_fields == nullptr) return usage;
  for (const auto& [key, value] : reply.usage_fields->items()) {
    if (value.is_null())
      usage.erase(key);
    else
      usage[key] = value;
  }
  return usage;
}

}  // namespace

std::string_view first_token(std::string_view text) {
  std::size_t size = std::min(kTokenBytes, text.size());
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) ++size;
  return text.substr(0, size);
}

std::uint64_t count_tokens(std::string_view text) {
  std::uint64_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(first_token(text).size());
  return count;
}

std::string json_string(std::string_view text) { return to_text(Json(text)); }

Answer make_answer(const Request& request, const Reply& reply, const Place& place) {
  Answer answer{.id = fmt::format("sim-{}", place.number),
                .model = request.model,
                .created = place.seconds,
                .thinking = request.thinking,
                .reasoning = request.thinking == Thinking::kOn ? reply.reasoning : "",
                .text = reply.text,
                .calls = reply.calls,
                .finish = reply.finish,
                .prompt_tokens = place.prompt_tokens,
                .hit_tokens = place.hit_tokens,
                .usage = nullptr};
  bool was_cut = cut(answer, request.max_tokens);
  for (std::size_t i = 0; i < answer.calls.size(); ++i) {
    if (answer.calls[i].id.empty()) answer.calls[i].id = fmt::format("call_{:02}_{:016x}", i, place.prompt_hash);
  }
  if (answer.finish.empty()) answer.finish = was_cut ? "length" : answer.calls.empty() ? "stop" : "tool_calls";
  if (reply.usage == UsageReport::kCounted) {
    answer.usage = std::make_shared<const std::string>(to_text(usage_of(answer, reply)));
  }
  return answer;
}

std::string whole_body(const Answer& answer) {
  Json message = {{"role", "assistant"}, {"content", answer.text}};
  if (answer.thinking == Thinking::kOn) message["reasoning_content"] = answer.reasoning;
  for (std::size_t i = 0; i < answer.calls.size(); ++i) {
    const Call& call = answer.calls[i];
    message["tool_calls"].push_back({{"index", i},
                                     {"id", call.id},
                                     {"type", "function"},
                                     {"function", {{"name", call.tool}, {"arguments", call.arguments}}}});
  }
  std::string head = fmt::format(R"({{"id":{},"object":"chat.completion","created":{},"model":{},)",
                                 json_string(answer.id), answer.created, json_string(answer.model));
  std::string choice = fmt::format(R"("choices":[{{"index":0,"message":{},"logprobs":null,"finish_reason":{}}}])",
                                   to_text(message), json_string(answer.finish));
  std::string usage = answer.usage == nullptr ? "" : R"(,"usage":)" + *answer.usage;
  return head + choice + usage + R"(,"system_fingerprint":"sim"})";
}

}  // namespace weft::sim
