// When a schedule is due: the five fields of cron, read in a time zone.
//
// Clocks that change: a minute that the clocks leave out is due when they are set forward, once, however many of the
// schedule's minutes are left out; one that they show twice is due the first time. A schedule that says `*` or `*/N`
// for the hour means hours that pass, and not hours on a wall: for it nothing is made up for what is left out, and what
// comes twice is due twice.
#pragma once

#include <bitset>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/zone.h"

namespace weft::workflows {

// Immutable.
class Cron {
 public:
  // "MINUTE HOUR DAY MONTH WEEKDAY": `*`, numbers, names (jan, mon), `a-b`, `a,b`, `*/n`, `a-b/n`; Sunday is 0 or 7;
  // where day and weekday are both said, either is enough. Or @hourly @daily @weekly @monthly @yearly. INVALID_ARGUMENT
  // with a sentence; also where no day ever fits.
  static Result<Cron> parse(std::string_view text);

  // The first time after `after`; none within nine years.
  std::optional<Time> next(Time after, const Zone& zone) const;

  struct Due {
    std::deque<Time> times;   // The last ones, oldest first.
    std::uint64_t count = 0;  // All of them.
  };
  // What is due after `after` and up to `until`, of at most a year before that.
  Due between(Time after, Time until, std::size_t times_max, const Zone& zone) const;

  const std::string& text() const { return text_; }

 private:
  bool fits(CivilDay day) const;
  // The times of a day, in order.
  std::vector<Time> of_day(CivilDay day, const Zone& zone) const;

  std::string text_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool any_hour_ = false;
  bool any_day_ = false;
  bool any_weekday_ = false;
};

}  // namespace weft::workflows
