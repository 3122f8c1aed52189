// Who talks to the runs of a world: pauses, answers, signals, what is looked up where a call is in doubt, retries and
// forks.
#include <fmt/format.h>

#include <algorithm>

#include "verdict.h"
#include "workflows/path.h"
#include "world.h"

namespace weft::simulation {
namespace {

constexpr Duration kSecond{1'000'000};

}  // namespace

void World::pause_one() {
  engine::Engine* engine = reachable();
  const std::vector<std::string> unfinished = books_.unfinished();
  if (engine == nullptr || unfinished.empty()) return;
  const std::string& run_id = unfinished[schedule_.random.below(static_cast<std::uint32_t>(unfinished.size()))];
  say(fmt::format("run {} is to be paused", run_id));
  v1::RunsPauseRequest request;
  request.set_run_id(run_id);
  engine->pause(request, once<v1::RunsPauseResponse>(engine, "a pause of run " + run_id,
                                                     [this, run_id](const Result<v1::RunsPauseResponse>& paused) {
                                                       if (paused) books_.pause_acknowledged(run_id);
                                                     }));
  schedule_.after(owner_, schedule_.between(0, 60'000'000), [this, run_id] { resume(run_id); });
}

// Until the run goes on: who has lost sight of it asks again.
void World::resume(const std::string& run_id) {
  const RunRecord& run = *books_.runs().at(run_id);
  if (run.ended()) return;
  schedule_.after(owner_, schedule_.between(500'000, 8'000'000), [this, run_id, &run] {
    if (run.paused()) resume(run_id);
  });
  engine::Engine* engine = reachable();
  if (engine == nullptr) return;
  say(fmt::format("run {} is to go on", run_id));
  v1::RunsResumeRequest request;
  request.set_run_id(run_id);
  engine->resume(request, once<v1::RunsResumeResponse>(engine, "a resume of run " + run_id,
                                                       [this, run_id, known_seq = run.last_seq()](
                                                           const Result<v1::RunsResumeResponse>& resumed) {
                                                         if (resumed) books_.resume_acknowledged(run_id, known_seq);
                                                       }));
}

// A pause that was slow may have come behind what ended it.
std::size_t World::resume_paused() {
  std::size_t paused = 0;
  for (const std::string& id : books_.unfinished()) {
    if (!books_.runs().at(id)->paused()) continue;
    ++paused;
    resume(id);
  }
  return paused;
}

void World::look_back(std::uint32_t patience) {
  constexpr std::uint32_t kRetriesMax = 2;  // Of one run.
  Random& random = schedule_.random;
  std::vector<const RunRecord*> failed;
  std::vector<const RunRecord*> any;
  for (const auto& [id, run] : books_.runs()) {
    any.push_back(run.get());
    const bool again = run->ended() && retried_[id] < kRetriesMax;
    const v1::RunStatus status = again ? run->events().back().run_ended().status() : v1::RUN_STATUS_UNSPECIFIED;
    if (status == v1::RUN_STATUS_FAILED || status == v1::RUN_STATUS_CANCELLED) failed.push_back(run.get());
  }
  const auto pick = [&](const auto& runs) -> const RunRecord& {
    return *runs[random.below(static_cast<std::uint32_t>(runs.size()))];
  };
  const bool retries = !failed.empty() && random.one_in(2);
  const bool forks = !retries && !any.empty() && random.one_in(2);
  if (reachable() == nullptr || (!retries && !forks && patience > 0)) {
    schedule_.after(owner_, kSecond * (5 + random.below(40)),
                    [this, patience] { look_back(std::max(patience, 1U) - 1); });
    return;
  }
  --looks_left_;
  if (retries) return retry(pick(failed).id());
  if (forks) plan_fork(pick(any));
}

void World::retry(const std::string& run_id) {
  engine::Engine* engine = reachable();
  if (engine == nullptr) return;
  ++retried_[run_id];
  say(fmt::format("run {} is to be retried", run_id));
  v1::RunsRetryRequest request;
  request.set_run_id(run_id);
  const std::uint64_t known_seq = books_.runs().at(run_id)->last_seq();
  engine->retry(
      request,
      once<v1::RunsRetryResponse>(
          engine, "a retry of run " + run_id, [this, run_id, known_seq](const Result<v1::RunsRetryResponse>& retried) {
            say(fmt::format("retry of run {}: {}", run_id, retried ? "done" : retried.error().message));
            if (retried) books_.retry_acknowledged(run_id, known_seq);
          }));
}

void World::plan_fork(const RunRecord& source) {
  Random& random = schedule_.random;
  const std::vector<v1::Event>& events = source.events();
  const v1::Event& event = events[random.below(static_cast<std::uint32_t>(events.size()))];
  if (event.path().empty() || event.path().ends_with("/undo")) return;
  Fork& planned = forks_.emplace_back();
  planned.request.set_run_id(source.id());
  std::string from = workflows::call_path(event.path(), event.attempt(), 0, 0);
  if (event.turn() > 0) from += fmt::format(":{}", event.turn());
  // Of an agent, one call alone.
  if (event.turn() > 0 && event.has_tool_call_started() && random.one_in(2)) from += fmt::format(".{}", event.call());
  planned.request.set_from(from);
  constexpr v1::ForkEffects kEffects[] = {v1::FORK_EFFECTS_ASK, v1::FORK_EFFECTS_ALLOW, v1::FORK_EFFECTS_REFUSE};
  planned.request.set_effects(kEffects[random.below(3)]);
  if (random.one_in(3)) planned.request.set_model("deepseek-v4-pro");
  if (revision_applied_ && random.one_in(3)) planned.request.set_workflow("revised");
  planned.request.set_request_id(fmt::format("fork-{}", forks_.size()));
  fork(forks_.size() - 1);
}

// Who gets no answer asks again; a refusal that does not say to is one.
void World::fork(std::size_t number) {
  const v1::RunsForkRequest& request = forks_[number].request;
  if (!forks_[number].over)
    schedule_.after(owner_, schedule_.between(500'000, 8'000'000), [this, number] {
      if (!forks_[number].over) fork(number);
    });
  engine::Engine* engine = reachable();
  if (engine == nullptr) return;
  say(fmt::format("run {} is to be forked from {}: {}", request.run_id(), request.from(),
                  v1::ForkEffects_Name(request.effects())));
  books_.fork_asked(request.request_id(), books_.runs().at(request.run_id())->last_seq());
  engine->fork(request,
               once<v1::RunsForkResponse>(
                   engine, fmt::format("fork {}", number), [this, number](const Result<v1::RunsForkResponse>& forked) {
                     Fork& asked = forks_[number];
                     say(fmt::format("fork {}: {}", number, forked ? forked->run_id() : forked.error().message));
                     const Code code = forked ? Code::kUnknown : forked.error().code;
                     const bool refused =
                         code == Code::kFailedPrecondition || code == Code::kNotFound || code == Code::kInvalidArgument;
                     asked.over = asked.over || forked || refused;
                     if (forked) books_.submit_acknowledged(asked.request.request_id(), forked->run_id());
                   }));
}

std::size_t World::answer_questions() {
  std::size_t said = 0;
  if (reachable() == nullptr) return said;
  for (const std::string& id : books_.unfinished()) {
    for (const run::OpenWait& wait : books_.runs().at(id)->run().open_waits()) {
      if (!wait.asks && wait.waiting.signal().empty()) continue;
      ++said;
      // Some forget it for now, some say it twice.
      for (std::uint32_t times = faults_ ? schedule_.random.below(3) : 1; times > 0; --times)
        wait.asks ? answer(id, wait) : send_signal(id, wait);
    }
  }
  return said;
}

void World::send_signal(const std::string& run_id, const run::OpenWait& wait) {
  engine::Engine* engine = reachable();
  if (engine == nullptr) return;
  v1::RunsSignalRequest request;
  request.set_run_id(run_id);
  request.set_name(wait.waiting.signal());
  request.set_payload_json("{\"n\":1}");
  // One of a few, so that some come again.
  request.set_signal_id(fmt::format("signal-{}", schedule_.random.below(5)));
  if (!faults_) request.set_signal_id(fmt::format("calm-{}-{}", wait.key.path, schedule_.random.below(1'000'000)));
  engine->signal(request, once<v1::RunsSignalResponse>(
                              engine, "a signal to run " + run_id,
                              [this, run_id, name = request.signal_id()](const Result<v1::RunsSignalResponse>& sent) {
                                if (sent) books_.signal_acknowledged(run_id, name);
                              }));
}

void World::answer(const std::string& run_id, const run::OpenWait& question) {
  engine::Engine* engine = reachable();
  if (engine == nullptr) return;
  const auto& choices = question.waiting.choices();
  v1::RunsAnswerRequest request;
  request.set_run_id(run_id);
  request.set_path(workflows::call_path(question.key.path, question.key.attempt, 0, 0));
  // In calm weather nobody lets rounds go on: the world is to end.
  const int first = !faults_ && choices[0] == run::kMoreRounds ? 1 : 0;
  const auto chosen = schedule_.random.below(static_cast<std::uint32_t>(choices.size() - first));
  const std::string& value = choices[first + static_cast<int>(chosen)];
  request.set_value_json("\"" + value + "\"");
  say(fmt::format("somebody answers {} in run {}: {}", request.path(), run_id, value));
  engine->answer(request, once<v1::RunsAnswerResponse>(engine, "an answer to run " + run_id,
                                                       [this, run_id, key = question.key,
                                                        value](const Result<v1::RunsAnswerResponse>& answered) {
                                                         if (answered) books_.answer_acknowledged(run_id, key, value);
                                                       }));
}

std::size_t World::resolve_doubts() {
  engine::Engine* engine = reachable();
  std::size_t settled = 0;
  if (engine == nullptr) return settled;
  for (const std::string& id : books_.unfinished()) {
    v1::RunsGetRequest get;
    get.set_run_id(id);
    const auto run = engine->get_run(get);
    if (!run) continue;
    for (const v1::Doubt& doubt : run->run().doubts()) {
      const bool done = books_.was_done(id, doubt.path());
      v1::RunsResolveRequest request;
      request.set_run_id(id);
      request.set_path(doubt.path());
      request.set_reason("looked it up");
      // Who cancels wants nothing done any more; elsewhere, what was not done is done now.
      const bool again = (!done || doubt.asked()) && schedule_.random.one_in(2);
      request.set_resolution(again ? v1::RESOLUTION_RETRY : done ? v1::RESOLUTION_DONE : v1::RESOLUTION_SKIP);
      // What the source of a fork did is done once more under a key of its own.
      request.set_new_key(again && done);
      if (faults_ && schedule_.random.one_in(4)) request.set_resolution(v1::RESOLUTION_UNKNOWN);
      say(fmt::format("the operator says of {} in run {}: {}", doubt.path(), id,
                      v1::Resolution_Name(request.resolution())));
      ++settled;
      engine->resolve(request, once<v1::RunsResolveResponse>(engine, "a resolve of run " + id,
                                                             [this](Result<v1::RunsResolveResponse> response) {
                                                               if (!response)
                                                                 say("  refused: " + response.error().message);
                                                             }));
    }
  }
  return settled;
}

}  // namespace weft::simulation
