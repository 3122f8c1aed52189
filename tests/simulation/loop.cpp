// Stands in for base/loop.cpp and base/pool.cpp: tasks, timers and work of pools on the world's one queue, on the
// world's one thread.
#include "base/loop.h"

#include <fmt/format.h>

#include <deque>
#include <utility>

#include "attached.h"
#include "base/pool.h"
#include "verdict.h"

namespace weft {

using simulation::Schedule;

namespace {

// What may be done for one run before others have their turn is 256 steps; a step asks for the time a few times.
constexpr std::uint64_t kWorkMax = 1'000;

// One task of a loop.
void turn(Task& task) {
  simulation::attached().work = 0;
  task();
  const std::uint64_t work = simulation::attached().work;
  if (work > kWorkMax)
    simulation::broken(simulation::Promise::kLoop, fmt::format("a loop does {} things in one turn", work));
}

}  // namespace

struct Loop::State {
  Schedule& schedule;
  simulation::Owner owner;
  std::deque<Task> posted;
  bool closed = false;  // What is posted while the rest is destroyed is dropped.
};

Loop::Loop()
    : state_(std::make_unique<State>(
          State{*simulation::attached().schedule, simulation::attached().schedule->new_owner(), {}})) {}

Loop::~Loop() { drop(); }

void Loop::drop() {
  state_->closed = true;
  state_->schedule.purge(state_->owner);
  const std::deque<Task> dropped = std::exchange(state_->posted, {});
}

// The shard's thread ends at once: its tasks are run by the world's.
void Loop::run() {}
void Loop::stop() {}

void Loop::post(Task task) {
  State& s = *state_;
  if (s.closed) return;
  if (simulation::attached().on_tool_thread) {
    const bool slow = s.schedule.random.one_in(20);
    s.schedule.after(s.owner, s.schedule.between(5, slow ? 90'000'000 : 50'000),
                     [task = std::move(task)]() mutable { turn(task); });
    return;
  }
  s.posted.push_back(std::move(task));
  // Tasks run in the order of posting, however long each takes to be noticed.
  s.schedule.after(s.owner, s.schedule.between(0, 200), [&s] {
    Task next = std::move(s.posted.front());
    s.posted.pop_front();
    turn(next);
  });
}

Loop::TimerId Loop::after(Duration delay, Task task) {
  return state_->schedule.after(state_->owner, delay, [task = std::move(task)]() mutable { turn(task); });
}

void Loop::cancel(TimerId timer) { state_->schedule.cancel(timer); }

Duration Loop::busy_for() const { return Duration(0); }
Duration Loop::longest_turn() const { return Duration(0); }
void* Loop::native() { return nullptr; }
void Loop::begin_turn() {}
void Loop::end_turn() {}

struct Pool::State {
  Schedule& schedule;
  simulation::Owner owner;
  std::deque<Task> waiting;
  std::size_t free = 0;  // Threads.
  bool closed = false;

  void begin() {
    if (free == 0 || waiting.empty() || closed) return;
    --free;
    schedule.after(owner, schedule.between(5, 3'000), [this, work = std::move(waiting.front())]() mutable {
      work();
      work = nullptr;
      schedule.after(owner, schedule.between(0, 20'000), [this] {
        ++free;
        begin();
      });
    });
    waiting.pop_front();
  }
};

Pool::Pool(std::size_t threads)
    : state_(std::make_unique<State>(
          State{*simulation::attached().schedule, simulation::attached().schedule->new_owner(), {}, threads})) {}

Pool::~Pool() {
  state_->closed = true;
  state_->schedule.purge(state_->owner);
  const std::deque<Task> dropped = std::exchange(state_->waiting, {});
}

void Pool::run(Task work) {
  if (state_->closed) return;
  state_->waiting.push_back(std::move(work));
  state_->begin();
}

namespace simulation {

Attached& attached() {
  thread_local Attached world;
  return world;
}

}  // namespace simulation
}  // namespace weft
