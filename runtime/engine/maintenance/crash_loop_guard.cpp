#include "runtime/engine/maintenance/crash_loop_guard.h"

#include <fmt/format.h>

namespace weft::engine {

bool gets_on(const v1::Event& event) {
  switch (event.kind_case()) {
    case v1::Event::kModelCallStarted:
    case v1::Event::kModelCallRepeated:
    case v1::Event::kToolCallStarted: return false;
    case v1::Event::kModelCallFailed: return event.model_call_failed().failure() != "lost";
    default: return true;
  }
}

std::uint64_t CrashLoopGuard::counted_seq(const std::string& run_id) const {
  const auto known = left_.crashes.find(run_id);
  return known == left_.crashes.end() ? 0 : known->second.seq;
}

std::optional<std::string> CrashLoopGuard::count_unread(const std::string& run_id, std::uint64_t last_seq) {
  if (!was_at(run_id)) return std::nullopt;
  auto why = count(run_id, last_seq, true, false);
  // Where it has more events by now, those say whether it got on.
  return last_seq == counted_seq(run_id) ? std::move(why) : std::nullopt;
}

std::optional<std::string> CrashLoopGuard::count(const std::string& run_id, std::uint64_t last_seq, bool at_work,
                                                 bool got_on) {
  memory::CrashCount crash;
  if (const auto known = left_.crashes.find(run_id); known != left_.crashes.end() && !got_on) crash = known->second;
  const bool quarantined = crashes_max_ > 0 && crash.count >= crashes_max_;
  const bool was_at_it = was_at(run_id);
  if (!left_.in_order && (at_work || was_at_it) && !quarantined) {
    crash = {last_seq, crash.count + (was_at_it ? suspects_ : 1)};
    counted_[run_id] = crash;
  }
  return too_many(crash);
}

std::optional<std::string> CrashLoopGuard::too_many(const memory::CrashCount& crash) const {
  if (crashes_max_ == 0 || crash.count < crashes_max_) return std::nullopt;
  return fmt::format(
      "weft crashed {} times in a row while the run was at work and did not get on; with a larger limits.crashes_max "
      "in weft.yaml the next start takes it up again",
      std::max<std::uint32_t>(crash.count / suspects_, 1));
}

}  // namespace weft::engine
