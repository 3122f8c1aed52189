// The state machine of one response in the OpenAI ChatCompletions format, streamed or whole: bytes in, an outcome out.
// Format: https://platform.openai.com/docs/api-reference/chat and, beyond it, https://api-docs.deepseek.com.
//
// Invariants:
//  1. Only `[DONE]` completes a stream; an end before it is kStreamClosed, whatever came.
//  2. No tool call is in an Answer whose arguments are not one JSON object.
//  3. Memory is bounded by the limits; no input throws.
#pragma once

#include <memory>
#include <string_view>

#include "base/http.h"
#include "runtime/model/client.h"
#include "runtime/model/message.h"

namespace weft::model {

struct DecoderLimits {
  std::size_t line_bytes_max = std::size_t{8} << 20;
  std::size_t answer_bytes_max = std::size_t{16} << 20;
  std::size_t tool_calls_max = 128;
};

class Decoder {
 public:
  explicit Decoder(OnProgress on_progress, const DecoderLimits& limits = {});
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  void head(const HttpHead& head);
  void bytes(std::string_view bytes);
  // True from the first token on: text, reasoning or a tool call (comments, roles and empty deltas are none).
  bool has_token() const;
  // True when the outcome is settled before the end of the body ([DONE], an error event, a limit).
  bool settled() const;
  // The outcome, once; `end` says how the body ended.
  Outcome finish(const HttpEnd& end);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::model
