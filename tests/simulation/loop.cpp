// Stands in for base/loop.cpp: tasks, timers and blocking work on the world's one queue, on the world's one thread.
#include "base/loop.h"

#include <deque>
#include <utility>

#include "attached.h"

namespace weft {

using simulation::Schedule;

struct Loop::State {
  Schedule& schedule;
  simulation::Owner owner;
  std::deque<Task> posted;
  bool closed = false;  // What is posted while the rest is destroyed is dropped.
};

Loop::Loop()
    : state_(std::make_unique<State>(
          State{*simulation::attached().schedule, simulation::attached().schedule->new_owner(), {}})) {}

Loop::~Loop() {
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
  s.posted.push_back(std::move(task));
  // Tasks run in the order of posting, however long each takes to be noticed.
  s.schedule.after(s.owner, s.schedule.between(0, 200), [&s] {
    Task next = std::move(s.posted.front());
    s.posted.pop_front();
    next();
  });
}

Loop::TimerId Loop::after(Duration delay, Task task) {
  return state_->schedule.after(state_->owner, delay, std::move(task));
}

void Loop::cancel(TimerId timer) { state_->schedule.cancel(timer); }

void Loop::work(Task blocking, Task done) {
  State& s = *state_;
  // It begins, acts at one instant, and is told of later; a crash may come between any two of these.
  s.schedule.after(s.owner, s.schedule.between(5, 3'000),
                   [&s, blocking = std::move(blocking), done = std::move(done)]() mutable {
                     blocking();
                     const bool slow = s.schedule.random.one_in(20);
                     s.schedule.after(s.owner, s.schedule.between(5, slow ? 90'000'000 : 50'000), std::move(done));
                   });
}

void* Loop::native() { return nullptr; }

namespace simulation {

Attached& attached() {
  thread_local Attached world;
  return world;
}

}  // namespace simulation
}  // namespace weft
