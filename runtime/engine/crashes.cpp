#include "runtime/engine/crashes.h"

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

std::uint64_t Crashes::counted_seq(const std::string& run_id) const {
  const auto known = left_.crashes.find(run_id);
  return known == left_.crashes.end() ? 0 : known->second.seq;
}

std::optional<std::string> Crashes::count(const std::string& run_id, std::uint64_t last_seq, bool at_work,
                                          bool got_on) {
  const auto known = left_.crashes.find(run_id);
  memory::CrashCount crash;
  if (known != left_.crashes.end() && !got_on) crash = known->second;
  const bool left_alone = crashes_max_ > 0 && crash.count >= crashes_max_;
  if (!left_.in_order && at_work && !left_alone) {
    crash = {last_seq, crash.count + 1};
    counted_[run_id] = crash;
  }
  if (crashes_max_ == 0 || crash.count < crashes_max_) return std::nullopt;
  return fmt::format(
      "weft crashed {} times in a row while the run was at work and did not get on; with a larger limits.crashes_max "
      "in weft.yaml the next start takes it up again",
      crash.count);
}

}  // namespace weft::engine
