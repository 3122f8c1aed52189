#include "runtime/engine/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/engine/event_at.h"
#include "runtime/engine/request_validation.h"
#include "runtime/engine/respond_with.h"
#include "workflows/path.h"

namespace weft::engine::inputs {
namespace {

// What was typed, as a form reads it: JSON, else the text itself.
Result<Json> typed(const workflows::Shape& form, const std::string& text) {
  if (form.is_any() || form.type().kind() == workflows::Type::Kind::kString)
    return form.validate(Json(text), "the answer");
  auto json = parse_untrusted(text);
  return form.validate(json ? *std::move(json) : Json(text), "the answer");
}

// The value as the question wants it: one of its choices, as it was typed, or what fits its form.
Result<Json> fitting(const run::OpenWait& question, const v1::RunsAnswerRequest& request) {
  const auto& choices = question.waiting.choices();
  if (choices.empty() && request.has_text()) return typed(question.step->output, request.text());
  Json value = request.text();
  if (!request.has_text()) {
    WEFT_TRY(value, parse_untrusted(request.value_json()));
  }
  if (choices.empty()) return question.step->output.validate(std::move(value), "the answer");
  // A number has more than one spelling; the choice is the one that was written.
  const std::string text = value.is_string() ? value.get<std::string>() : without_blanks(request.value_json());
  if (std::ranges::find(choices, text) != choices.end()) return Json(text);
  std::string all;
  for (const std::string& choice : choices) all += (all.empty() ? "" : ", ") + choice;
  return invalid_argument(
      fmt::format("\"{}\" is none of the choices at {}: {}", printable(text), question.key.path, all));
}

// The call in doubt that the path means.
Result<run::Doubt> doubt_at(const run::Run& run, const std::string& meant_path) {
  constexpr std::size_t kShownMax = 200;
  std::optional<run::Doubt> meant;
  std::string open;
  for (const run::Doubt& doubt : run.doubts()) {
    const std::string path = workflows::call_path(doubt.key.path, doubt.key.attempt, doubt.key.turn, doubt.key.call);
    const bool fits = meant_path == path || meant_path == doubt.key.path;
    if (fits && meant && meant_path != path) {
      return failed_precondition(
          fmt::format("more than one call at {} is in doubt; name one of them, such as {}", meant_path, path));
    }
    if (fits) meant = doubt;
    if (open.size() < kShownMax) open += (open.empty() ? "" : ", ") + path;
  }
  if (meant) return *std::move(meant);
  return failed_precondition(fmt::format("nothing is in doubt at \"{}\" of run {}; {}", printable(meant_path),
                                         run.identity().run_id(),
                                         open.empty() ? "no call of it is" : "these calls are: " + open));
}

}  // namespace

Result<Input> cancel(const run::Run& run, const v1::CancelRequested& request) {
  if (run.finishing() && !request.kill()) {
    return failed_precondition(
        fmt::format("run {} has its result, and its finally steps are at work: it cannot be cancelled any more; "
                    "`weft kill {}` ends it at once",
                    run.identity().run_id(), run.identity().run_id()));
  }
  Input input;
  *input.event.mutable_cancel_requested() = request;
  return input;
}

Result<Input> set_paused(const run::Run& run, v1::Event event) {
  if (event.has_run_paused() && !run.paused() && !run.expects(event)) {
    return failed_precondition(
        fmt::format("run {} is being cancelled or has just ended, so it cannot be paused", run.identity().run_id()));
  }
  return Input{.event = std::move(event)};
}

Result<Input> resolve(const run::Run& run, const v1::RunsResolveRequest& request, run::Contents& contents) {
  WEFT_TRY(const run::Doubt meant, doubt_at(run, request.path()));
  if (meant.closing && request.resolution() == v1::RESOLUTION_RETRY) {
    return failed_precondition(fmt::format(
        "the call at {} is not waited for any more, so it does not leave again; say done or skip", request.path()));
  }
  Input input{.event = event_at(meant.key)};
  v1::ToolCallResolved& resolved = *input.event.mutable_tool_call_resolved();
  resolved.set_resolution(request.resolution());
  resolved.set_reason(request.reason());
  resolved.set_new_key(request.new_key());
  resolved.set_by(v1::RESOLVED_BY_OPERATOR);
  if (request.resolution() == v1::RESOLUTION_DONE) {
    WEFT_TRY(*resolved.mutable_output_json(), contents.put(request.output_json()));
  }
  return input;
}

Result<Input> answer(const run::Run& run, const v1::RunsAnswerRequest& request, run::Contents& contents) {
  std::vector<run::OpenWait> meant;
  for (const run::OpenWait& wait : run.open_waits()) {
    if (wait.asks && workflows::names_path(request.path(), wait.key.path, wait.key.attempt)) meant.push_back(wait);
  }
  if (meant.size() > 1) {
    return invalid_argument(fmt::format("several questions are open at \"{}\", such as {} and {}: name one",
                                        printable(request.path()), meant[0].key.path, meant[1].key.path));
  }
  if (meant.empty()) return Input{.kind = Input::Kind::kPast};
  WEFT_TRY(const Json value, fitting(meant.front(), request));
  Input input{.event = event_at(meant.front().key)};
  v1::Answered& answered = *input.event.mutable_answered();
  WEFT_TRY(*answered.mutable_value_json(), contents.put(to_text(value)));
  answered.set_by(request.by());
  answered.set_by_token(request.by_token());
  return input;
}

Result<Input> signal(const run::Run& run, const v1::RunsSignalRequest& request, run::Contents& contents) {
  if (!request.signal_id().empty() && run.has_signal(request.signal_id())) return Input{.kind = Input::Kind::kKnown};
  if (run.ended()) return Input{.kind = Input::Kind::kPast};
  if (run.signals_kept() >= run::kSignalsMax) {
    return resource_exhausted(
               fmt::format("run {} keeps {} signals that no step has taken, which is the limit; try again when some "
                           "have been",
                           run.identity().run_id(), run::kSignalsMax))
        .with("limit", "signals_max")
        .with("retry_after_ms", "1000");
  }
  Input input;
  v1::SignalReceived& received = *input.event.mutable_signal_received();
  received.set_name(request.name());
  received.set_id(request.signal_id());
  WEFT_TRY(*received.mutable_payload_json(), contents.put(request.payload_json()));
  return input;
}

namespace {

template <class Response>
Reply<Said> told_run(Reply<Response> reply) {
  return [caller = with_run(std::move(reply))](Result<Said> said) mutable {
    if (!said) return caller(std::move(said).error());
    caller(std::move(said->run));
  };
}

}  // namespace

Request to_cancel(v1::CancelRequested request, Reply<v1::RunsCancelResponse> reply) {
  return {.draft = [request = std::move(request)](const run::Run& run, run::Contents&) { return cancel(run, request); },
          .reply = told_run(std::move(reply)),
          .urgency = Request::Urgency::kUrgent,
          .unread = Request::Unread::kTaken};
}

Request to_hold(v1::Event event, Reply<v1::Run> reply) {
  const bool pauses = event.has_run_paused();
  Reply<Said> told = [pauses, reply = std::move(reply)](Result<Said> said) mutable {
    if (!said) return reply(std::move(said).error());
    // What is under way may still go on.
    if (pauses && said->run.ended_at_us() == 0) said->run.set_status(v1::RUN_STATUS_PAUSED);
    reply(std::move(said->run));
  };
  return {.draft = [event = std::move(event)](const run::Run& run, run::Contents&) { return set_paused(run, event); },
          .reply = std::move(told),
          .urgency = Request::Urgency::kUrgent};
}

Request to_resolve(v1::RunsResolveRequest request, Reply<v1::RunsResolveResponse> reply) {
  return {.draft = [request = std::move(request)](const run::Run& run,
                                                  run::Contents& contents) { return resolve(run, request, contents); },
          .reply = told_run(std::move(reply))};
}

Request to_answer(v1::RunsAnswerRequest request, Reply<v1::RunsAnswerResponse> reply) {
  return {.draft = [request = std::move(request)](const run::Run& run,
                                                  run::Contents& contents) { return answer(run, request, contents); },
          .reply = told_run(std::move(reply))};
}

Request to_signal(v1::RunsSignalRequest request, Reply<v1::RunsSignalResponse> reply) {
  Reply<Said> told = [reply = std::move(reply)](Result<Said> said) mutable {
    if (!said) return reply(std::move(said).error());
    v1::RunsSignalResponse response;
    response.set_existing(said->known);
    response.mutable_run()->Swap(&said->run);
    reply(std::move(response));
  };
  return {.draft = [request = std::move(request)](const run::Run& run,
                                                  run::Contents& contents) { return signal(run, request, contents); },
          .reply = std::move(told)};
}

}  // namespace weft::engine::inputs
