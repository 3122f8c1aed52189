// Durations and timestamps as text, by https://github.com/google/cel-spec and RFC 3339.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "workflows/expression/functions.h"

namespace weft::workflows::expression {
namespace {

constexpr std::int64_t kNanosecondsPerMicrosecond = 1'000;
constexpr std::int64_t kSecond = 1'000'000;

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
// A name that begins another one stands after it.
constexpr Unit kUnits[] = {{"ms", 1'000'000},        {"us", 1'000},         {"ns", 1},
                           {"s", 1'000'000'000},     {"m", 60'000'000'000}, {"h", 3'600'000'000'000},
                           {"d", 86'400'000'000'000}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Exactly `count` digits.
bool take_number(std::string_view& text, std::size_t count, int& out) {
  if (text.size() < count) return false;
  out = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_digit(text[i])) return false;
    out = out * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return true;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text[0]) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// Fraction digits after a dot, as so many of `unit`.
bool take_fraction(std::string_view& text, std::int64_t unit, std::int64_t& out) {
  if (text.empty() || !is_digit(text[0])) return false;
  out = 0;
  for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1)) {
    unit /= 10;
    out += unit * (text[0] - '0');
  }
  return true;
}

}  // namespace

bool parse_span(std::string_view text, std::int64_t& microseconds) {
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (text == "0") {
    microseconds = 0;
    return true;
  }
  std::int64_t total = 0;
  if (text.empty()) return false;
  while (!text.empty()) {
    std::int64_t whole = 0;
    const std::size_t length = text.size();
    for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1)) {
      if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, text[0] - '0', &whole))
        return false;
    }
    std::string_view fraction = text;
    const bool dotted = take(text, ".");
    if (dotted) {
      fraction = text;
      while (!text.empty() && is_digit(text[0])) text.remove_prefix(1);
      if (fraction.size() == text.size()) return false;
    }
    if (text.size() == length) return false;
    const Unit* unit = nullptr;
    for (const auto& known : kUnits) {
      if (!unit && text.starts_with(known.name)) unit = &known;
    }
    if (!unit) return false;
    text.remove_prefix(unit->name.size());
    std::int64_t part = 0;
    if (dotted) take_fraction(fraction, unit->nanoseconds, part);
    if (__builtin_mul_overflow(whole, unit->nanoseconds, &whole) || __builtin_add_overflow(total, whole, &total) ||
        __builtin_add_overflow(total, part, &total)) {
      return false;
    }
  }
  microseconds = (negative ? -total : total) / kNanosecondsPerMicrosecond;
  return true;
}

bool parse_instant(std::string_view text, std::int64_t& microseconds) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!take_number(text, 4, year) || !take(text, "-") || !take_number(text, 2, month) || !take(text, "-") ||
      !take_number(text, 2, day) || !take(text, "Tt") || !take_number(text, 2, hour) || !take(text, ":") ||
      !take_number(text, 2, minute) || !take(text, ":") || !take_number(text, 2, second)) {
    return false;
  }
  std::int64_t fraction = 0;
  if (take(text, ".") && !take_fraction(text, kSecond, fraction)) return false;
  std::int64_t offset = 0;  // Minutes.
  if (!take(text, "Zz")) {
    int hours = 0, minutes = 0;
    if (text.empty() || (text[0] != '+' && text[0] != '-')) return false;
    const int sign = text[0] == '-' ? -1 : 1;
    text.remove_prefix(1);
    if (!take_number(text, 2, hours) || !take(text, ":") || !take_number(text, 2, minutes)) return false;
    if (hours > 23 || minutes > 59) return false;
    offset = sign * (hours * 60 + minutes);
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!text.empty() || !date.ok() || hour > 23 || minute > 59 || second > 59) return false;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  microseconds = (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * kSecond + fraction;
  return is_instant(microseconds);
}

bool is_instant(std::int64_t microseconds) {
  constexpr std::int64_t kFirst = -62'135'596'800 * kSecond;     // 0001-01-01T00:00:00Z
  constexpr std::int64_t kLast = 253'402'300'800 * kSecond - 1;  // The last of 9999-12-31.
  return microseconds >= kFirst && microseconds <= kLast;
}

std::string span_text(std::int64_t microseconds) {
  const std::uint64_t size = microseconds < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(microseconds)
                                              : static_cast<std::uint64_t>(microseconds);
  std::string fraction = fmt::format(".{:06}", size % kSecond);
  while (fraction.back() == '0') fraction.pop_back();
  if (fraction == ".") fraction.clear();
  return fmt::format("{}{}{}s", microseconds < 0 ? "-" : "", size / kSecond, fraction);
}

std::string instant_text(std::int64_t microseconds) {
  const std::chrono::sys_time<std::chrono::microseconds> time{std::chrono::microseconds(microseconds)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::int64_t rest = (time - day).count();
  const std::int64_t seconds = rest / kSecond;
  std::string fraction = fmt::format(".{:06}", rest % kSecond);
  while (fraction.back() == '0') fraction.pop_back();
  if (fraction == ".") fraction.clear();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), seconds / 3600,
                     seconds / 60 % 60, seconds % 60, fraction);
}

}  // namespace weft::workflows::expression
