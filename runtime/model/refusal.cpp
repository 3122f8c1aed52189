#include "runtime/model/refusal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <span>

#include "base/bytes.h"

namespace weft::model {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool has_any(std::string_view text, std::span<const std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return text.contains(word); });
}

// Servers tell apart in words only what their status does not. All lower case.
constexpr std::array<std::string_view, 11> kOverflow = {
    "exceed_context_size", "context_length_exceeded", "maximum context length",           "context length exceeded",
    "exceeds the context", "context window",          "available context size",           "prompt is too long",
    "input is too long",   "input length exceeds",    "reduce the length of the messages"};
constexpr std::array<std::string_view, 14> kHistory = {"must be passed back",
                                                       "missing `reasoning_content`",
                                                       "missing reasoning_content",
                                                       "failed to parse tool call arguments",
                                                       "invalid tool call arguments",
                                                       "expecting property name",
                                                       "expecting value:",
                                                       "unterminated string",
                                                       "must be followed by tool messages",
                                                       "must be a response to a preceding message with",
                                                       "did not have response messages",
                                                       "tool_call_id",
                                                       "tool_use_id",
                                                       "`tool_use` ids were found without"};
constexpr std::array<std::string_view, 7> kQuota = {
    "insufficient_quota", "insufficient balance", "insufficient_balance", "exceeded your current quota", "billing",
    "credit balance",     "insufficient credit"};
constexpr std::array<std::string_view, 5> kBlocked = {"content_filter", "content_policy", "content exists risk",
                                                      "content management policy", "safety system"};
// Input errors that a self-hosted server reports as 500, so that only the words say that no retry can mend them.
constexpr std::array<std::string_view, 9> kInput = {
    "invalid_request",           "json.exception",      "failed to parse messages",
    "failed to parse tools",     "not_supported_error", "is not supported",
    "unable to generate parser", "not_found_error",     "invalid_argument"};
constexpr std::array<std::string_view, 3> kOverloaded = {"overloaded", "server is busy", "no available capacity"};
constexpr std::array<std::string_view, 3> kRate = {"rate_limit", "rate limit", "too many requests"};
constexpr std::array<std::string_view, 3> kAuth = {"authentication_error", "invalid_api_key", "permission_error"};

std::string cut(std::string_view text) {
  std::size_t length = std::min(text.size(), kRefusalBytesMax);
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  return printable_lines(text.substr(0, length));
}

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  return found->is_number_integer() ? to_text(*found) : std::string();
}

// What an error object says: its message for people, and all its words for telling kinds apart.
struct Said {
  std::string message;
  std::string words;
  int code = 0;  // An HTTP status in the body, or 0.
};

Said read_said(const Json& error) {
  Said said;
  if (error.is_string()) {
    said.message = error.get<std::string>();
  } else if (error.is_object()) {
    said.message = text_of(error, "message");
    if (said.message.empty()) said.message = text_of(error, "detail");
    if (const auto code = error.find("code"); code != error.end() && code->is_number_integer()) {
      const auto value = code->get<std::int64_t>();
      if (value >= 400 && value <= 599) said.code = static_cast<int>(value);
    }
    said.words = text_of(error, "type") + "\n" + text_of(error, "code") + "\n";
  }
  if (said.message.empty()) said.message = to_text(error);
  said.words = lower(said.words + said.message);
  return said;
}

FailureKind kind_of_input(std::string_view words) {
  if (has_any(words, kOverflow)) return FailureKind::kContextOverflow;
  if (has_any(words, kBlocked)) return FailureKind::kBlocked;
  if (has_any(words, kHistory)) return FailureKind::kHistoryContract;
  return FailureKind::kInvalidRequest;
}

FailureKind kind_of(int status, std::string_view words) {
  switch (status) {
    case 401:
    case 403: return FailureKind::kAuth;
    case 402: return FailureKind::kQuota;
    case 408: return FailureKind::kTimeout;
    case 413: return has_any(words, kOverflow) ? FailureKind::kContextOverflow : FailureKind::kInvalidRequest;
    case 429: return has_any(words, kQuota) ? FailureKind::kQuota : FailureKind::kRateLimit;
    case 501: return FailureKind::kInvalidRequest;
    case 503:
    case 529: return FailureKind::kOverloaded;
    default: break;
  }
  if (status < 500) return kind_of_input(words);
  const FailureKind input = kind_of_input(words);
  if (input != FailureKind::kInvalidRequest || has_any(words, kInput)) return input;
  return has_any(words, kOverloaded) ? FailureKind::kOverloaded : FailureKind::kServer;
}

