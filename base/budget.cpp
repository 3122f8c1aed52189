#include "base/budget.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft {

bool Budget::look() {
  const bool around_goes_on = around_ == nullptr || around_->spend(spent_ - told_);
  told_ = spent_;
  const bool stopped = stop_ != nullptr && stop_->load(std::memory_order_relaxed);
  over_ = over_ || spent_ > units_ || stopped || !around_goes_on;
  look_at_ = over_ ? 0 : next_look();
  return !over_;
}

Error Budget::error() const {
  const bool by_itself = around_ == nullptr || !around_->over();
  if (limit_ != nullptr && by_itself) {
    return resource_exhausted(fmt::format("this takes more than {} units of work ({})", units_, limit_))
        .with("limit", limit_);
  }
  return resource_exhausted(fmt::format("the work was left off after {} units of its budget", spent_))
      .with("limit", "cost");
}

bool Budget::caused(const Error& error) {
  return error.code == Code::kResourceExhausted &&
         std::ranges::find(error.details, Detail{"limit", "cost"}) != error.details.end();
}

}  // namespace weft
