// Who waits, in the order in which they are served: the shares take turns, each with the first of its own, by rank.
//
// A share is whatever places are to be divided by: a label's value, a workflow. However many of a share wait, it is
// served once a round. A rank is a time, and a higher priority an earlier one: so a low priority is overtaken only by
// what came within a bound after it (`rank_of`), and ranks need no looking after as time goes by.
//
// Not thread-safe. Each operation costs a logarithm of what waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

namespace weft::engine {

inline constexpr std::int32_t kPriorityMax = 100;  // And as far below 0, which is the usual one.
// One step of priority is worth so much waiting.
inline constexpr std::int64_t kPriorityStepUs = 60'000'000;

constexpr std::int64_t rank_of(std::int64_t since_us, std::int32_t priority) {
  return since_us - priority * kPriorityStepUs;
}

class Line {
 public:
  using Ticket = std::uint64_t;  // Of equal ranks the lower ticket is first.

  void add(Ticket ticket, const std::string& share, std::int64_t rank_us);
  // REQUIRES: it waits here.
  void remove(Ticket ticket, const std::string& share, std::int64_t rank_us);
  // Who is next. REQUIRES: not empty.
  Ticket front() const;
  // Serves them: their share's turn is over.
  void pop();

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

 private:
  struct Share {
    std::uint64_t turn = 0;
    std::set<std::pair<std::int64_t, Ticket>> waiting;  // By rank.
  };
  std::unordered_map<std::string, Share> shares_;  // That wait.
  std::map<std::uint64_t, std::string> turns_;     // The round: shares by their turn.
  std::uint64_t last_turn_ = 0;
  std::size_t size_ = 0;
};

}  // namespace weft::engine
