// Feeds a decoder what a test wrote down, in pieces of any size.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/model/openai_decoder.h"

namespace weft::test {

struct Decoded {
  model::Outcome outcome;
  std::string shown_text;
  std::string shown_reasoning;
  bool token = false;
  bool settled = false;

  const model::Answer& answer() const {
    if (const auto* failure = std::get_if<model::Failure>(&outcome)) {
      throw std::runtime_error("failure: " + std::string(failure_name(failure->kind)) + ": " + failure->message);
    }
    return std::get<model::Answer>(outcome);
  }
  const model::Failure& failure() const {
    if (!std::holds_alternative<model::Failure>(outcome)) throw std::runtime_error("an answer, not a failure");
    return std::get<model::Failure>(outcome);
  }
  // "answer" or the failure's name.
  std::string kind() const {
    const auto* failed = std::get_if<model::Failure>(&outcome);
    return failed == nullptr ? "answer" : std::string(failure_name(failed->kind));
  }
};

struct Reply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body;
  HttpEnd end = {.ok = true, .fault = {}, .message = {}, .reused_connection = {}, .first_byte = {}, .total = {}};
};

// `piece` 0: all at once.
inline Decoded decode(const Reply& reply, std::size_t piece, const model::DecoderLimits& limits = {}) {
  Decoded out;
  model::OpenAiDecoder decoder(
      [&out](model::Stream stream, std::string_view text) {
        (stream == model::Stream::kText ? out.shown_text : out.shown_reasoning) += text;
      },
      limits);
  HttpHead head;
  head.status = reply.status;
  head.headers = reply.headers;
  decoder.head(head);
  const std::size_t step = piece == 0 ? reply.body.size() : piece;
  for (std::size_t at = 0; at < reply.body.size(); at += step) {
    decoder.bytes(std::string_view(reply.body).substr(at, step));
  }
  out.token = decoder.has_token();
  out.settled = decoder.settled();
  out.outcome = decoder.finish(reply.end);
  return out;
}

inline Decoded decode(std::string body, std::size_t piece = 0) { return decode(Reply{.body = std::move(body)}, piece); }

// An event of a stream with the choice's members, such as `"delta":{"content":"x"}`.
inline std::string choice(std::string_view members) {
  return "data: "
         "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0," +
         std::string(members) + "}]}\n\n";
}
inline std::string delta(std::string_view members) {
  return choice("\"delta\":{" + std::string(members) + "},\"finish_reason\":null");
}
inline std::string finish(std::string_view reason) {
  return choice("\"delta\":{},\"finish_reason\":\"" + std::string(reason) + "\"");
}
inline std::string text(std::string_view escaped) { return delta("\"content\":\"" + std::string(escaped) + "\""); }
inline const std::string kDone = "data: [DONE]\n\n";

}  // namespace weft::test
