#include "base/loop.h"

#include <uv.h>

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"

namespace weft {
namespace {

constexpr std::uint64_t kTurnNs = 10'000'000;

std::uint64_t nanoseconds(Duration duration) {
  return duration.count() <= 0 ? 0 : static_cast<std::uint64_t>(duration.count()) * 1000;
}

}  // namespace

// All timers share one libuv timer, which is set to the earliest: thousands of deadlines cost a map entry each, and
// cancelling one needs no asynchronous close.
struct Loop::State {
  using Due = std::pair<std::uint64_t, TimerId>;  // Nanoseconds of uv_hrtime; equal times go in order of setting.

  uv_loop_t loop{};
  uv_async_t wake{};
  uv_timer_t timer{};

  std::mutex mutex;
  std::vector<Task> posted;                      // Guarded by mutex, as `dropping`.
  bool dropping = false;                         // What is posted is destroyed.
  std::deque<Task> taken;                        // Of these, what the loop has taken and not yet done.
  std::atomic<std::uint64_t> turn_began_ns = 0;  // 0: it waits.
  std::atomic<std::uint64_t> longest_turn_ns = 0;
  std::atomic<bool> stopping = false;

  std::map<Due, Task> timers;
  std::unordered_map<TimerId, std::uint64_t> due_of;
  TimerId last_timer = 0;
  std::uint64_t armed_for = 0;           // 0: not armed.
  std::atomic<std::thread::id> owner{};  // Set while run() serves.

  void check_thread() const {
    const std::thread::id id = owner.load(std::memory_order_relaxed);
    WEFT_CHECK(id == std::thread::id() || id == std::this_thread::get_id(),
               "a loop is used from a thread that is not its own");
  }

  void begin_turn() { turn_began_ns.store(uv_hrtime(), std::memory_order_relaxed); }
  void end_turn() {
    const std::uint64_t took = uv_hrtime() - turn_began_ns.exchange(0, std::memory_order_relaxed);
    if (took > longest_turn_ns.load(std::memory_order_relaxed)) longest_turn_ns.store(took, std::memory_order_relaxed);
  }

  void on_wake() {
    begin_turn();
    // Read before the queue: what was posted before stop() is then in it, and still runs.
    const bool stop = stopping.exchange(false);
    {
      const std::lock_guard lock(mutex);
      for (Task& task : posted) taken.push_back(std::move(task));
      posted.clear();
    }
    const std::uint64_t until = uv_hrtime() + kTurnNs;
    do {
      if (taken.empty()) break;
      Task task = std::move(taken.front());
      taken.pop_front();
      task();
    } while (stop || uv_hrtime() < until);
    if (!taken.empty()) uv_async_send(&wake);
    if (!timers.empty() && timers.begin()->first.first <= uv_hrtime()) run_due_timers();
    end_turn();
    if (stop) uv_stop(&loop);
  }

  void arm() {
    if (timers.empty()) {
      if (armed_for != 0) uv_timer_stop(&timer);
      armed_for = 0;
      return;
    }
    const std::uint64_t due = timers.begin()->first.first;
    if (armed_for == due) return;
    armed_for = due;
    const std::uint64_t now = uv_hrtime();
    if (due <= now) {
      // libuv runs a timer that is set to now before it looks at anything else, and so might never do so.
      uv_timer_stop(&timer);
      uv_async_send(&wake);
      return;
    }
    // libuv counts milliseconds from the loop's own, possibly old, idea of now.
    uv_update_time(&loop);
    const std::uint64_t wait_ms = (due - now + 999'999) / 1'000'000;
    uv_timer_start(&timer, [](uv_timer_t* handle) { static_cast<State*>(handle->data)->run_timers(); }, wait_ms, 0);
  }

  void run_timers() {
    begin_turn();
    run_due_timers();
    end_turn();
  }

  void run_due_timers() {
    armed_for = 0;
    const std::uint64_t now = uv_hrtime();  // Fixed, so that a timer that sets itself again cannot hold the loop.
    while (!timers.empty() && timers.begin()->first.first <= now && uv_hrtime() < now + kTurnNs) {
      auto node = timers.extract(timers.begin());
      due_of.erase(node.key().second);
      node.mapped()();
    }
    arm();
  }
};

Loop::Loop() : state_(std::make_unique<State>()) {
  State& s = *state_;
  WEFT_CHECK(uv_loop_init(&s.loop) == 0, "no event loop can be made: out of file descriptors or memory");
  WEFT_CHECK(
      uv_async_init(&s.loop, &s.wake, [](uv_async_t* handle) { static_cast<State*>(handle->data)->on_wake(); }) == 0,
      "no wake-up handle can be made");
  uv_timer_init(&s.loop, &s.timer);
  s.wake.data = &s;
  s.timer.data = &s;
}

Loop::~Loop() {
  State& s = *state_;
  drop();
  uv_close(reinterpret_cast<uv_handle_t*>(&s.wake), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&s.timer), nullptr);
  uv_run(&s.loop, UV_RUN_DEFAULT);
  WEFT_CHECK(uv_loop_close(&s.loop) == 0, "a loop ends while something still uses it");
}

void Loop::run() {
  State& s = *state_;
  s.owner = std::this_thread::get_id();
  uv_run(&s.loop, UV_RUN_DEFAULT);
  s.owner = std::thread::id();
}

void Loop::stop() {
  state_->stopping = true;
  uv_async_send(&state_->wake);
}

void Loop::drop() {
  State& s = *state_;
  // Moved out first: what a dropped task holds may post, set or cancel while it is destroyed.
  std::map<State::Due, Task> timers;
  std::vector<Task> posted;
  std::deque<Task> taken;
  {
    const std::lock_guard lock(s.mutex);
    s.dropping = true;
    posted.swap(s.posted);
  }
  taken.swap(s.taken);
  timers.swap(s.timers);
  s.due_of.clear();
}

void Loop::post(Task task) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->dropping) return;  // The task is destroyed by the caller, outside of the lock.
    state_->posted.push_back(std::move(task));
  }
  uv_async_send(&state_->wake);
}

Loop::TimerId Loop::after(Duration delay, Task task) {
  State& s = *state_;
  s.check_thread();
  const std::uint64_t due = uv_hrtime() + nanoseconds(delay);
  const TimerId id = ++s.last_timer;
  s.timers.emplace(State::Due{due, id}, std::move(task));
  s.due_of.emplace(id, due);
  s.arm();
  return id;
}

void Loop::cancel(TimerId timer) {
  State& s = *state_;
  s.check_thread();
  const auto found = s.due_of.find(timer);
  if (found == s.due_of.end()) return;
  // The task is destroyed last: what it holds may set or cancel timers in turn.
  auto node = s.timers.extract(State::Due{found->second, timer});
  s.due_of.erase(found);
  s.arm();
}

Duration Loop::busy_for() const {
  const std::uint64_t began = state_->turn_began_ns.load(std::memory_order_relaxed);
  const std::uint64_t now = uv_hrtime();
  return Duration(began == 0 || now < began ? 0 : static_cast<std::int64_t>((now - began) / 1000));
}

Duration Loop::longest_turn() const {
  return Duration(static_cast<std::int64_t>(state_->longest_turn_ns.load(std::memory_order_relaxed) / 1000));
}

void* Loop::native() { return &state_->loop; }
void Loop::begin_turn() { state_->begin_turn(); }
void Loop::end_turn() { state_->end_turn(); }

}  // namespace weft
