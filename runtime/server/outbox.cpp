#include "runtime/server/outbox.h"

#include <algorithm>

#include "base/allocator.h"

namespace weft::server {
namespace {

constexpr Duration kLookEvery{1'000'000};
// What gRPC held for a call it frees a while after the call.
constexpr int kTrims = 5;

}  // namespace

Outbox::Outbox(HeldBytes& held, Duration stall_max) : held_(held), stall_max_(stall_max), thread_([this] { look(); }) {}

Outbox::~Outbox() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_one();
  thread_.join();
}

void Outbox::add(grpc::CallbackServerContext* context) {
  const std::lock_guard lock(mutex_);
  since_[context] = SystemClock().monotonic();
}

void Outbox::remove(grpc::CallbackServerContext* context) {
  const std::lock_guard lock(mutex_);
  since_.erase(context);
}

void Outbox::look() {
  const SystemClock clock;
  int trims_due = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    woken_.wait_for(lock, std::min(kLookEvery, stall_max_), [this] { return stopping_; });
    const Duration now = clock.monotonic();
    // Under the lock: a call that is here has not ended.
    for (const auto& [context, since] : since_) {
      if (now - since > stall_max_) context->TryCancel();
    }
    if (held_.worth_trimming()) trims_due = kTrims;
    if (trims_due == 0) continue;
    --trims_due;
    lock.unlock();
    return_free_memory();
    lock.lock();
  }
}

}  // namespace weft::server
