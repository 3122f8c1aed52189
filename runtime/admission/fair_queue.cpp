#include "runtime/admission/fair_queue.h"

namespace weft::admission {

void FairQueue::add(Ticket ticket, const std::string& tenant, std::int64_t priority_time_us) {
  Tenant& of = tenants_[tenant];
  if (of.waiting.empty()) {
    of.position = ++last_position_;
    round_[of.position] = tenant;
  }
  of.waiting.emplace(priority_time_us, ticket);
  ++size_;
}

void FairQueue::remove(Ticket ticket, const std::string& tenant, std::int64_t priority_time_us) {
  const auto of = tenants_.find(tenant);
  of->second.waiting.erase({priority_time_us, ticket});
  --size_;
  if (!of->second.waiting.empty()) return;
  round_.erase(of->second.position);
  tenants_.erase(of);
}

FairQueue::Ticket FairQueue::front() const { return tenants_.at(round_.begin()->second).waiting.begin()->second; }

void FairQueue::pop() {
  auto entry = round_.extract(round_.begin());
  const auto of = tenants_.find(entry.mapped());
  of->second.waiting.erase(of->second.waiting.begin());
  --size_;
  if (of->second.waiting.empty()) {
    tenants_.erase(of);
    return;
  }
  of->second.position = entry.key() = ++last_position_;
  round_.insert(std::move(entry));
}

}  // namespace weft::admission
