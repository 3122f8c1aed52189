// Turns: runs that have not begun, and calls that have not left, since there is no place for them yet.
#include <algorithm>

#include "runtime/engine/shard.h"

namespace weft::engine {

// A run that waits for its turn is in the store and nowhere else, but for its place in line.
bool Shard::may_begin(Active& active) {
  if (active.begun) return true;
  if (active.run->paused()) {
    active.turn = {};
    return false;
  }
  if (!active.turn) {
    active.turn = world_.places.take(world_.order.passenger(active.summary), world_.order.gates_of_run(active.summary),
                                     [this, run_id = active.id] { begin(run_id); });
  }
  active.begun = active.turn.has_come();
  return active.begun;
}

void Shard::after(Duration delay, Task task) {
  loop_.post([this, delay, task = std::move(task)]() mutable { loop_.after(delay, std::move(task)); });
}

void Shard::begin(std::string run_id) {
  loop_.post([this, run_id = std::move(run_id)] {
    // Waking it may be all that was missing.
    Active* active = wake(run_id);
    if (active != nullptr && !active->begun) advance(*active);
    // What was woken for nothing sleeps again.
    if (Active* still = find(run_id)) consider_rest(*still);
  });
}

std::optional<Places::Turn> Shard::take_turn(Active& active, const run::CallKey& key, const run::Command& command,
                                             Gates gates, std::uint64_t tokens) {
  Passenger passenger = world_.order.passenger(active.summary, world_.clock.monotonic().count());
  passenger.tokens = tokens;
  Places::Turn turn = world_.places.take(std::move(passenger), std::move(gates), [this, run_id = active.id, key] {
    loop_.post([this, run_id, key] { turn_comes(run_id, key); });
  });
  if (turn.has_come()) return turn;
  active.queued[key] = {std::move(turn), command};
  keep_timeouts_around(active, key.path);
  return std::nullopt;
}

void Shard::turn_comes(const std::string& run_id, const run::CallKey& key) {
  Active* active = find(run_id);
  const auto found = active == nullptr ? decltype(active->queued.begin())() : active->queued.find(key);
  // It may have been dropped, and wanted again, since the word was passed on.
  if (active == nullptr || found == active->queued.end() || !found->second.turn.has_come()) return;
  Queued queued = std::move(found->second);
  active->queued.erase(found);
  const auto* model_call = std::get_if<run::ModelCall>(&queued.command);
  v1::Event wanted = event_at(key);
  if (model_call != nullptr) wanted.mutable_model_call_started();
  if (model_call == nullptr) wanted.mutable_tool_call_started();
  if (!active->run->expects(wanted)) return;  // The run was killed, and its end is not durable yet.
  if (const auto* call = model_call) {
    auto route = world_.routes.find(model_of(*active, call->step));
    // Without a way now, it is said as for any other call.
    if (route) begin_model(*active, *call, *std::move(route), std::move(queued.turn));
    if (!route) call_model(*active, *call);
  } else {
    begin_tool(*active, std::get<run::ToolCall>(queued.command), std::move(queued.turn));
  }
  keep_timeouts_around(*active, key.path);
  advance(*active);
}

// While a run is paused, nothing of it stands in line.
void Shard::hold_queued(Active& active) {
  for (auto& [key, queued] : active.queued) active.held.push_back(std::move(queued.command));
  active.queued.clear();
}

bool Shard::waits(const Active& active, const run::CallKey& attempt) const {
  return active.frozen ||
         active.run->waits(attempt, [&](const run::CallKey& call) { return active.queued.contains(call); });
}

void Shard::keep_timeouts_around(Active& active, const std::string& path) {
  const std::int64_t now_us = world_.clock.now().time_since_epoch().count();
  for (std::size_t end = path.find('/'); !path.empty(); end = path.find('/', end + 1)) {
    const std::string around = path.substr(0, end);
    std::vector<run::CallKey> attempts;
    const auto add = [&](const auto& known) {
      for (auto at = known.lower_bound({around, 0, 0, 0}); at != known.end() && at->first.path == around; ++at)
        attempts.push_back(at->first);
    };
    add(active.timeouts_us);
    add(active.stilled_us);
    for (const run::CallKey& attempt : attempts) keep_timeout(active, attempt, now_us);
    if (end == std::string::npos) return;
  }
}

}  // namespace weft::engine
