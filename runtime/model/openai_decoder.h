// The state machine of one response in the OpenAI ChatCompletions format, streamed or whole. `[DONE]` ends a stream.
// Format: https://platform.openai.com/docs/api-reference/chat and, beyond it, https://api-docs.deepseek.com.
#pragma once

#include <memory>
#include <string_view>

#include "runtime/model/response_decoder.h"

namespace weft::model {

class OpenAiDecoder final : public ResponseDecoder {
 public:
  explicit OpenAiDecoder(OnProgress on_progress, const DecoderLimits& limits = {});
  ~OpenAiDecoder() override;
  OpenAiDecoder(const OpenAiDecoder&) = delete;
  OpenAiDecoder& operator=(const OpenAiDecoder&) = delete;

  void head(const HttpHead& head) override;
  void bytes(std::string_view bytes) override;
  bool has_token() const override;
  bool settled() const override;
  Outcome finish(const HttpEnd& end) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::model
