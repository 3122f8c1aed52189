#include "base/time.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <charconv>
#include <ctime>

namespace weft {

std::string to_rfc3339(Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const std::time_t count = seconds.time_since_epoch().count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(count), (time - seconds).count());
}

Result<Duration> parse_duration(std::string_view text) {
  constexpr std::int64_t kMax = std::int64_t{366} * 24 * 3600 * 1'000'000;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  std::int64_t factor = 0;
  if (unit == "ms") factor = 1'000;
  if (unit == "s") factor = 1'000'000;
  if (unit == "m") factor = 60'000'000;
  if (unit == "h") factor = 3'600'000'000;
  if (unit == "d") factor = 86'400'000'000;
  if (error != std::errc{} || factor == 0 || number < 0) {
    return invalid_argument(
        fmt::format("\"{}\" is no duration; write a number and a unit: 250ms, 30s, 5m, 24h, 7d", text));
  }
  if (number > kMax / factor) return out_of_range(fmt::format("the duration {} is longer than 366d", text));
  return Duration(number * factor);
}

std::string to_text(Duration duration) {
  const std::int64_t us = duration.count();
  if (us < 10'000) return fmt::format("{:.1f}ms", static_cast<double>(us) / 1e3);
  if (us < 1'000'000) return fmt::format("{}ms", us / 1000);
  if (us < 60'000'000) return fmt::format("{:.1f}s", static_cast<double>(us) / 1e6);
  const std::int64_t seconds = us / 1'000'000;
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

}  // namespace weft
