// Civil time, as the clocks on the walls of a place show it, by the system's tz database.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace weft {

struct CivilDay {
  int year = 1970;
  int month = 1;  // 1 to 12.
  int day = 1;    // 1 to 31.
  auto operator<=>(const CivilDay&) const = default;
};
CivilDay next_day(CivilDay day, int days = 1);
int weekday(CivilDay day);  // 0 is Sunday.

// Immutable.
class Zone {
 public:
  // A name of the tz database ("Europe/Berlin"), or "UTC". NOT_FOUND where this machine has none of that name.
  static Result<Zone> load(const std::string& name);

  // When the clocks show this minute. Where they are set back over it, twice: `first` and `second`. Where they are set
  // forward over it, never: `first` is when they are set, and `is_skipped`.
  struct Moments {
    Time first;
    Time second;
    bool is_skipped = false;
    bool is_repeated() const { return first != second; }
  };
  Moments at(CivilDay day, int hour, int minute) const;
  CivilDay day_of(Time time) const;
  // "2026-11-22 06:00 +01:00"
  std::string text(Time time) const;
  const std::string& name() const { return name_; }

 private:
  struct State;
  std::string name_;
  std::shared_ptr<const State> state_;
};

}  // namespace weft
