// One response of a model, in whatever format it comes: bytes in, an outcome out.
//
// Invariants:
//  1. Only what the format says is the end completes a response; an end before it is kStreamClosed, whatever came.
//  2. No tool call is in an Answer whose arguments are not one JSON object.
//  3. Memory is bounded by the limits; no input throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <variant>

#include "base/http.h"
#include "runtime/model/message.h"

namespace weft::model {

enum class Stream : std::uint8_t { kText, kReasoning };

using Outcome = std::variant<Answer, Failure>;
using OnProgress = std::move_only_function<void(Stream, std::string_view)>;

struct DecoderLimits {
  std::size_t line_bytes_max = std::size_t{8} << 20;
  std::size_t answer_bytes_max = std::size_t{16} << 20;
  std::size_t tool_calls_max = 128;
};

class ResponseDecoder {
 public:
  virtual ~ResponseDecoder() = default;
  virtual void head(const HttpHead& head) = 0;
  virtual void bytes(std::string_view bytes) = 0;
  // True from the first token on: text, reasoning or a tool call (comments, roles and empty deltas are none).
  virtual bool has_token() const = 0;
  // True when the outcome is settled before the end of the body (the format's end, an error event, a limit).
  virtual bool settled() const = 0;
  // The outcome, once; `end` says how the body ended.
  virtual Outcome finish(const HttpEnd& end) = 0;
};

}  // namespace weft::model
