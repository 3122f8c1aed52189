#include "runtime/engine/shard/run_rest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "runtime/engine/shard/active_run.h"
#include "runtime/engine/shard/shard_core.h"
#include "workflows/path.h"

namespace weft::engine {
namespace {

// Between two summaries for readers, who read what came since.
constexpr std::uint64_t kSummaryEvents = 512;

std::string local_words(const run::OpenWait& wait, const std::string& run_id) {
  const std::string path = workflows::call_path(wait.key.path, wait.key.attempt, 0, 0);
  if (!wait.waiting.signal().empty()) {
    return fmt::format("the signal {}: weft signal {} {} [JSON]", wait.waiting.signal(), run_id, wait.waiting.signal());
  }
  if (wait.waiting.due_us() > 0) return to_rfc3339(Time(Duration(wait.waiting.due_us())));
  const std::string to = wait.waiting.to().empty() ? "" : " from " + wait.waiting.to();
  return fmt::format(
      "an answer{}: weft answer {} {} {}", to, run_id, path,
      wait.waiting.choices().empty() ? "VALUE" : fmt::format("{}", fmt::join(wait.waiting.choices(), "|")));
}

}  // namespace

// The answer to a call in doubt may still come, and settles it; nobody counts on that.
std::size_t RunRest::answers_in_doubt() const {
  if (run_.tools.size() == 0) return 0;
  return static_cast<std::size_t>(std::ranges::count_if(
      run_.loaded().run->doubts(), [&](const run::Doubt& doubt) { return run_.tools.contains(doubt.key); }));
}

bool RunRest::is_moving(std::size_t in_doubt) const {
  return !run_.recorder.all_durable() || run_.tools.asks() || run_.tools.answers_at_once() || !run_.queue.empty() ||
         !run_.models.empty() || run_.tools.size() > in_doubt || !run_.recorder.gate().empty() ||
         run_.recorder.gate().anyone_asks() || run_.unread.stands() || run_.timers.moves_run();
}

void RunRest::consider() {
  if (run_.has_left() || idle_since_ || run_.presence.has_mail()) return;
  const LoadedRun& loaded = run_.loaded();
  if (!loaded.may_wait && loaded.begun) return;
  const std::size_t in_doubt = answers_in_doubt();
  if (run_.recorder.stalled() || is_moving(in_doubt) || loaded.run->ended()) return;
  // One that waits for its turn keeps its place in line, whatever it was woken for.
  if (!loaded.begun && !loaded.run->paused()) return core_.evicted.evict(run_);
  if (waiting_) return become_idle(in_doubt);  // Woken for nothing.
  say_what_for(in_doubt);
}

void RunRest::say_what_for(std::size_t in_doubt) {
  const LoadedRun& loaded = run_.loaded();
  if (loaded.run->paused()) {
    return park(v1::RUN_STATUS_PAUSED, fmt::format("somebody who resumes it: weft resume {}", loaded.id), in_doubt);
  }
  if (!loaded.summary.doubts().empty()) {
    const v1::Doubt& oldest = loaded.summary.doubts(0);
    const std::string wanted = oldest.asked() ? fmt::format("allows {} to be called", oldest.tool())
                                              : fmt::format("knows whether {} was done", oldest.tool());
    return park(v1::RUN_STATUS_IN_DOUBT,
                fmt::format("somebody who {}: weft resolve {} {} {}", wanted, loaded.id, oldest.path(),
                            oldest.asked() ? "retry|done|skip" : "done|retry|skip"),
                in_doubt);
  }
  // Where a time alone moves it, nobody needs to be told.
  const run::Rest rest = loaded.run->rest();
  if (!rest.shown) return;
  std::string waits_for = local_words(*rest.shown, loaded.id);
  if (rest.waits > 1) waits_for += fmt::format(" (and {} more)", rest.waits - 1);
  park(rest.time_moves ? v1::RUN_STATUS_RUNNING : v1::RUN_STATUS_WAITING, std::move(waits_for), in_doubt);
}

void RunRest::park(v1::RunStatus status, std::string waits_for, std::size_t in_doubt) {
  waiting_ = true;
  const std::string& run_id = run_.loaded().id;
  core_.world.wait_reasons.add(run_id, std::move(waits_for), WaitReasons::Counts::kIdle, status);
  if (history::is_at_rest(status) || status == v1::RUN_STATUS_PAUSED) core_.world.subscriptions.rests(run_id);
  become_idle(in_doubt);
}

void RunRest::consider_summary() {
  if (run_.recorder.durable_seq() >= told_seq_ + kSummaryEvents) tell_summary();
}

void RunRest::tell_summary() {
  core_.world.summaries.put(run_.loaded().summary);
  told_seq_ = run_.recorder.durable_seq();
}

void RunRest::activate() {
  if (idle_since_) leave_idle();
  if (!std::exchange(waiting_, false)) return;
  core_.world.wait_reasons.remove(run_.loaded().id);
}

// Something often comes for what has just begun to wait: then it need not be read again.
void RunRest::become_idle(std::size_t in_doubt) {
  if (in_doubt > 0) return;
  // Values take several times the bytes of their text.
  constexpr std::size_t kEachBytes = std::size_t{16} << 10;
  constexpr std::size_t kGrowth = 4;
  idle_since_ = core_.world.clock.monotonic();
  idle_bytes_ = kEachBytes + kGrowth * (run_.recorder.batch().stored_bytes() + run_.loaded().input_bytes);
  --core_.world.active_runs;  // Others may work meanwhile.
  run_.queue.leave();
  tell_summary();
  core_.idle.add(run_, *idle_since_, idle_bytes_);
}

void RunRest::leave_idle() {
  core_.idle.remove(idle_bytes_);
  idle_since_.reset();
  ++core_.world.active_runs;
  if (run_.loaded().begun) run_.queue.enter();
}

void RunRest::leave() {
  if (idle_since_) core_.idle.remove(idle_bytes_);
  if (!idle_since_) --core_.world.active_runs;
}

}  // namespace weft::engine
