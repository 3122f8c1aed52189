// How much work may be done at a stretch.
//
// It is counted in units and not in time, so that the same work costs the same everywhere; a unit is about 5 ns of work
// on the machine of docs/performance.md. What works on a value, a text or a pattern from outside spends before the work
// and ends where spend() says no.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/result.h"

namespace weft {

// Not thread-safe, but for `stop`, which another thread may set.
class Budget {
 public:
  static constexpr std::uint64_t kEndless = UINT64_MAX;
  static constexpr std::uint64_t kUnitsPerMillisecond = 200'000;
  static constexpr std::uint64_t kLookUnits = 4096;  // After so many, `stop` and `around` are looked at.

  // `around` is a wider budget, out of which this one is spent as well; both outlive this object.
  // `limit` is the name of the limit that it is, for the error; it outlives the budget.
  explicit Budget(std::uint64_t units = kEndless, const std::atomic<bool>* stop = nullptr, Budget* around = nullptr,
                  const char* limit = nullptr)
      : units_(units), stop_(stop), around_(around), limit_(limit) {
    look_at_ = next_look();
  }
  ~Budget() {
    if (around_ != nullptr) around_->spend(spent_ - told_);
  }
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // False where more than all is spent, or the flag is set; from then on always.
  bool spend(std::uint64_t units) {
    spent_ += units;
    return spent_ <= look_at_ || look();
  }
  bool over() const { return over_; }  // Whether spend() has said no.
  std::uint64_t spent() const { return spent_; }

  // RESOURCE_EXHAUSTED. Of one without a name, with the detail {"limit", "cost"}: the work was left off, and says
  // nothing about its subject.
  Error error() const;
  static bool caused(const Error& error);

 private:
  bool look();
  std::uint64_t next_look() const { return units_ - spent_ < kLookUnits ? units_ : spent_ + kLookUnits; }

  const std::uint64_t units_;
  const std::atomic<bool>* const stop_;
  Budget* const around_;
  const char* const limit_;
  std::uint64_t spent_ = 0;
  std::uint64_t told_ = 0;  // Of it, to the budget around.
  std::uint64_t look_at_ = 0;
  bool over_ = false;
};

}  // namespace weft
