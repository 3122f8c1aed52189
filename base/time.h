// Time as weft stores it, and the clocks that a test replaces.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"

namespace weft {

using Duration = std::chrono::microseconds;
// Microseconds since 1970-01-01T00:00:00Z.
using Time = std::chrono::sys_time<std::chrono::microseconds>;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;            // Wall time: for people; order never comes from it.
  virtual Duration monotonic() const = 0;  // For intervals.
};

class SystemClock final : public Clock {
 public:
  Time now() const override;
  Duration monotonic() const override;
};

std::string to_rfc3339(Time time);  // "2026-11-21T21:47:37.123456Z"
// `250ms 30s 5m 24h 7d`, of which one unit; at most 366 d.
Result<Duration> parse_duration(std::string_view text);
std::string to_text(Duration duration);  // "250ms", "1.2s", "3m05s": for people.

}  // namespace weft
