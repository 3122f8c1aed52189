#include "base/zone.h"

#include <absl/time/civil_time.h>
#include <absl/time/time.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"

namespace weft {
namespace {

constexpr std::size_t kNameBytesMax = 64;

absl::CivilDay civil(CivilDay day) { return absl::CivilDay(day.year, day.month, day.day); }
Time to_time(absl::Time time) { return Time(Duration(absl::ToUnixMicros(time))); }
absl::Time from_time(Time time) { return absl::FromUnixMicros(time.time_since_epoch().count()); }

// What names of the database are made of. Nothing that the library would read as a path of its own.
bool is_zone_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '+' || c == '/';
  };
  return !name.empty() && name.size() <= kNameBytesMax && name.front() != '/' && std::ranges::all_of(name, fits);
}

}  // namespace

CivilDay next_day(CivilDay day, int days) {
  const absl::CivilDay next = civil(day) + days;
  return {static_cast<int>(next.year()), next.month(), next.day()};
}

int weekday(CivilDay day) { return (static_cast<int>(absl::GetWeekday(civil(day))) + 1) % 7; }

struct Zone::State {
  absl::TimeZone zone;
};

Result<Zone> Zone::load(const std::string& name) {
  auto state = std::make_shared<State>();
  if (!is_zone_name(name) || !absl::LoadTimeZone(name, &state->zone)) {
    return not_found(
        fmt::format("there is no time zone \"{}\" on this machine (names are such as Europe/Berlin or UTC; "
                    "they come with the package tzdata)",
                    printable(name)));
  }
  Zone zone;
  zone.name_ = name;
  zone.state_ = std::move(state);
  return zone;
}

Zone::Moments Zone::at(CivilDay day, int hour, int minute) const {
  const auto info = state_->zone.At(absl::CivilMinute(day.year, day.month, day.day, hour, minute));
  if (info.kind == absl::TimeZone::TimeInfo::SKIPPED) return {to_time(info.trans), to_time(info.trans), true};
  return {to_time(info.pre), to_time(info.post), false};
}

CivilDay Zone::day_of(Time time) const {
  const absl::CivilDay day(state_->zone.At(from_time(time)).cs);
  return {static_cast<int>(day.year()), day.month(), day.day()};
}

std::string Zone::text(Time time) const {
  return absl::FormatTime("%E4Y-%m-%d %H:%M %Ez", from_time(time), state_->zone);
}

}  // namespace weft
