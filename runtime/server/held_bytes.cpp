#include "runtime/server/held_bytes.h"

#include <fmt/format.h>

#include <utility>

namespace weft::server {
namespace {

constexpr int kTryAgainMs = 1'000;
// glibc keeps what was freed in pieces; after so many bytes of large messages it is asked to return it.
constexpr std::size_t kTrimBytes = std::size_t{16} << 20;

}  // namespace

Hold& Hold::operator=(Hold&& other) noexcept {
  if (this == &other) return *this;
  shrink(0);
  from_ = std::exchange(other.from_, nullptr);
  caller_ = std::move(other.caller_);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

void Hold::shrink(std::size_t bytes) {
  if (bytes >= bytes_) return;
  from_->give(caller_, bytes_ - bytes);
  bytes_ = bytes;
}

Result<Hold> HeldBytes::take(const std::string& caller, std::size_t bytes) {
  Hold hold;
  if (bytes < kCountedBytesMin) return hold;
  const std::lock_guard lock(mutex_);
  const auto own = by_caller_.find(caller);
  const std::size_t own_bytes = own == by_caller_.end() ? 0 : own->second;
  const bool all_full = bytes_ + bytes > kHeldBytesMax;
  if (all_full || own_bytes + bytes > kHeldBytesOfCallerMax) {
    given_back_ += bytes;  // It has arrived nevertheless.
    return resource_exhausted(
               fmt::format("{} more bytes do not fit: the server holds {} of {} for {}, in requests under way and in "
                           "answers that were not read; read them, or try again",
                           bytes, all_full ? bytes_ : own_bytes, all_full ? kHeldBytesMax : kHeldBytesOfCallerMax,
                           all_full ? "all its callers" : "this caller"))
        .with("limit", all_full ? "held_bytes_max" : "held_bytes_of_caller_max")
        .with("retry_after_ms", std::to_string(kTryAgainMs));
  }
  bytes_ += bytes;
  by_caller_[caller] += bytes;
  hold.from_ = this;
  hold.caller_ = caller;
  hold.bytes_ = bytes;
  return hold;
}

void HeldBytes::give(const std::string& caller, std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    bytes_ -= bytes;
    const auto own = by_caller_.find(caller);
    own->second -= bytes;
    if (own->second == 0) by_caller_.erase(own);
  }
  given_back_ += bytes;
}

bool HeldBytes::fits(const std::string& caller, std::size_t bytes) const {
  const std::lock_guard lock(mutex_);
  const auto own = by_caller_.find(caller);
  return bytes_ + bytes <= kHeldBytesMax &&
         (own == by_caller_.end() ? 0 : own->second) + bytes <= kHeldBytesOfCallerMax;
}

std::size_t HeldBytes::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

bool HeldBytes::worth_trimming() {
  if (given_back_ < kTrimBytes) return false;
  given_back_ = 0;
  return true;
}

}  // namespace weft::server
