#include "runtime/engine/shard/storage_stall.h"

#include <fmt/format.h>

namespace weft::engine {
namespace {

// The store is tried again within five seconds, so that is when asking again makes sense.
constexpr const char* kRetryAfterMs = "5000";

bool has_no_room(const Error& cause) { return cause.code == Code::kResourceExhausted; }

}  // namespace

Error not_now(const Error& cause) {
  const Code code = has_no_room(cause) ? Code::kResourceExhausted : Code::kUnavailable;
  Error error{code, cause.message, cause.details};
  return std::move(error).with("retry_after_ms", kRetryAfterMs);
}

void StorageStall::add(const std::string& run_id, const Error& cause) {
  const std::lock_guard lock(mutex_);
  causes_[run_id] = cause;
  count_ = causes_.size();
}

void StorageStall::remove(const std::string& run_id) {
  const std::lock_guard lock(mutex_);
  causes_.erase(run_id);
  count_ = causes_.size();
}

bool StorageStall::take(std::size_t bytes) {
  if (bytes_.fetch_add(bytes) + bytes <= bytes_max_) return true;
  bytes_ -= bytes;
  return false;
}

std::optional<Error> StorageStall::refusal() const {
  if (runs() == 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (causes_.empty()) return std::nullopt;
  Error error = not_now(causes_.begin()->second);
  error.message = fmt::format(
      "no new runs for now: {} {} to be written ({}); {}, and runs are taken again by themselves",
      causes_.size() == 1 ? "one run" : fmt::format("{} runs", causes_.size()), causes_.size() == 1 ? "waits" : "wait",
      error.message, has_no_room(error) ? "free some space" : "see to the store's disk");
  return error;
}

void StorageStall::describe(v1::Run& run) const {
  if (runs() == 0) return;
  const std::lock_guard lock(mutex_);
  const auto found = causes_.find(run.id());
  if (found == causes_.end()) return;
  run.set_status(v1::RUN_STATUS_WAITING);
  run.set_waits_for(fmt::format("{}: {}",
                                has_no_room(found->second) ? "room for its events" : "a store that can be written",
                                found->second.message));
}

}  // namespace weft::engine
