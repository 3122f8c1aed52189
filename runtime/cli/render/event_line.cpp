#include "runtime/cli/render/event_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ctime>

#include "base/bytes.h"
#include "base/time.h"
#include "runtime/cli/render/figures.h"
#include "runtime/cli/render/json_view.h"
#include "runtime/history/trace_tree.h"

namespace weft::cli {
namespace {

constexpr std::size_t kColumns = 80;

std::string inline_text(const v1::Content& content, const Look& look) {
  if (content.has_blob()) return fmt::format("({} bytes)", content.blob().size());
  return clip(content.inline_(), kColumns, look.unicode);
}

std::string result_text(const v1::StepResult& result, const Look& look) {
  std::string text = status_name(result.status());
  if (result.has_failure()) text += ": " + clip(result.failure().message(), kColumns, look.unicode);
  if (result.limited()) text += "  limited";
  return text;
}

std::string failed_call(const v1::ModelCallFailed& failed, const Look& look) {
  const v1::Cost* cost = failed.has_cost() ? &failed.cost() : nullptr;
  if (failed.failure() == "lost") return fmt::format("model call lost, estimated  {}", usd_text(cost));
  return fmt::format("model call failed: {}: {}", failed.failure(), clip(failed.message(), kColumns, look.unicode));
}

std::string what(const v1::Event& event, const Look& look) {
  using Kind = v1::Event::KindCase;
  switch (event.kind_case()) {
    case Kind::kRunSubmitted: return "submitted  " + event.run_submitted().workflow();
    case Kind::kRunEnded:
      return "ended  " + status_name(event.run_ended().status()) +
             (event.run_ended().has_failure() ? ": " + event.run_ended().failure().message() : "");
    case Kind::kCancelRequested: return event.cancel_requested().kill() ? "kill asked for" : "cancel asked for";
    case Kind::kSignalReceived: return "signal " + event.signal_received().name();
    case Kind::kSignalTaken: return fmt::format("took the signal of event {}", event.signal_taken().seq());
    case Kind::kRunPaused: return "paused";
    case Kind::kRunRetried: return "retried";
    case Kind::kRunForked:
      return fmt::format("forked from {} at {}; what is above happened there", event.run_forked().source_run(),
                         event.run_forked().from());
    case Kind::kRunResumed: return "resumed";
    case Kind::kAnswered: return "answered: " + inline_text(event.answered().value_json(), look);
    case Kind::kFinallyStarted: return "finally begins  " + result_text(event.finally_started().result(), look);
    case Kind::kJoinMet: return fmt::format("join met by {}", fmt::join(event.join_met().steps(), ", "));
    case Kind::kAttemptStarted:
      if (event.attempt_started().kind() == v1::STEP_KIND_ASK)
        return "asks: " + inline_text(event.attempt_started().input(), look);
      return kind_name(event.attempt_started().kind()) + " started" +
             (event.attempt() > 1 ? fmt::format(", attempt {}", event.attempt()) : "") +
             (event.attempt_started().label().empty() ? "" : "  " + event.attempt_started().label());
    case Kind::kAttemptFailed: return "attempt failed, another follows: " + event.attempt_failed().failure().message();
    case Kind::kFanOutStarted: return fmt::format("{} elements", event.fan_out_started().count());
    case Kind::kRoundEnded:
      return "round " + result_text(event.round_ended().result(), look) +
             (event.round_ended().verdict() == v1::ROUND_VERDICT_ASK ? "  no rounds left, asks: more, keep or fail"
                                                                     : "");
    case Kind::kElementEnded: return result_text(event.element_ended().result(), look);
    case Kind::kStepEnded:
      return event.step_ended().result().status() == v1::STEP_STATUS_SKIPPED
                 ? skip_text(event.step_ended().result(), event.step_ended().cause())
                 : result_text(event.step_ended().result(), look);
    case Kind::kModelCallStarted:
      return fmt::format("model {}  turn {}", event.model_call_started().model(), event.turn());
    case Kind::kModelCallEnded:
      return fmt::format("model answered  {}  {}  {}", to_text(Duration(event.model_call_ended().total_us())),
                         usage_text(event.model_call_ended().usage()),
                         usd_text(event.model_call_ended().has_cost() ? &event.model_call_ended().cost() : nullptr));
    case Kind::kModelCallFailed: return failed_call(event.model_call_failed(), look);
    case Kind::kCallRefused: return "refused: " + event.call_refused().failure().message();
    case Kind::kToolCallStarted:
      return fmt::format("tool call {}: {} {}", event.call(), event.tool_call_started().tool(),
                         inline_text(event.tool_call_started().arguments(), look));
    case Kind::kToolCallEnded:
      return fmt::format("tool call {} {}  {}", event.call(), outcome_name(event.tool_call_ended().outcome()),
                         to_text(Duration(event.tool_call_ended().total_us())));
    case Kind::kToolCallInDoubt: return "in doubt: " + event.tool_call_in_doubt().why();
    case Kind::kToolCallVerified: return history::verified_text(event);
    case Kind::kToolCallResolved: return history::resolved_text(event);
    default: return "";
  }
}

std::tm local_tm(std::int64_t at_us) {
  const auto seconds = static_cast<std::time_t>(at_us / 1'000'000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  return local;
}

}  // namespace

std::string local_time(std::int64_t at_us) {
  const std::tm local = local_tm(at_us);
  return fmt::format("{:02}:{:02}:{:02}.{:03}", local.tm_hour, local.tm_min, local.tm_sec, at_us / 1000 % 1000);
}

std::string local_date_time(std::int64_t at_us) {
  const std::tm local = local_tm(at_us);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", local.tm_year + 1900, local.tm_mon + 1, local.tm_mday,
                     local.tm_hour, local.tm_min, local.tm_sec);
}

std::string event_line(const v1::Event& event, const Look& look) {
  const std::string said = what(event, look);
  if (said.empty()) return "";
  std::string line = paint(look, Colour::kDim, local_time(event.at_us())) + "  ";
  if (!event.path().empty()) line += paint(look, Colour::kBold, printable(event.path())) + "  ";
  return line + printable(said);
}

}  // namespace weft::cli
