// Civil time: clocks that are set forward and back.
#include "base/zone.h"

#include <catch2/catch.hpp>

using namespace weft;

TEST_CASE("a zone knows when its clocks show a minute: once, twice, or never") {
  const Zone berlin = Zone::load("Europe/Berlin").value();
  const auto usual = berlin.at({2026, 1, 15}, 6, 0);
  CHECK(to_rfc3339(usual.first) == "2026-01-15T05:00:00.000000Z");
  CHECK_FALSE(usual.is_skipped);
  CHECK_FALSE(usual.is_repeated());
  const auto skipped = berlin.at({2026, 3, 29}, 2, 30);
  CHECK(skipped.is_skipped);
  CHECK(to_rfc3339(skipped.first) == "2026-03-29T01:00:00.000000Z");  // When they are set, to 03:00.
  const auto twice = berlin.at({2026, 10, 25}, 2, 30);
  CHECK(twice.is_repeated());
  CHECK(to_rfc3339(twice.first) == "2026-10-25T00:30:00.000000Z");
  CHECK(to_rfc3339(twice.second) == "2026-10-25T01:30:00.000000Z");
  CHECK(berlin.text(twice.second) == "2026-10-25 02:30 +01:00");
}

TEST_CASE("days follow each other over months and leap years, and have their weekday") {
  CHECK(next_day({2028, 2, 28}) == CivilDay{2028, 2, 29});
  CHECK(next_day({2026, 12, 31}) == CivilDay{2027, 1, 1});
  CHECK(next_day({2026, 3, 1}, -1) == CivilDay{2026, 2, 28});
  CHECK(weekday({2026, 11, 22}) == 0);
  CHECK(weekday({2026, 11, 23}) == 1);
}

TEST_CASE("what is no name of a zone is refused, and no path is opened by one") {
  for (const char* name : {"", "Europe/Berlyn", "/etc/passwd", "../../etc/passwd", "libc:localtime", ":Europe/Berlin",
                           "Europe/Berlin\n", "file:x"}) {
    INFO(name);
    const auto zone = Zone::load(name);
    REQUIRE_FALSE(zone);
    CHECK(zone.error().code == Code::kNotFound);
  }
  CHECK(Zone::load("UTC"));
}