// "Sun, 06 Nov 1994 08:49:37 GMT", the one form that servers write since RFC 7231.
std::optional<std::chrono::sys_seconds> read_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || !text.ends_with(" GMT") || text[3] != ',') return {};
  const auto number = [&](std::size_t at, std::size_t length) {
    int value = -1;
    const char* const end = text.data() + at + length;
    const auto [stop, error] = std::from_chars(text.data() + at, end, value);
    return error == std::errc() && stop == end ? value : -1;
  };
  const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  const int day = number(5, 2);
  const int year = number(12, 4);
  const int hour = number(17, 2);
  const int minute = number(20, 2);
  const int second = number(23, 2);
  if (month == kMonths.end() || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return {};
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return {};
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

}  // namespace

Refusal read_refusal(int status, std::string_view body) {
  Said said;
  const Result<Json> parsed = parse_untrusted(body);
  if (parsed && parsed->is_object()) {
    const auto error = parsed->find("error");
    said = read_said(error == parsed->end() ? *parsed : *error);
  } else {
    said.words = lower(body.substr(0, kRefusalBytesMax));
    said.message = std::string(body.substr(0, body.find_last_not_of(" \t\r\n") + 1));
  }
  if (status >= 300 && status < 400) {
    return {FailureKind::kInvalidRequest,
            fmt::format("HTTP {}: the server redirects, which is not followed: check the base URL", status)};
  }
  std::string message = fmt::format("HTTP {}", status);
  if (!said.message.empty()) message += ": " + cut(said.message);
  return {kind_of(status, said.words), std::move(message)};
}

Refusal read_error_event(const Json& error) {
  const Said said = read_said(error);
  Refusal refusal{FailureKind::kOverloaded, cut(said.message)};
  if (said.code != 0) {
    refusal.kind = kind_of(said.code, said.words);
  } else if (has_any(said.words, kOverflow) || has_any(said.words, kHistory) || has_any(said.words, kBlocked) ||
             has_any(said.words, kInput)) {
    refusal.kind = kind_of_input(said.words);
  } else if (has_any(said.words, kQuota)) {
    refusal.kind = FailureKind::kQuota;
  } else if (has_any(said.words, kRate)) {
    refusal.kind = FailureKind::kRateLimit;
  } else if (has_any(said.words, kAuth)) {
    refusal.kind = FailureKind::kAuth;
  }
  return refusal;
}

std::optional<Duration> read_retry_after(const HttpHead& head) {
  constexpr Duration kLongest = std::chrono::hours(24);
  const auto whole = [](std::string_view text) -> std::optional<std::int64_t> {
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range && !text.starts_with('-')) return INT64_MAX;
    // "1.5" counts as 1: a fraction changes nothing that matters.
    if (error != std::errc() || (stop != text.data() + text.size() && *stop != '.') || value < 0) return {};
    return value;
  };
  if (const auto ms = whole(head.header("retry-after-ms"))) {
    return std::min(kLongest, Duration(std::min<std::int64_t>(*ms, 100'000'000) * 1000));
  }
  const std::string_view text = head.header("retry-after");
  if (const auto seconds = whole(text)) {
    return std::min(kLongest, Duration(std::min<std::int64_t>(*seconds, 100'000) * 1'000'000));
  }
  const auto until = read_http_date(text);
  if (!until) return {};
  // The server's own clock, where it tells the time: then a wrong clock here does no harm.
  const auto said = read_http_date(head.header("date"));
  const Time now = said ? Time(*said) : SystemClock().now();
  return std::clamp(std::chrono::duration_cast<Duration>(*until - now), Duration{0}, kLongest);
}

std::string read_request_id(const HttpHead& head) {
  for (const std::string_view name : {"x-request-id", "x-deepseek-request-id", "request-id", "x-ds-trace-id"}) {
    if (const std::string_view id = head.header(name); !id.empty()) return printable(id.substr(0, 256));
  }
  return {};
}

}  // namespace weft::model
