#include "runtime/history/summaries.h"

namespace weft::history {

std::shared_ptr<const v1::Run> Summaries::find(const std::string& run_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(run_id);
  if (found == kept_.end()) return nullptr;
  uses_.splice(uses_.begin(), uses_, found->second.use);
  return found->second.run;
}

void Summaries::put(const v1::Run& run) {
  auto shared = std::make_shared<const v1::Run>(run);
  const std::lock_guard lock(mutex_);
  const auto [found, fresh] = kept_.try_emplace(run.id());
  Kept& kept = found->second;
  if (!fresh) {
    if (kept.run->last_seq() < run.last_seq()) kept.run = std::move(shared);
    return;
  }
  kept.run = std::move(shared);
  uses_.push_front(run.id());
  kept.use = uses_.begin();
  if (kept_.size() <= runs_max_) return;
  kept_.erase(uses_.back());
  uses_.pop_back();
}

void Summaries::forget(const std::string& run_id) {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(run_id);
  if (found == kept_.end()) return;
  uses_.erase(found->second.use);
  kept_.erase(found);
}

}  // namespace weft::history
