// What is said to a model and what comes back, in no provider's words: values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace weft::model {

// One call of a tool as the model made it. `name` is the wire name; `arguments` are the bytes as they came.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;
  bool operator==(const ToolCall&) const = default;
};

// One turn of the model. `reasoning` is kept byte for byte, also when it is empty: its presence matters.
struct Turn {
  std::string text;
  std::optional<std::string> reasoning;
  std::vector<ToolCall> tool_calls;
  bool operator==(const Turn&) const = default;
};

// What one call gave back. `content` may be any bytes; `failed`: it says why the tool did not do it.
struct ToolResult {
  std::string call_id;
  std::string content;
  bool failed = false;
  bool operator==(const ToolResult&) const = default;
};

// Five disjoint counts of tokens; what a server did not report is absent, never 0.
struct Usage {
  std::optional<std::uint64_t> input_hit;
  std::optional<std::uint64_t> input_miss;
  std::optional<std::uint64_t> input_write;
  std::optional<std::uint64_t> output;  // Without reasoning.
  std::optional<std::uint64_t> reasoning;
  bool estimated = false;
  bool operator==(const Usage&) const = default;
};

enum class Finish : std::uint8_t { kStop, kLength, kToolCalls };

struct Answer {
  Turn turn;
  Finish finish = Finish::kStop;
  std::string finish_reason;  // As it came.
  Usage usage;
  std::string model;  // As the response names it.
  std::string request_id;
  Duration first_token{};  // From sending to the first token of any kind.
  Duration total{};
};

enum class FailureKind : std::uint8_t {
  kTransport,     // No connection, or it broke.
  kStreamClosed,  // The end came before [DONE].
  kTimeout,       // No first byte, silence, or the deadline of the call.
  kRateLimit,
  kOverloaded,  // 503, 529, insufficient_system_resource, an error inside the stream.
  kServer,
  kInvalidRequest,
  kContextOverflow,
  kHistoryContract,  // The server refuses the recorded history (reasoning or arguments).
  kAuth,
  kQuota,
  kMalformed,      // What came is not the format.
  kEmptyResponse,  // Stop, and neither text nor calls.
  kTruncatedCall,  // Arguments of a tool call cut off or not JSON.
  kBlocked,        // content_filter
  kTooLarge,
  kCancelled,
};
std::string_view failure_name(FailureKind kind);  // "rate_limit"
// Whether the same bytes may succeed later on the same route.
bool is_retryable(FailureKind kind);

struct Failure {
  FailureKind kind = FailureKind::kTransport;
  std::string message;
  int status = 0;  // HTTP; 0 where none came.
  std::optional<Duration> retry_after;
  std::string request_id;
  std::string partial_text;    // What had streamed in; for the trace only, at most 64 KiB.
  std::optional<Usage> usage;  // Where the server reported it nevertheless.
  // The request left and was not refused, so it may have been counted; with the bytes of text, reasoning and calls'
  // arguments that came.
  bool may_be_billed = false;
  std::uint64_t answer_bytes = 0;
  Duration total{};
};

}  // namespace weft::model
