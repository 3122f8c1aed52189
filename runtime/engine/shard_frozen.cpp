// Appends, and what becomes of a run whose append fails: it stands still with its unwritten tail, which is appended
// again, the same appends in the same order, when there is room.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "runtime/engine/shard.h"

namespace weft::engine {
namespace {

// One run's first append is tried so often; when it gets through, all others follow.
constexpr Duration kProbeFirst{200'000};
constexpr Duration kProbeMax{5'000'000};
// What an append weighs beside its payload, about.
constexpr std::size_t kAppendBytes = 1'024;

std::size_t weight_of(const memory::Append& append) {
  std::size_t bytes = kAppendBytes + append.events.size() + append.snapshot.size();
  for (const memory::EventBatch& batch : append.before) bytes += batch.events.size();
  if (append.create) bytes += append.create->summary.size();
  if (append.update) bytes += append.update->summary.size();
  for (const memory::Blob& blob : append.blobs) bytes += blob.bytes->size();
  return bytes;
}

}  // namespace

// The copy is what a failure leaves to be tried again; contents over 16 KiB are shared with it.
void Shard::hand_in(Active& active, memory::Append append) {
  active.unsettled.push_back(append);
  if (!active.frozen) return send_append(active, std::move(append));
  if (!keep(active, weight_of(append))) {
    // Whoever flushed goes on with the run, so it is dropped when they are done.
    loop_.post([this, run_id = active.id] {
      if (Active* full = find(run_id)) give_up(*full, no_room_to_wait());
    });
  }
}

bool Shard::keep(Active& active, std::size_t bytes) {
  if (!world_.frozen.take(bytes)) return false;
  active.frozen_bytes += bytes;
  return true;
}

Error Shard::no_room_to_wait() const {
  return resource_exhausted(fmt::format("what waits to be written has reached frozen_bytes_max ({} bytes)",
                                        world_.limits.frozen_bytes_max))
      .with("limit", "frozen_bytes_max");
}

void Shard::send_append(Active& active, memory::Append append) {
  ++active.appends_in_flight;
  const std::uint64_t seq = append.last_seq;
  world_.journal.append(std::move(append), [this, run_id = active.id, seq](Result<memory::Appended> appended) mutable {
    loop_.post([this, run_id = std::move(run_id), seq, appended = std::move(appended)]() mutable {
      if (Active* at_work = find(run_id)) --at_work->appends_in_flight;
      durable(run_id, seq, std::move(appended));
    });
  });
}

// An append of the run failed. The verdict on it counts only where nothing before it is missing.
void Shard::stand_still(Active& active, std::uint64_t seq, const Error& cause) {
  const bool first = active.unsettled.empty() || active.unsettled.front().last_seq == seq;
  if (cause.code == Code::kAborted || (first && !memory::may_heal(cause))) return give_up(active, cause);
  if (!active.frozen) {
    active.frozen = true;
    std::size_t bytes = 0;
    for (const memory::Append& append : active.unsettled) bytes += weight_of(append);
    if (!keep(active, bytes)) return give_up(active, no_room_to_wait());
    // One line for all that stand still together.
    if (frozen_.empty()) spdlog::error("runs stand still, since their events cannot be written: {}", cause.message);
    frozen_.insert(active.id);
    for (auto& [at, done] : active.asking) done(not_now(cause));
    active.asking.clear();
    keep_timeouts(active);
  }
  world_.frozen.add(active.id, cause);
  if (active.appends_in_flight == 0) probe_later();
}

void Shard::probe_later() {
  if (probe_timer_) return;
  probe_delay_ = probe_delay_ == Duration::zero() ? kProbeFirst : std::min(probe_delay_ * 2, kProbeMax);
  probe_timer_ = loop_.after(probe_delay_, [this] {
    probe_timer_.reset();
    probe();
  });
}

// Takes turns, so that a run with a large append does not keep those from going on that would fit.
void Shard::probe() {
  if (frozen_.empty()) return;
  auto next = frozen_.upper_bound(probed_);
  if (next == frozen_.end()) next = frozen_.begin();
  probed_ = *next;
  Active* active = find(probed_);
  if (active == nullptr || active->appends_in_flight > 0 || active->unsettled.empty()) return probe_later();
  send_append(*active, active->unsettled.front());
}

// What is durable need not be kept; if the run stood still, the store can be written again.
void Shard::settle(Active& active) {
  while (!active.unsettled.empty() && active.unsettled.front().last_seq <= active.durable_seq) {
    active.unsettled.pop_front();
  }
  if (active.frozen && active.appends_in_flight == 0) thaw();
}

void Shard::thaw() {
  std::size_t thawed = 0;
  for (auto next = frozen_.begin(); next != frozen_.end();) {
    Active* active = find(*next);
    // One that still has an append on its way learns from that.
    if (active == nullptr || active->appends_in_flight > 0) {
      ++next;
      continue;
    }
    next = frozen_.erase(next);
    leave_frozen(*active);
    keep_timeouts(*active);
    ++thawed;
    for (const memory::Append& append : active->unsettled) send_append(*active, append);
  }
  probe_delay_ = Duration::zero();
  if (thawed > 0) spdlog::info("the store can be written again; runs that stood still go on: {}", thawed);
  if (!frozen_.empty()) probe_later();
}

void Shard::leave_frozen(Active& active) {
  if (!active.frozen) return;
  active.frozen = false;
  world_.frozen.remove(active.id);
  world_.frozen.give_back(std::exchange(active.frozen_bytes, 0));
}

}  // namespace weft::engine
