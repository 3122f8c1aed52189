#include "workflows/cron.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "base/bytes.h"

namespace weft::workflows {
namespace {

constexpr std::size_t kTextBytesMax = 256;
constexpr int kDaysAheadMax = 9 * 366;  // From one 29 February to the next there can be eight years.
constexpr Duration kLookBackMax{std::int64_t{366} * 24 * 3600 * 1'000'000};

constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kWeekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view what;
  int least;
  int most;
  std::span<const std::string_view> names;  // Of `least` on.
};
constexpr Field kFields[] = {{"minute", 0, 59, {}},
                             {"hour", 0, 23, {}},
                             {"day", 1, 31, {}},
                             {"month", 1, 12, kMonths},
                             {"weekday", 0, 7, kWeekdays}};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  for (std::size_t from = text.find_first_not_of(separators); from != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(separators, from), text.size());
    parts.push_back(text.substr(from, end - from));
    from = text.find_first_not_of(separators, end);
  }
  return parts;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size() || text.front() == '-') return std::nullopt;
  return value;
}

Error refuse(const Field& field, std::string_view part, std::string_view why) {
  return invalid_argument(fmt::format("the {} \"{}\" of a schedule {}", field.what, printable(part), why));
}

Result<int> read_value(const Field& field, std::string_view part, std::string_view text) {
  const auto named = std::ranges::find(field.names, lower(text));
  if (named != field.names.end()) return static_cast<int>(named - field.names.begin()) + field.least;
  const auto value = text.empty() ? std::nullopt : number(text);
  if (!value || *value < field.least || *value > field.most) {
    return refuse(
        field, part,
        fmt::format("is not made of {} to {}{}", field.least, field.most,
                    field.names.empty() ? "" : fmt::format(" or {} to {}", field.names.front(), field.names.back())));
  }
  return *value;
}

// One of the parts between commas: `*`, `a`, `a-b`, each of the first and last with `/n`.
template <std::size_t N>
Status read_part(const Field& field, std::string_view part, std::bitset<N>& into) {
  const std::size_t slash = part.find('/');
  const std::string_view range = part.substr(0, slash);
  int from = field.least;
  int to = field.most;
  int step = 1;
  const std::size_t dash = range.find('-');
  if (range != "*") {
    WEFT_TRY(from, read_value(field, part, range.substr(0, dash)));
    to = from;
    if (dash != std::string_view::npos) {
      WEFT_TRY(to, read_value(field, part, range.substr(dash + 1)));
    } else if (slash != std::string_view::npos) {
      return refuse(field, part,
                    fmt::format("has a step without a range: write {}-{}{}", range, field.most, part.substr(slash)));
    }
    if (to < from) return refuse(field, part, "runs backwards: the smaller comes first");
  }
  if (slash != std::string_view::npos) {
    const auto every = slash + 1 < part.size() ? number(part.substr(slash + 1)) : std::nullopt;
    if (!every || *every < 1 || *every > field.most)
      return refuse(field, part, fmt::format("has no step of 1 to {}", field.most));
    step = *every;
  }
  for (int value = from; value <= to; value += step) into.set(static_cast<std::size_t>(value) % N);
  return {};
}

template <std::size_t N>
Status read_field(const Field& field, std::string_view text, std::bitset<N>& into) {
  if (text.ends_with(',') || text.starts_with(',') || text.find(",,") != std::string_view::npos)
    return refuse(field, text, "has a comma too many");
  for (const std::string_view part : split(text, ",")) WEFT_RETURN_IF_ERROR(read_part(field, part, into));
  return {};
}

