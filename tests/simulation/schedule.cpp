#include "schedule.h"

#include <algorithm>
#include <vector>

#include "base/bytes.h"

namespace weft::simulation {

EventId Schedule::after(Owner owner, Duration delay, Task task) {
  const Duration at = now_ + std::max(delay, Duration{0});
  const EventId id = ++last_event_;
  queue_.emplace(Due{at, id}, Entry{owner, std::move(task)});
  due_of_.emplace(id, at);
  return id;
}

void Schedule::cancel(EventId event) {
  const auto found = due_of_.find(event);
  if (found == due_of_.end()) return;
  const Due due{found->second, event};
  due_of_.erase(found);
  auto node = queue_.extract(due);  // Dies when the queue is whole again: a task's end may cancel others.
}

void Schedule::purge(Owner owner) {
  std::vector<Entry> gone;  // They die when the queue is whole again.
  for (auto at = queue_.begin(); at != queue_.end();) {
    if (at->second.owner != owner) {
      ++at;
      continue;
    }
    due_of_.erase(at->first.id);
    gone.push_back(std::move(at->second));
    at = queue_.erase(at);
  }
}

bool Schedule::run_next() {
  if (queue_.empty()) return false;
  auto node = queue_.extract(queue_.begin());
  due_of_.erase(node.key().id);
  // Whatever happens takes a moment.
  now_ = std::max(now_, node.key().at) + Duration(random.below(8));
  ++happened_;
  fingerprint_ = fingerprint_ * 0x100000001B3ULL ^ static_cast<std::uint64_t>(now_.count()) ^ node.mapped().owner;
  node.mapped().task();
  return true;
}

void Schedule::note(std::string_view what) { fingerprint_ = fingerprint_ * 0x100000001B3ULL ^ hash64(what); }

Duration Schedule::between(std::int64_t low, std::int64_t high) {
  std::int64_t span = high - low;
  for (std::uint32_t i = random.below(6); i > 0; --i) span /= 4;
  return Duration(low + static_cast<std::int64_t>(random.next() % static_cast<std::uint64_t>(span + 1)));
}

}  // namespace weft::simulation
