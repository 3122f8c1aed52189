#include "runtime/engine/subscriptions.h"

namespace weft::engine {

void Subscriptions::add(std::string_view run_id, std::weak_ptr<Watcher> watcher) {
  const std::lock_guard lock(mutex_);
  watchers_[std::string(run_id)].push_back(std::move(watcher));
  watched_ = watchers_.size();
}

void Subscriptions::remove(std::string_view run_id, const std::weak_ptr<Watcher>& watcher) {
  const std::lock_guard lock(mutex_);
  const auto found = watchers_.find(run_id);
  if (found == watchers_.end()) return;
  std::erase_if(found->second, [&](const std::weak_ptr<Watcher>& other) {
    return !other.owner_before(watcher) && !watcher.owner_before(other);
  });
  if (found->second.empty()) watchers_.erase(found);
  watched_ = watchers_.size();
}

std::vector<std::shared_ptr<Watcher>> Subscriptions::watchers_of(const std::string& run_id) {
  std::vector<std::shared_ptr<Watcher>> live;
  const std::lock_guard lock(mutex_);
  const auto found = watchers_.find(run_id);
  if (found == watchers_.end()) return live;
  std::erase_if(found->second, [&](const std::weak_ptr<Watcher>& watcher) {
    auto alive = watcher.lock();
    if (!alive) return true;
    live.push_back(std::move(alive));
    return false;
  });
  if (found->second.empty()) watchers_.erase(found);
  watched_ = watchers_.size();
  return live;
}

void Subscriptions::advanced(const std::string& run_id, std::uint64_t durable_seq,
                             const std::shared_ptr<const v1::Run>& ended) {
  if (!watched()) return;
  for (const auto& watcher : watchers_of(run_id)) watcher->on_advance(durable_seq, ended);
  if (!ended) return;
  const std::lock_guard lock(mutex_);
  watchers_.erase(run_id);
  watched_ = watchers_.size();
}

void Subscriptions::rests(const std::string& run_id) {
  if (!watched()) return;
  for (const auto& watcher : watchers_of(run_id)) watcher->on_rest();
}

void Subscriptions::progressed(const std::string& run_id, const v1::Progress& progress) {
  if (!watched()) return;
  for (const auto& watcher : watchers_of(run_id)) watcher->on_progress(progress);
}

}  // namespace weft::engine
