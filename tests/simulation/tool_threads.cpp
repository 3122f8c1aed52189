// Stands in for tools/tool_threads.cpp: work begins on the world's one queue, acts at one instant, and what it tells is
// heard later; a crash may come between any two of these.
#include "tools/tool_threads.h"

#include <list>
#include <map>
#include <utility>

#include "attached.h"

namespace weft::tools {

using simulation::Schedule;

struct ToolThreads::State {
  struct Work {
    std::string tool;
    Task task;
  };
  Schedule& schedule;
  simulation::Owner owner;
  const ThreadLimits limits;
  std::list<Work> waiting;
  std::map<std::string, std::size_t> at_work;  // By tool.
  std::size_t busy = 0;
  bool closed = false;

  void begin() {
    for (auto next = waiting.begin(); next != waiting.end() && busy < limits.tool_threads_max;) {
      if (at_work[next->tool] >= limits.threads_per_tool_max) {
        ++next;
        continue;
      }
      ++busy;
      ++at_work[next->tool];
      schedule.after(owner, schedule.between(5, 3'000), [this, work = std::move(*next)]() mutable {
        simulation::attached().on_tool_thread = true;
        work.task();
        work.task = nullptr;
        simulation::attached().on_tool_thread = false;
        --busy;
        --at_work[work.tool];
        begin();
      });
      next = waiting.erase(next);
    }
  }
};

ToolThreads::ToolThreads(const ThreadLimits& limits)
    : state_(std::make_unique<State>(
          State{*simulation::attached().schedule, simulation::attached().schedule->new_owner(), limits, {}, {}})) {}

ToolThreads::~ToolThreads() {
  state_->closed = true;
  state_->schedule.purge(state_->owner);
  const std::list<State::Work> dropped = std::exchange(state_->waiting, {});
}

void ToolThreads::run(std::string tool, Task work) {
  if (state_->closed) return;
  state_->waiting.push_back({std::move(tool), std::move(work)});
  state_->begin();
}

std::size_t ToolThreads::started() const { return state_->busy; }

}  // namespace weft::tools
