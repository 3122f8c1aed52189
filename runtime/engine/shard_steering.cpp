// What people and programs say to a run: cancel, resolve, answer, signal, pause.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/engine/held_in.h"
#include "runtime/engine/shard.h"
#include "workflows/path.h"

namespace weft::engine {
namespace {

// The value as the question wants it: one of its choices, or what fits its form.
Result<Json> fitting(const run::OpenWait& question, const Json& value) {
  const auto& choices = question.waiting.choices();
  if (choices.empty()) return question.step->output.validate(value, "the answer");
  const std::string text = value.is_string() ? value.get<std::string>() : to_text(value);
  if (std::ranges::find(choices, text) != choices.end()) return Json(text);
  std::string all;
  for (const std::string& choice : choices) all += (all.empty() ? "" : ", ") + choice;
  return invalid_argument(
      fmt::format("\"{}\" is none of the choices at {}: {}", printable(text), question.key.path, all));
}

}  // namespace

void Shard::steer(std::string run_id, std::move_only_function<void(Active&)> act,
                  std::move_only_function<void(Error)> refuse) {
  loop_.post([this, run_id = std::move(run_id), act = std::move(act), refuse = std::move(refuse)]() mutable {
    Active* active = wake(run_id);
    if (active == nullptr) return refuse(not_found(fmt::format("run {} is not at work here", run_id)));
    if (active->frozen) return refuse(world_.frozen.refusal().value_or(unavailable("the store cannot be written")));
    // Also where nothing is to be written: who was overtaken knows the run as it was.
    if (!owns(*active)) return refuse(aborted(fmt::format("run {} is no longer served here", run_id)));
    act(*active);
    // What was woken for nothing sleeps again.
    if (Active* still = find(run_id)) consider_rest(*still);
  });
}

bool Shard::say(Active& active, v1::Event event, Done<v1::Run> done) {
  const bool expected = active.run->expects(event);
  if (!expected) tell(active, std::move(done));
  if (!expected) return false;
  active.asking.emplace_back(active.run->last_seq() + 1, std::move(done));
  answer(std::string(active.id), std::move(event));
  return true;
}

void Shard::tell(Active& active, Done<v1::Run> done) {
  active.asking.emplace_back(active.run->last_seq(), std::move(done));
  durable(std::string(active.id), active.durable_seq, memory::Appended{});
}

void Shard::cancel(std::string run_id, v1::CancelRequested request, Done<v1::RunsCancelResponse> done) {
  auto shared = std::make_shared<Done<v1::RunsCancelResponse>>(std::move(done));
  steer(
      std::move(run_id),
      [this, request = std::move(request), shared](Active& active) mutable {
        if (active.run->finishing() && !request.kill()) {
          return (*shared)(failed_precondition(
              fmt::format("run {} has its result, and its finally steps are at work: it cannot be cancelled any more; "
                          "`weft kill {}` ends it at once",
                          active.id, active.id)));
        }
        v1::Event event;
        *event.mutable_cancel_requested() = std::move(request);
        say(active, std::move(event), with_run(std::move(*shared)));
      },
      [shared](Error error) { (*shared)(std::move(error)); });
}

void Shard::hold(std::string run_id, v1::Event event, Done<v1::Run> done) {
  auto shared = std::make_shared<Done<v1::Run>>(std::move(done));
  steer(
      std::move(run_id),
      [this, event = std::move(event), shared](Active& active) mutable {
        const bool pauses = event.has_run_paused();
        if (pauses && !active.run->paused() && !active.run->expects(event)) {
          return (*shared)(failed_precondition(
              fmt::format("run {} is being cancelled or has just ended, so it cannot be paused", active.id)));
        }
        say(active, std::move(event), [pauses, shared](Result<v1::Run> run) {
          // What is under way may still go on.
          if (run && pauses && run->ended_at_us() == 0) run->set_status(v1::RUN_STATUS_PAUSED);
          (*shared)(std::move(run));
        });
      },
      [shared](Error error) { (*shared)(std::move(error)); });
}

void Shard::resolve(std::string run_id, v1::RunsResolveRequest request, Done<v1::RunsResolveResponse> done) {
  auto shared = std::make_shared<Done<v1::RunsResolveResponse>>(std::move(done));
  const auto refuse = [shared](Error error) { (*shared)(std::move(error)); };
  steer(
      std::move(run_id),
      [this, request = std::move(request), shared, refuse](Active& active) mutable {
        const std::vector<run::Doubt> doubts = active.run->doubts();
        const run::Doubt* meant = nullptr;
        std::string open;
        for (const run::Doubt& doubt : doubts) {
          constexpr std::size_t kShownMax = 200;
          const std::string path =
              workflows::call_path(doubt.key.path, doubt.key.attempt, doubt.key.turn, doubt.key.call);
          const bool fits = request.path() == path || request.path() == doubt.key.path;
          if (fits && meant != nullptr && request.path() != path) {
            return refuse(failed_precondition(fmt::format(
                "more than one call at {} is in doubt; name one of them, such as {}", request.path(), path)));
          }
          if (fits) meant = &doubt;
          if (open.size() < kShownMax) open += (open.empty() ? "" : ", ") + path;
        }
        if (meant == nullptr) {
          return refuse(failed_precondition(
              fmt::format("nothing is in doubt at \"{}\" of run {}; {}", printable(request.path()), active.id,
                          open.empty() ? "no call of it is" : "these calls are: " + open)));
        }
        if (meant->closing && request.resolution() == v1::RESOLUTION_RETRY) {
          return refuse(failed_precondition(
              fmt::format("the call at {} is not waited for any more, so it does not leave again; say done or skip",
                          request.path())));
        }
        v1::Event event = event_at(meant->key);
        v1::ToolCallResolved& resolved = *event.mutable_tool_call_resolved();
        resolved.set_resolution(request.resolution());
        resolved.set_reason(request.reason());
        resolved.set_new_key(request.new_key());
        resolved.set_by(v1::RESOLVED_BY_OPERATOR);
        if (request.resolution() == v1::RESOLUTION_DONE) {
          auto put = contents_.put(request.output_json());
          if (!put) return refuse(std::move(put).error());
          *resolved.mutable_output_json() = *std::move(put);
        }
        say(active, std::move(event), with_run(std::move(*shared)));
      },
      refuse);
}

void Shard::answer_question(std::string run_id, v1::RunsAnswerRequest request, Done<v1::RunsAnswerResponse> done) {
  auto shared = std::make_shared<Done<v1::RunsAnswerResponse>>(std::move(done));
  const auto refuse = [shared](Error error) { (*shared)(std::move(error)); };
  steer(
      std::move(run_id),
      [this, request = std::move(request), shared, refuse](Active& active) mutable {
        std::vector<run::OpenWait> meant;
        for (const run::OpenWait& wait : active.run->open_waits()) {
          if (wait.asks && workflows::names_path(request.path(), wait.key.path, wait.key.attempt))
            meant.push_back(wait);
        }
        if (meant.size() > 1) {
          return refuse(
              invalid_argument(fmt::format("several questions are open at \"{}\", such as {} and {}: name one",
                                           printable(request.path()), meant[0].key.path, meant[1].key.path)));
        }
        // Nothing is asked there now: whoever looks at the run's past, all of it, knows whether anything was.
        if (meant.empty()) {
          return tell(active, [refuse](const Result<v1::Run>& run) {
            refuse(run ? not_found("no question is open") : Error(run.error()));
          });
        }
        const auto value = parse_untrusted(request.value_json());
        if (!value) return refuse(std::move(value).error());
        auto fits = fitting(meant.front(), *value);
        if (!fits) return refuse(std::move(fits).error());
        auto put = contents_.put(to_text(*fits));
        if (!put) return refuse(std::move(put).error());
        v1::Event event = event_at(meant.front().key);
        *event.mutable_answered()->mutable_value_json() = *std::move(put);
        event.mutable_answered()->set_by(request.by());
        say(active, std::move(event), with_run(std::move(*shared)));
      },
      refuse);
}

void Shard::signal(std::string run_id, v1::RunsSignalRequest request, Done<v1::RunsSignalResponse> done) {
  auto shared = std::make_shared<Done<v1::RunsSignalResponse>>(std::move(done));
  const auto refuse = [shared](Error error) { (*shared)(std::move(error)); };
  steer(
      std::move(run_id),
      [this, request = std::move(request), shared, refuse](Active& active) mutable {
        // It, or the end that it comes too late for, may have to become durable: then the run's past says which it was.
        const bool known = !request.signal_id().empty() && active.run->has_signal(request.signal_id());
        if (known || active.run->ended()) {
          return tell(active, [refuse](const Result<v1::Run>& run) {
            refuse(run ? not_found("it is past") : Error(run.error()));
          });
        }
        if (active.run->signals_kept() >= run::kSignalsMax) {
          return refuse(resource_exhausted(fmt::format("run {} keeps {} signals that no step has taken, which is the "
                                                       "limit; try again when some have been",
                                                       active.id, run::kSignalsMax))
                            .with("limit", "signals_max")
                            .with("retry_after_ms", "1000"));
        }
        v1::Event event;
        v1::SignalReceived& received = *event.mutable_signal_received();
        received.set_name(request.name());
        received.set_id(request.signal_id());
        auto put = contents_.put(request.payload_json());
        if (!put) return refuse(std::move(put).error());
        *received.mutable_payload_json() = *std::move(put);
        say(active, std::move(event), with_run(std::move(*shared)));
      },
      refuse);
}

}  // namespace weft::engine
