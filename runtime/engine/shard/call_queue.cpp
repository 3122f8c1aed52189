#include "runtime/engine/shard/call_queue.h"

#include "runtime/engine/effects/key_range.h"

namespace weft::engine {

// A run that waits for its turn is in the store and nowhere else, but for its place in line.
bool CallQueue::may_begin(admission::Admission::OnGranted on_granted) {
  if (loaded_.begun) return true;
  if (loaded_.run->paused()) {
    permit_ = {};
    return false;
  }
  if (!permit_) {
    permit_ = world_.admission.request(world_.policy.waiter(loaded_.summary),
                                       world_.policy.limits_of_run(loaded_.summary), std::move(on_granted));
  }
  loaded_.begun = permit_.is_granted();
  return loaded_.begun;
}

void CallQueue::enter() {
  permit_ =
      world_.admission.grant_now(world_.policy.waiter(loaded_.summary), world_.policy.limits_of_run(loaded_.summary));
}

std::optional<admission::Permit> CallQueue::ask(const run::CallKey& key, const run::Command& command,
                                                admission::Limits limits, std::uint64_t tokens,
                                                admission::Admission::OnGranted on_granted) {
  admission::Waiter waiter = world_.policy.waiter(loaded_.summary, world_.clock.monotonic().count());
  waiter.tokens = tokens;
  admission::Permit permit = world_.admission.request(std::move(waiter), std::move(limits), std::move(on_granted));
  if (permit.is_granted()) return permit;
  queued_[key] = {std::move(permit), command};
  return std::nullopt;
}

std::optional<CallQueue::Admitted> CallQueue::take(const run::CallKey& key) {
  const auto found = queued_.find(key);
  // It may have been dropped, and wanted again, since the word was passed on.
  if (found == queued_.end() || !found->second.permit.is_granted()) return std::nullopt;
  Admitted admitted = std::move(found->second);
  queued_.erase(found);
  return admitted;
}

void CallQueue::drop(const run::CallKey& key) { take_out(queued_, key); }

void CallQueue::hold_all() {
  for (auto& [key, queued] : queued_) held_.push_back(std::move(queued.command));
  queued_.clear();
}

std::optional<run::Command> CallQueue::take_held() {
  if (held_.empty()) return std::nullopt;
  run::Command command = std::move(held_.front());
  held_.pop_front();
  return command;
}

}  // namespace weft::engine
