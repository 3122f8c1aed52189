#include "runtime/engine/late_inputs.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "runtime/engine/request_validation.h"
#include "runtime/history/content_store.h"
#include "runtime/history/event_codec.h"
#include "workflows/path.h"

namespace weft::engine {
namespace {

// Whether an answer that is recorded, as JSON, is what is being said now.
Result<bool> says_the_same(const v1::RunsAnswerRequest& request, const std::string& recorded) {
  if (request.has_text()) {
    // Which of both it was, the question's kind decided when it was answered.
    const auto form = parse_untrusted(request.text());
    return to_text(Json(request.text())) == recorded || (form && to_text(*form) == recorded);
  }
  WEFT_TRY(const Json value, parse_untrusted(request.value_json()));
  const bool as_choice = value.is_number() && to_text(Json(without_blanks(request.value_json()))) == recorded;
  return to_text(value) == recorded || as_choice;
}

}  // namespace

template <class Response>
void LateInputs::look_up(Reply<Response> reply, std::move_only_function<Result<Response>()> look) {
  if (reads_.fetch_add(1) >= kLateReadsMax) {
    --reads_;
    return reply(
        resource_exhausted(fmt::format("{} late answers, signals and cancels are being looked up, which is the "
                                       "limit; try again",
                                       kLateReadsMax))
            .with("limit", "late_reads_max")
            .with("retry_after_ms", "1000"));
  }
  pool_.run([this, reply = std::move(reply), look = std::move(look)]() mutable {
    reply(look());
    --reads_;
  });
}

void LateInputs::answer(const std::string& run_id, const v1::RunsAnswerRequest& request,
                        Reply<v1::RunsAnswerResponse> reply) {
  look_up<v1::RunsAnswerResponse>(std::move(reply), [this, run_id, request] { return past_answer(run_id, request); });
}

void LateInputs::signal(const std::string& run_id, const v1::RunsSignalRequest& request,
                        Reply<v1::RunsSignalResponse> reply) {
  look_up<v1::RunsSignalResponse>(std::move(reply), [this, run_id, request] { return past_signal(run_id, request); });
}

void LateInputs::cancel(const std::string& run_id, Reply<v1::RunsCancelResponse> reply) {
  look_up<v1::RunsCancelResponse>(std::move(reply), [this, run_id] { return past_cancel(run_id); });
}

Status LateInputs::each_event(const std::string& run_id,
                              const std::function<Result<bool>(const v1::Event&)>& look) const {
  return history::for_each_event(reader_, run_id, 1, [&](const v1::Event& event) -> Result<bool> {
    if (stopped_) return unavailable(std::string(kDropped));
    return look(event);
  });
}

Result<v1::Run> LateInputs::run(const std::string& run_id) const {
  v1::RunsGetRequest get;
  get.set_run_id(run_id);
  WEFT_TRY(auto found, queries_.get_run(get));
  return std::move(*found.mutable_run());
}

Result<v1::RunsAnswerResponse> LateInputs::past_answer(const std::string& run_id,
                                                       const v1::RunsAnswerRequest& request) const {
  enum class Fate : std::uint8_t { kNever, kOpen, kAnswered, kExpired, kOver } fate = Fate::kNever;
  std::optional<v1::Content> answered;
  WEFT_RETURN_IF_ERROR(each_event(run_id, [&](const v1::Event& event) {
    if (!workflows::names_path(request.path(), event.path(), event.attempt()) &&
        !workflows::names_path(request.path(), event.path(), 1))
      return true;
    const bool asks_on = event.round_ended().verdict() == v1::ROUND_VERDICT_ASK;
    if (event.attempt_started().kind() == v1::STEP_KIND_ASK || asks_on) fate = Fate::kOpen;
    if (fate == Fate::kOpen && event.timer_fired().timer() == v1::TIMER_KIND_EXPIRY) fate = Fate::kExpired;
    if (fate == Fate::kOpen && event.has_step_ended()) fate = Fate::kOver;
    if (event.has_answered()) fate = Fate::kAnswered;
    if (event.has_answered()) answered = event.answered().value_json();
    return true;
  }));
  WEFT_TRY(v1::Run now, run(run_id));
  const std::string place = fmt::format("the question at {} of run {}", printable(request.path()), run_id);
  switch (fate) {
    case Fate::kAnswered: {
      const auto recorded = history::read_content(*answered, reader_);
      if (!recorded) return history::not_read(recorded.error());
      WEFT_TRY(const bool same, says_the_same(request, **recorded));
      if (!same) return already_exists(fmt::format("{} was answered before, and otherwise", place));
      v1::RunsAnswerResponse response;
      response.set_existing(true);
      response.mutable_run()->Swap(&now);
      return response;
    }
    case Fate::kExpired: return out_of_range(fmt::format("{} has expired", place));
    case Fate::kOver:
    case Fate::kOpen:
      return failed_precondition(fmt::format("{} is over: nobody waits for its answer any more", place));
    case Fate::kNever: break;
  }
  return not_found(fmt::format("run {} asks nothing at \"{}\"{}", run_id, printable(request.path()),
                               now.waits_for().empty() ? "" : "; it waits for " + now.waits_for()));
}

Result<v1::RunsSignalResponse> LateInputs::past_signal(const std::string& run_id,
                                                       const v1::RunsSignalRequest& request) const {
  WEFT_TRY(v1::Run now, run(run_id));
  bool came = false;
  if (!request.signal_id().empty()) {
    WEFT_RETURN_IF_ERROR(each_event(run_id, [&](const v1::Event& event) {
      came = event.signal_received().id() == request.signal_id();
      return !came;
    }));
  }
  if (came) {
    v1::RunsSignalResponse response;
    response.set_existing(true);
    response.mutable_run()->Swap(&now);
    return response;
  }
  if (now.ended_at_us() != 0)
    return failed_precondition(fmt::format("run {} has ended, so no signal reaches it", run_id));
  return failed_precondition(fmt::format("no signal reaches run {} now: it waits for {}", run_id, now.waits_for()));
}

Result<v1::RunsCancelResponse> LateInputs::past_cancel(const std::string& run_id) const {
  WEFT_TRY(v1::Run now, run(run_id));
  if (now.ended_at_us() == 0)
    return failed_precondition(fmt::format("run {} is not cancelled: it waits for {}", run_id, now.waits_for()));
  v1::RunsCancelResponse over;
  over.mutable_run()->Swap(&now);
  return over;
}

}  // namespace weft::engine
