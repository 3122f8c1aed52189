// Results, times and ids.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"

namespace weft {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return invalid_argument("odd").with("number", std::to_string(number));
  return number / 2;
}

Result<int> quarter(int number) {
  WEFT_TRY(const int once, half(number));
  WEFT_TRY(const int twice, half(once));
  return twice;
}

Status check(int number) {
  WEFT_RETURN_IF_ERROR(quarter(number));
  return {};
}

TEST_CASE("an error goes up through WEFT_TRY with its details") {
  CHECK(*quarter(12) == 3);
  CHECK(check(12));
  const auto failed = quarter(6);
  REQUIRE_FALSE(failed);
  CHECK(failed.error() == Error{Code::kInvalidArgument, "odd", {{"number", "3"}}});
  CHECK(check(6).error() == failed.error());
}

TEST_CASE("codes have gRPC's names") {
  CHECK(code_name(Code::kCancelled) == "CANCELLED");
  CHECK(code_name(Code::kResourceExhausted) == "RESOURCE_EXHAUSTED");
  CHECK(code_name(Code::kUnauthenticated) == "UNAUTHENTICATED");
}

TEST_CASE("times are written as RFC 3339 with microseconds") {
  CHECK(to_rfc3339(Time{}) == "1970-01-01T00:00:00.000000Z");
  CHECK(to_rfc3339(Time(std::chrono::microseconds(1'795'297'657'123'456))) == "2026-11-21T21:47:37.123456Z");
}

TEST_CASE("durations are one number and one unit") {
  CHECK(*parse_duration("250ms") == std::chrono::milliseconds(250));
  CHECK(*parse_duration("30s") == std::chrono::seconds(30));
  CHECK(*parse_duration("5m") == std::chrono::minutes(5));
  CHECK(*parse_duration("24h") == std::chrono::hours(24));
  CHECK(*parse_duration("7d") == std::chrono::hours(7 * 24));
  CHECK(*parse_duration("366d") == std::chrono::hours(366 * 24));
  for (const char* bad : {"", "5", "s", "-5s", "1h30m", "5 s", "367d", "99999999999999999999s"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad));
  }
  CHECK(to_text(std::chrono::duration_cast<Duration>(std::chrono::milliseconds(250))) == "250ms");
  CHECK(to_text(std::chrono::duration_cast<Duration>(std::chrono::milliseconds(1200))) == "1.2s");
  CHECK(to_text(std::chrono::duration_cast<Duration>(std::chrono::seconds(185))) == "3m05s");
}

TEST_CASE("the clock goes on") {
  const SystemClock clock;
  const Duration before = clock.monotonic();
  while (clock.monotonic() == before) {
  }
  CHECK(clock.monotonic() > before);
  CHECK(clock.now() > Time(std::chrono::hours(24 * 365 * 50)));
}

struct CountingEntropy final : Entropy {
  std::uint64_t next() override { return ++count; }
  std::uint64_t count = 0;
};

TEST_CASE("ids have 26 characters, sort by time and differ by entropy") {
  CountingEntropy entropy;
  const Time now(std::chrono::microseconds(1'795'297'657'123'456));
  const std::string first = new_id(now, entropy);
  const std::string second = new_id(now, entropy);
  const std::string later = new_id(now + std::chrono::milliseconds(1), entropy);
  CHECK(first.size() == 26);
  CHECK(first != second);
  CHECK(first.substr(0, 10) == second.substr(0, 10));
  CHECK(later > first);
  CHECK(later > second);
  CHECK(first.find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz") == std::string::npos);
  SystemEntropy system;
  CHECK(new_id(now, system) != new_id(now, system));
}

}  // namespace
}  // namespace weft
