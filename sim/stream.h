// Sends one answer as server-sent events, at its pace and with the faults that its script wants.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "sim/answer.h"
#include "sim/connection.h"
#include "sim/reply.h"

namespace weft::sim {

// How a response ended.
enum class End : std::uint8_t { kDone, kCut, kStalled, kReset, kGone, kRefused };
std::string_view end_name(End end);

enum class UsageChunk : std::uint8_t { kLeftOut, kSent };

// When the token with this number (from 0) is due, after the request came.
SteadyTime due(const Pace& pace, SteadyTime from, std::uint64_t token);

// On the connection's thread. Borrows all that it is given.
class EventStream {
 public:
  using Write = std::function<bool(std::string_view bytes)>;
  // Called once, before the last bytes of the response leave: who reads them finds all booked.
  using Settle = std::function<void(End end, std::uint64_t tokens_sent)>;

  EventStream(const Answer& answer, const Reply& reply, UsageChunk usage, Connection& connection, SteadyTime from)
      : answer_(answer),
        reply_(reply),
        include_usage_(usage == UsageChunk::kSent),
        connection_(connection),
        from_(from) {}

  // Returns when the response is over; whether the connection may serve another request.
  bool send(const Write& write, const Settle& settle);

 private:
  static constexpr std::size_t kBatchBytes = 16 << 10;  // Events that are due together leave together.

  End run(const Write& write);
  bool wait_first_token(const Write& write);
  bool body(const Write& write);
  bool pieces(std::string_view text, std::string_view before, std::string_view after, const Write& write);
  bool token(std::string_view delta, const Write& write);
  bool fault_due(const Write& write);
  void event(std::string_view delta, std::string_view finish);
  bool flush(const Write& write);

  const Answer& answer_;
  const Reply& reply_;
  const bool include_usage_;
  Connection& connection_;
  const SteadyTime from_;
  std::string head_;  // Of each event, up to its choices.
  std::string batch_;
  std::uint64_t sent_ = 0;  // Tokens.
  bool malformed_sent_ = false;
  End end_ = End::kGone;
};

}  // namespace weft::sim
