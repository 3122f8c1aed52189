// When schedules are due, over the days on which clocks are changed, and what is refused.
#include "workflows/cron.h"

#include <catch2/catch.hpp>

#include "loading.h"

using namespace weft;
using namespace weft::workflows;

namespace {

Time at(const std::string& text) { return parse_instant(text).value(); }

// The next `count` times after `after`, as "MM-DDTHH:MM" in UTC.
std::vector<std::string> times(const std::string& cron, const std::string& zone, const std::string& after,
                               std::size_t count) {
  const Cron parsed = Cron::parse(cron).value();
  const Zone place = Zone::load(zone).value();
  std::vector<std::string> found;
  Time last = at(after);
  while (found.size() < count) {
    const auto next = parsed.next(last, place);
    if (!next) break;
    REQUIRE(*next > last);
    last = *next;
    found.push_back(to_rfc3339(last).substr(5, 11));
  }
  return found;
}

using Times = std::vector<std::string>;

}  // namespace

TEST_CASE("the five fields of a schedule say when it is due") {
  CHECK(times("0 6 * * *", "UTC", "2026-01-01T06:00:00Z", 2) == Times{"01-02T06:00", "01-03T06:00"});
  CHECK(times("*/20 * * * *", "UTC", "2026-01-01T06:05:00Z", 3) == Times{"01-01T06:20", "01-01T06:40", "01-01T07:00"});
  CHECK(times("30 9 * * mon-fri", "UTC", "2026-11-20T10:00:00Z", 2) == Times{"11-23T09:30", "11-24T09:30"});
  CHECK(times("0 0 1,15 * *", "UTC", "2026-01-02T00:00:00Z", 3) == Times{"01-15T00:00", "02-01T00:00", "02-15T00:00"});
  CHECK(times("0 12 13 * fri", "UTC", "2026-02-12T13:00:00Z", 3) == Times{"02-13T12:00", "02-20T12:00", "02-27T12:00"});
  CHECK(times("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1) == Times{"02-29T00:00"});  // Of 2104.
  CHECK(times("0 0 * * 7", "UTC", "2026-11-20T00:00:00Z", 1) == times("@weekly", "UTC", "2026-11-20T00:00:00Z", 1));
  CHECK(times("0 8-10/2 * jan,dec 0-6", "UTC", "2026-11-30T00:00:00Z", 3) ==
        Times{"12-01T08:00", "12-01T10:00", "12-02T08:00"});
  CHECK(times("0 6 * * *", "Asia/Tokyo", "2026-01-01T00:00:00Z", 1) == Times{"01-01T21:00"});
}

TEST_CASE("a time that the clocks leave out is due when they are set, and once") {
  // On 29 March 2026 clocks in Berlin go from 02:00 to 03:00, at 01:00 UTC.
  CHECK(times("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3) ==
        Times{"03-28T01:30", "03-29T01:00", "03-30T00:30"});
  CHECK(times("*/15 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2) == Times{"03-29T01:00", "03-30T00:00"});
  CHECK(times("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2) == Times{"03-29T01:00", "03-30T01:00"});
  // Each hour is each hour that passes: nothing more, nothing less.
  CHECK(times("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3) ==
        Times{"03-29T00:30", "03-29T01:30", "03-29T02:30"});
}

TEST_CASE("a time that comes twice is due the first time; what is due each hour is due both times") {
  // On 25 October 2026 clocks in Berlin go from 03:00 to 02:00, at 01:00 UTC.
  CHECK(times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2) == Times{"10-25T00:30", "10-26T01:30"});
  CHECK(times("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 3) ==
        Times{"10-25T00:30", "10-25T01:30", "10-25T02:30"});
  // Clocks that are set back over midnight: Azores, 01:00 to 00:00; Havana, 01:00 to 00:00.
  CHECK(times("30 0 * * *", "America/Havana", "2026-10-31T12:00:00Z", 2) == Times{"11-01T04:30", "11-02T05:30"});
}

TEST_CASE("a day that a place never had is passed over, and its times are due when the clocks are set") {
  // Apia went from 29 to 31 December 2011 over the date line, at 10:00 UTC on the 30th.
  CHECK(times("0 6 * * *", "Pacific/Apia", "2011-12-28T17:00:00Z", 3) ==
        Times{"12-29T16:00", "12-30T10:00", "12-30T16:00"});
}

TEST_CASE("what was due in between is counted, and the last of it is told") {
  const Zone utc = Zone::load("UTC").value();
  const Cron hourly = Cron::parse("0 * * * *").value();
  const auto due = hourly.between(at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"), 3, utc);
  CHECK(due.count == 24);
  REQUIRE(due.times.size() == 3);
  CHECK(due.times.back() == at("2026-01-02T00:00:00Z"));
  CHECK(due.times.front() == at("2026-01-01T22:00:00Z"));
  // Not further back than a year.
  CHECK(hourly.between(at("2016-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"), 3, utc).count == 366 * 24);
}

TEST_CASE("what is no schedule is refused with the field and the way out") {
  const std::pair<const char*, const char*> bad[] = {
      {"", "has 0"},
      {"0 6 * *", "has 4"},
      {"0 6 * * * *", "has 6"},
      {"60 6 * * *", "the minute \"60\""},
      {"0 24 * * *", "the hour \"24\""},
      {"0 6 0 * *", "the day \"0\""},
      {"0 6 * 13 *", "or jan to dec"},
      {"0 6 * * 8", "or sun to sat"},
      {"0 6 * * monday", "the weekday \"monday\""},
      {"5/10 * * * *", "write 5-59/10"},
      {"*/0 * * * *", "no step of 1 to 59"},
      {"*/99999999999 * * * *", "no step"},
      {"30-10 * * * *", "runs backwards"},
      {"1,,2 * * * *", "comma too many"},
      {"-1 * * * *", "the minute \"-1\""},
      {"0 0 30 2 *", "no day ever fits"},
      {"@reboot", "has 1"},
  };
  for (const auto& [text, says] : bad) {
    INFO(text);
    const auto cron = Cron::parse(text);
    REQUIRE_FALSE(cron);
    INFO(cron.error().message);
    CHECK(cron.error().message.find(says) != std::string::npos);
  }
  CHECK_FALSE(Cron::parse(std::string(300, '*')));
}

TEST_CASE("a workflow says when it starts by itself") {
  const auto workflow = load_good(
      whole("on: {schedule: '0 6 * * 1-5', zone: Europe/Berlin, overlap: queue, catch_up: 2h}\nsteps: {a: {set: 1}}"));
  REQUIRE(workflow->schedule);
  CHECK(workflow->schedule->cron.text() == "0 6 * * 1-5");
  CHECK(workflow->schedule->zone == "Europe/Berlin");
  CHECK(workflow->schedule->overlap == Schedule::Overlap::kQueue);
  CHECK(workflow->schedule->catch_up == Schedule::CatchUp::kWithin);
  CHECK(workflow->schedule->within == Duration(7'200'000'000));
  CHECK(load_good(workflow->canonical)->hash == workflow->hash);
  const auto plain =
      load_good(whole("on: {schedule: '@daily'}\nsteps: {a: {set: '{{ run.scheduled_for ?? \"by hand\" }}'}}"));
  CHECK(plain->schedule->zone == "UTC");
  CHECK(plain->schedule->overlap == Schedule::Overlap::kSkip);
  CHECK(plain->schedule->catch_up == Schedule::CatchUp::kLast);
}

TEST_CASE("the checker refuses a schedule that cannot be") {
  const auto fault = [](const std::string& on) { return faults_of(whole(on + "\nsteps: {a: {set: 1}}")); };
  CHECK(fault("on: {}") == Faults{"3:5 missing-key"});
  CHECK(fault("on: daily") == Faults{"3:5 type"});
  CHECK(fault("on: {schedule: '0 25 * * *'}") == Faults{"3:16 schedule"});
  CHECK(fault("on: {schedule: '@daily', zone: Mars/Base}") == Faults{"3:32 schedule"});
  CHECK(fault("on: {schedule: '@daily', overlap: replace}") == Faults{"3:35 choice"});
  CHECK(fault("on: {schedule: '@daily', catch_up: some}") == Faults{"3:36 type"});
  CHECK(fault("on: {schedule: '@daily', catch_up: 5x}") == Faults{"3:36 duration"});
  CHECK(fault("on: {schedule: '@daily', timezone: UTC}") == Faults{"3:26 unknown-key"});
  CHECK(fault("on: {schedule: '@daily'}\ninput: {x: string}") == Faults{"3:1 schedule"});
  CHECK(fault("on: {schedule: '@daily'}\ninput: {x: string?, y: {type: string, default: a}}") == Faults{});
}
