#include "runtime/engine/late.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "workflows/path.h"

namespace weft::engine {

Result<v1::RunsAnswerResponse> past_answer(const Reading& reading, const std::string& run_id,
                                           const v1::RunsAnswerRequest& request) {
  constexpr std::size_t kPageBytes = std::size_t{4} << 20;
  enum class Fate : std::uint8_t { kNever, kOpen, kAnswered, kExpired, kOver } fate = Fate::kNever;
  std::string answered;
  const auto value = parse_untrusted(request.value_json());
  if (!value) return value.error();
  for (std::uint64_t from = 1;;) {
    WEFT_TRY(const std::vector<v1::Event> events, reading.events(run_id, from, kPageBytes));
    if (events.empty()) break;
    from = events.back().seq() + 1;
    for (const v1::Event& event : events) {
      if (!workflows::names_path(request.path(), event.path(), event.attempt()) &&
          !workflows::names_path(request.path(), event.path(), 1))
        continue;
      const bool asks_on = event.round_ended().verdict() == v1::ROUND_VERDICT_ASK;
      if (event.attempt_started().kind() == v1::STEP_KIND_ASK || asks_on) fate = Fate::kOpen;
      if (fate == Fate::kOpen && event.timer_fired().timer() == v1::TIMER_KIND_EXPIRY) fate = Fate::kExpired;
      if (fate == Fate::kOpen && event.has_step_ended()) fate = Fate::kOver;
      if (!event.has_answered()) continue;
      fate = Fate::kAnswered;
      answered = event.answered().value_json().inline_();
      if (!event.answered().value_json().has_blob()) continue;
      WEFT_TRY(const auto bytes, reading.content(event.answered().value_json().blob().sha256()));
      answered = *bytes;
    }
  }
  v1::RunsGetRequest get;
  get.set_run_id(run_id);
  WEFT_TRY(auto run, reading.get_run(get));
  const std::string place = fmt::format("the question at {} of run {}", printable(request.path()), run_id);
  switch (fate) {
    case Fate::kAnswered: {
      const bool same =
          to_text(*value) == answered || (value->is_number() && "\"" + to_text(*value) + "\"" == answered);
      if (!same) return already_exists(fmt::format("{} was answered before, and otherwise", place));
      v1::RunsAnswerResponse response;
      response.set_existing(true);
      *response.mutable_run() = std::move(*run.mutable_run());
      return response;
    }
    case Fate::kExpired: return out_of_range(fmt::format("{} has expired", place));
    case Fate::kOver:
    case Fate::kOpen:
      return failed_precondition(fmt::format("{} is over: nobody waits for its answer any more", place));
    case Fate::kNever: break;
  }
  return not_found(fmt::format("run {} asks nothing at \"{}\"{}", run_id, printable(request.path()),
                               run.run().waits_for().empty() ? "" : "; it waits for " + run.run().waits_for()));
}

Result<v1::RunsSignalResponse> past_signal(const Reading& reading, const std::string& run_id,
                                           const v1::RunsSignalRequest& request) {
  constexpr std::size_t kPageBytes = std::size_t{4} << 20;
  const auto is_it = [&](const v1::Event& event) { return event.signal_received().id() == request.signal_id(); };
  v1::RunsGetRequest get;
  get.set_run_id(run_id);
  WEFT_TRY(auto run, reading.get_run(get));
  for (std::uint64_t from = 1; !request.signal_id().empty();) {
    WEFT_TRY(const std::vector<v1::Event> events, reading.events(run_id, from, kPageBytes));
    if (events.empty()) break;
    from = events.back().seq() + 1;
    if (!std::ranges::any_of(events, is_it)) continue;
    v1::RunsSignalResponse response;
    response.set_existing(true);
    *response.mutable_run() = std::move(*run.mutable_run());
    return response;
  }
  if (run.run().ended_at_us() != 0)
    return failed_precondition(fmt::format("run {} has ended, so no signal reaches it", run_id));
  return failed_precondition(
      fmt::format("no signal reaches run {} now: it waits for {}", run_id, run.run().waits_for()));
}

}  // namespace weft::engine