std::string_view spelt_out(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> kShort[] = {
      {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
      {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}};
  for (const auto& [name, fields] : kShort) {
    if (text == name) return fields;
  }
  return text;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  if (text.size() > kTextBytesMax)
    return invalid_argument(fmt::format("a schedule has at most {} bytes", kTextBytesMax));
  const auto parts = split(spelt_out(text), " \t");
  if (parts.size() != std::size(kFields)) {
    return invalid_argument(
        fmt::format("a schedule has five fields, minute, hour, day, month and weekday, such as \"0 6 * * 1-5\", and "
                    "\"{}\" has {}",
                    printable(text), parts.size()));
  }
  Cron cron;
  cron.text_ = text;
  WEFT_RETURN_IF_ERROR(read_field(kFields[0], parts[0], cron.minutes_));
  WEFT_RETURN_IF_ERROR(read_field(kFields[1], parts[1], cron.hours_));
  WEFT_RETURN_IF_ERROR(read_field(kFields[2], parts[2], cron.days_));
  WEFT_RETURN_IF_ERROR(read_field(kFields[3], parts[3], cron.months_));
  WEFT_RETURN_IF_ERROR(read_field(kFields[4], parts[4], cron.weekdays_));
  cron.any_hour_ = parts[1].starts_with('*');
  cron.any_day_ = parts[2].starts_with('*');
  cron.any_weekday_ = parts[4].starts_with('*');
  CivilDay day{2024, 1, 1};
  int looked = 0;
  for (; looked < kDaysAheadMax && !cron.fits(day); ++looked) day = next_day(day);
  if (looked == kDaysAheadMax)
    return invalid_argument(fmt::format("no day ever fits the schedule \"{}\"", printable(text)));
  return cron;
}

bool Cron::fits(CivilDay day) const {
  if (!months_.test(static_cast<std::size_t>(day.month))) return false;
  const bool of_month = days_.test(static_cast<std::size_t>(day.day));
  const bool of_week = weekdays_.test(static_cast<std::size_t>(weekday(day)));
  return any_day_ || any_weekday_ ? of_month && of_week : of_month || of_week;
}

std::vector<Time> Cron::of_day(CivilDay day, const Zone& zone) const {
  std::vector<Time> times;
  if (!fits(day)) return times;
  for (std::size_t hour = 0; hour < hours_.size(); ++hour) {
    if (!hours_.test(hour)) continue;
    for (std::size_t minute = 0; minute < minutes_.size(); ++minute) {
      if (!minutes_.test(minute)) continue;
      const Zone::Moments moments = zone.at(day, static_cast<int>(hour), static_cast<int>(minute));
      if (!(moments.is_skipped && any_hour_)) times.push_back(moments.first);
      if (moments.is_repeated() && any_hour_) times.push_back(moments.second);
    }
  }
  std::ranges::sort(times);
  const auto repeated = std::ranges::unique(times);
  times.erase(repeated.begin(), repeated.end());
  return times;
}

std::optional<Time> Cron::next(Time after, const Zone& zone) const {
  std::optional<Time> found;
  CivilDay day = next_day(zone.day_of(after), -1);
  for (int looked = 0; looked < kDaysAheadMax; ++looked, day = next_day(day)) {
    // Where clocks are set back over midnight, a time of the next day may come before one of this.
    const bool is_last = found.has_value();
    const std::vector<Time> times = of_day(day, zone);
    const auto first = std::ranges::upper_bound(times, after);
    if (first != times.end() && (!found || *first < *found)) found = *first;
    if (is_last) return found;
  }
  return found;
}

Cron::Due Cron::between(Time after, Time until, std::size_t times_max, const Zone& zone) const {
  Due due;
  after = std::max(after, until - kLookBackMax);
  std::vector<Time> all;
  const CivilDay last = next_day(zone.day_of(until));
  for (CivilDay day = next_day(zone.day_of(after), -1); day <= last; day = next_day(day)) {
    for (const Time time : of_day(day, zone)) {
      if (time > after && time <= until) all.push_back(time);
    }
  }
  std::ranges::sort(all);
  due.count = all.size();
  const std::size_t kept = std::min(times_max, all.size());
  due.times.assign(all.end() - static_cast<std::ptrdiff_t>(kept), all.end());
  return due;
}

}  // namespace weft::workflows
