#include "runtime/engine/line.h"

namespace weft::engine {

void Line::add(Ticket ticket, const std::string& share, std::int64_t rank_us) {
  Share& of = shares_[share];
  if (of.waiting.empty()) {
    of.turn = ++last_turn_;
    turns_[of.turn] = share;
  }
  of.waiting.emplace(rank_us, ticket);
  ++size_;
}

void Line::remove(Ticket ticket, const std::string& share, std::int64_t rank_us) {
  const auto of = shares_.find(share);
  of->second.waiting.erase({rank_us, ticket});
  --size_;
  if (!of->second.waiting.empty()) return;
  turns_.erase(of->second.turn);
  shares_.erase(of);
}

Line::Ticket Line::front() const { return shares_.at(turns_.begin()->second).waiting.begin()->second; }

void Line::pop() {
  auto turn = turns_.extract(turns_.begin());
  const auto of = shares_.find(turn.mapped());
  of->second.waiting.erase(of->second.waiting.begin());
  --size_;
  if (of->second.waiting.empty()) {
    shares_.erase(of);
    return;
  }
  of->second.turn = turn.key() = ++last_turn_;
  turns_.insert(std::move(turn));
}

}  // namespace weft::engine
