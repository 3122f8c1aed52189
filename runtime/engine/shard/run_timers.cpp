#include "runtime/engine/shard/run_timers.h"

#include <algorithm>

#include "runtime/engine/effects/key_range.h"
#include "runtime/engine/shard/shard_world.h"
#include "workflows/path.h"

namespace weft::engine {
namespace {

// The path without the attempt that may stand at its end.
std::string instance_of(std::string path) {
  const std::size_t attempt = path.rfind('~');
  if (attempt != std::string::npos && path.find('/', attempt) == std::string::npos) path.resize(attempt);
  return path;
}

// Whether an instance stands still with what waits at `path`: it waits itself, or what is inside it.
bool concerns(std::string_view path, std::string_view instance) {
  return path.empty() || workflows::lies_within(path, instance);
}

}  // namespace

RunTimers::~RunTimers() {
  for (const auto& [key, timer] : timers_) loop_.cancel(timer);
}

void RunTimers::start(const run::StartTimer& timer) {
  if (timer.timer == v1::TIMER_KIND_TIMEOUT && owner_.stands_still()) {
    stilled_us_[timer.key] = std::max<std::int64_t>(0, timer.due_us - now_us());
    return;
  }
  if (timer.timer == v1::TIMER_KIND_TIMEOUT) timeouts_us_[timer.key] = timer.due_us;
  look_later(timer, due_at(timer));
}

void RunTimers::resume(run::StartTimer timer, std::int64_t last_at_us) {
  const std::int64_t now = now_us();
  timer.due_us += std::max<std::int64_t>(0, now - last_at_us);
  const TimerPast::Attempt& past = loaded_.timer_past.attempts[timer.key.path];
  timer.due_us += past.in_queue_us;
  for (const TimerPast::Pause& pause : loaded_.timer_past.pauses) {
    if (pause.at_us > past.begun_us && concerns(pause.path, timer.key.path)) timer.due_us += pause.span_us;
  }
  if (owner_.waits(timer.key)) {
    stilled_us_[timer.key] = std::max<std::int64_t>(0, timer.due_us - now);
  } else {
    start(timer);
  }
}

// Where the wall clock is set back, what was due in a second is due in a second all the same.
void RunTimers::look_later(const run::StartTimer& timer, Duration at) {
  const Duration wait = std::min(left(timer), at - clock_.monotonic());
  timers_[{timer.key, timer.timer}] =
      loop_.after(std::clamp(wait, Duration(0), kLook), [this, timer, at] { look(timer, at); });
}

void RunTimers::look(const run::StartTimer& timer, Duration at) {
  if (owner_.is_away()) {
    return owner_.when_back(timer, [this, timer, at] {
      if (is_current(timer)) look(timer, at);
    });
  }
  if (std::min(left(timer), at - clock_.monotonic()) > Duration(0)) return look_later(timer, at);
  take(timer);
  owner_.timer_due(timer);
}

void RunTimers::take(const run::StartTimer& due) {
  if (auto timer = timers_.extract({due.key, due.timer})) loop_.cancel(timer.mapped());
  if (due.timer == v1::TIMER_KIND_TIMEOUT) timeouts_us_.erase(due.key);
}

Duration RunTimers::left(const run::StartTimer& timer) const {
  return time_at(timer.due_us) - std::max(clock_.now(), time_at(loaded_.run->last_at_us()));
}

Duration RunTimers::due_at(const run::StartTimer& timer) const {
  return timer.of_the_clock ? Duration::max() : clock_.monotonic() + left(timer);
}

bool RunTimers::is_current(const run::StartTimer& timer) const {
  if (!timers_.contains({timer.key, timer.timer})) return false;
  if (timer.timer != v1::TIMER_KIND_TIMEOUT) return true;
  const auto timeout = timeouts_us_.find(timer.key);
  return timeout != timeouts_us_.end() && timeout->second == timer.due_us;
}

void RunTimers::drop(const run::CallKey& key) {
  const auto key_of = [](const auto& entry) -> const run::CallKey& { return entry.first.first; };
  take_out(timers_, TimerKey{first_of(key), 0}, key, key_of, [this](const auto& entry) { loop_.cancel(entry.second); });
  take_out(timeouts_us_, key);
  take_out(stilled_us_, key);
}

void RunTimers::adjust_all() {
  const std::int64_t now = now_us();
  std::vector<run::CallKey> attempts;
  for (const auto& [attempt, due_us] : timeouts_us_) attempts.push_back(attempt);
  for (const auto& [attempt, left_us] : stilled_us_) attempts.push_back(attempt);
  for (const run::CallKey& attempt : attempts) adjust(attempt, now);
}

void RunTimers::adjust_around(const std::string& path) {
  const std::int64_t now = now_us();
  for (std::size_t end = path.find('/'); !path.empty(); end = path.find('/', end + 1)) {
    const std::string around = instance_of(path.substr(0, end));
    std::vector<run::CallKey> attempts;
    const auto add = [&](const auto& known) {
      for (auto at = known.lower_bound({around, 0, 0, 0}); at != known.end() && at->first.path == around; ++at)
        attempts.push_back(at->first);
    };
    add(timeouts_us_);
    add(stilled_us_);
    for (const run::CallKey& attempt : attempts) adjust(attempt, now);
    if (end == std::string::npos) return;
  }
}

void RunTimers::touch(const std::string& path) {
  if (touched_.empty() || touched_.back() != path) touched_.push_back(path);
}

void RunTimers::adjust_touched() {
  constexpr std::size_t kManyTouched = 16;
  const std::vector<std::string> touched = std::exchange(touched_, {});
  if (timeouts_us_.empty() && stilled_us_.empty()) return;
  const bool whole = std::ranges::find(touched, std::string()) != touched.end();
  if (whole || touched.size() > kManyTouched) return adjust_all();
  for (const std::string& path : touched) adjust_around(path);
}

void RunTimers::adjust(const run::CallKey& attempt, std::int64_t now) {
  const bool waiting = owner_.waits(attempt);
  if (const auto counts = timeouts_us_.find(attempt); waiting && counts != timeouts_us_.end()) {
    stilled_us_[attempt] = std::max<std::int64_t>(0, counts->second - now);
    if (auto timer = timers_.extract({attempt, v1::TIMER_KIND_TIMEOUT})) loop_.cancel(timer.mapped());
    timeouts_us_.erase(counts);
  }
  if (const auto suspended = stilled_us_.find(attempt); !waiting && suspended != stilled_us_.end()) {
    const std::int64_t left_us = suspended->second;
    stilled_us_.erase(suspended);
    start({attempt, v1::TIMER_KIND_TIMEOUT, now + left_us});
  }
}

bool RunTimers::moves_run() const {
  return std::ranges::any_of(timers_, [](const auto& timer) {
    const int kind = timer.first.second;
    return kind == v1::TIMER_KIND_RETRY || kind == v1::TIMER_KIND_REPEAT_CALL || kind == v1::TIMER_KIND_RESEND;
  });
}

std::optional<RunTimers::Next> RunTimers::next_of_resting() const {
  std::optional<Next> next;
  for (const run::Command& command : loaded_.run->outstanding()) {
    const auto* timer = std::get_if<run::StartTimer>(&command);
    // Timeouts stand still, and a cancel's grace is over where nothing is under way.
    const bool counts =
        timer != nullptr && timer->timer != v1::TIMER_KIND_TIMEOUT && timer->timer != v1::TIMER_KIND_GRACE;
    if (!counts || (next && next->left <= left(*timer))) continue;
    next = {*timer, left(*timer), due_at(*timer)};
  }
  return next;
}

std::map<std::string, std::int64_t> RunTimers::later_us() const {
  std::map<std::string, std::int64_t> later;
  for (const run::Command& command : loaded_.run->outstanding()) {
    const auto* timer = std::get_if<run::StartTimer>(&command);
    if (timer == nullptr || timer->timer != v1::TIMER_KIND_TIMEOUT) continue;
    const auto counts = timeouts_us_.find(timer->key);
    const auto suspended = stilled_us_.find(timer->key);
    std::int64_t due_us = timer->due_us;
    if (counts != timeouts_us_.end()) due_us = counts->second;
    if (suspended != stilled_us_.end()) due_us = loaded_.run->last_at_us() + suspended->second;
    if (due_us != timer->due_us) later[timer->key.path] = due_us - timer->due_us;
  }
  return later;
}

}  // namespace weft::engine
