// How one request is answered: what the model says, how fast, and what goes wrong on the way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "sim/request.h"
#include "sim/script.h"

namespace weft::sim {

inline constexpr std::size_t kCallsMax = 128;  // Of one reply.

// Faults count the tokens that were sent before them; 0 is after the response's head.
struct Faults {
  std::optional<std::uint64_t> cut_after;        // The response ends, as HTTP whole, as a stream not.
  std::optional<std::uint64_t> stall_after;      // Silence with an open connection.
  std::optional<std::uint64_t> reset_after;      // RST
  std::optional<std::uint64_t> malformed_after;  // One event that is no JSON; what follows is well.
  bool no_done = false;                          // All but the last line, `data: [DONE]`.
  bool drop = false;                             // RST before the first byte of a response.
};

struct Refusal {
  int status = 400;
  std::string body;
  std::string content_type = "application/json";
  std::string retry_after;  // The header's value; empty: none.
};

enum class UsageReport : std::uint8_t { kCounted, kNone };

struct Reply {
  std::string rule;       // Its name, for the log.
  std::string reasoning;  // Sent where the request has thinking on.
  std::string text;
  std::vector<Call> calls;  // An empty id is made up.
  std::string finish;       // Empty: stop, tool_calls or length, as it was.
  UsageReport usage = UsageReport::kCounted;
  std::shared_ptr<const Json> usage_fields;  // Replace counted ones; may be null.
  std::optional<Refusal> refusal;
  std::vector<std::string> raw;  // Lines that are the whole body; empty: none.
  Faults faults;
  Pace pace;
  Duration keep_alive{0};  // Between comment lines until the first token; 0: none.
};

}  // namespace weft::sim
