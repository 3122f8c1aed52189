// Named places at which a server stops for good, or stands still, when a test says so: through a file that both map
// (WEFT_FAILPOINTS names it). Planted into a server of the tests alone; the product has none (docs/decisions/0033).
#pragma once

#include <atomic>
#include <cstdint>

namespace weft::crash {

struct FailOrders {
  char armed[64] = {};               // The failpoint; set before `passes_left`.
  std::atomic<int> passes_left = 0;  // It acts at the last of so many passes; 0: never.
  enum class Act : std::uint8_t { kKill, kStop };
  std::atomic<Act> act = Act::kKill;  // SIGKILL or SIGSTOP, of the own process.
  std::atomic<int> acted = 0;
};

// Passing a failpoint. Any thread.
void pass(const char* name);

}  // namespace weft::crash
