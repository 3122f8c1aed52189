// A queue that serves its tenants round robin, and each tenant's tickets by priority time.
//
// A tenant is whatever capacity is divided by: the value of a label, or a workflow. A tenant is served once a round,
// however many of its tickets wait. A priority time is the time at which a ticket began to wait, moved earlier by its
// priority: a ticket of low priority is overtaken only by those that arrive within a bounded time after it, and nothing
// has to be recomputed as time passes.
//
// Not thread-safe. Each operation takes time logarithmic in the number of waiting tickets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

namespace weft::admission {

inline constexpr std::int32_t kPriorityMax = 100;  // From -100 to 100; 0 is the default.
// One step of priority counts as much as this time of waiting.
inline constexpr std::int64_t kPriorityStepUs = 60'000'000;

constexpr std::int64_t priority_time(std::int64_t since_us, std::int32_t priority) {
  return since_us - priority * kPriorityStepUs;
}

class FairQueue {
 public:
  using Ticket = std::uint64_t;  // Of two equal priority times the lower ticket is served first.

  void add(Ticket ticket, const std::string& tenant, std::int64_t priority_time_us);
  // REQUIRES: the ticket waits here.
  void remove(Ticket ticket, const std::string& tenant, std::int64_t priority_time_us);
  // The ticket that is served next. REQUIRES: not empty.
  Ticket front() const;
  // Removes it, and moves its tenant to the end of the round.
  void pop();

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

 private:
  struct Tenant {
    std::uint64_t position = 0;                         // In the round.
    std::set<std::pair<std::int64_t, Ticket>> waiting;  // By priority time.
  };
  std::unordered_map<std::string, Tenant> tenants_;  // With at least one ticket.
  std::map<std::uint64_t, std::string> round_;       // Tenants by their position.
  std::uint64_t last_position_ = 0;
  std::size_t size_ = 0;
};

}  // namespace weft::admission
