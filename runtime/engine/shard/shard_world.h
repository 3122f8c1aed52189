// What every shard stands on, and how much one run may do before others have their turn.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/budget.h"
#include "base/pool.h"
#include "base/time.h"
#include "memory/journal/journal.h"
#include "memory/journal/work_marks.h"
#include "runtime/admission/admission.h"
#include "runtime/admission/policy.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/known_secrets.h"
#include "runtime/engine/routing/router.h"
#include "runtime/engine/shard/storage_stall.h"
#include "runtime/engine/subscriptions.h"
#include "runtime/engine/wait_reasons.h"
#include "runtime/history/summaries.h"
#include "runtime/run/run.h"
#include "tools/http_tool.h"
#include "tools/tool_threads.h"

namespace weft::engine {

// Owned by the engine; outlives the shards.
struct ShardWorld {
  memory::Journal& journal;
  const tools::Toolbox& tools;
  tools::ToolThreads& tool_threads;
  const Router& router;
  Subscriptions& subscriptions;
  WaitReasons& wait_reasons;
  StorageStall& storage_stall;
  admission::Admission& admission;
  const admission::Policy& policy;
  const tools::Secrets& secrets;
  const KnownSecrets& known_secrets;
  Clock& clock;
  const EngineLimits& limits;
  const memory::Claims& claims;
  std::atomic<std::size_t>& active_runs;
  std::atomic<std::size_t>& tool_calls;
  history::Summaries& summaries;
  Pool& deciding;  // Runs are lent to it.
  Pool& reading;   // Runs are loaded there.
  memory::WorkMarks* marks = nullptr;

  std::int64_t now_us() const { return clock.now().time_since_epoch().count(); }
  // For as long as this thread is at the run: a crash meanwhile counts for it.
  memory::WorkMarks::Mark at(const std::string& run_id) const {
    return marks == nullptr ? memory::WorkMarks::Mark() : marks->mark(run_id);
  }
};

inline constexpr std::size_t kBatchBytesMax = std::size_t{1} << 20;  // One batch of events holds about so much.
// So long the loop works for one run at a stretch, about, and takes so many decisions and commands of it.
inline constexpr Duration kStretch{5'000};
inline constexpr std::uint32_t kStretchStepsMax = 256;
// Of one decision on the loop; one that takes more is taken on the pool.
inline constexpr std::uint64_t kLoopUnits = 2 * Budget::kUnitsPerMillisecond;
// So long a pool's thread does before the next run has its turn there.
inline constexpr Duration kLoanStretch{50'000};
// Contents of one event that are taken up on the loop; a run is lent for longer ones.
inline constexpr std::size_t kLoopBytesMax = std::size_t{64} << 10;
// Of a run with so many bytes of events since its last snapshot, or such a snapshot, the next is formed on the pool.
inline constexpr std::size_t kLoopSnapshotMax = std::size_t{1} << 20;
inline constexpr Duration kLook{60'000'000};  // A wall clock that is set forward is noticed within that.

inline Time time_at(std::int64_t us) { return Time(Duration(us)); }

// A bound on how much of a run's work is done before others have their turn.
class Stretch {
 public:
  // `stop`: another thread wants the run back.
  Stretch(const Clock& clock, Duration span, std::uint32_t steps_max, const std::atomic<bool>* stop = nullptr)
      : clock_(clock), stop_(stop), until_(clock.monotonic() + span), steps_left_(steps_max) {}
  // After a step.
  bool is_over() { return --steps_left_ == 0 || (stop_ != nullptr && *stop_) || clock_.monotonic() >= until_; }

 private:
  const Clock& clock_;
  const std::atomic<bool>* stop_;
  const Duration until_;
  std::uint32_t steps_left_;
};

// Whether something for a run is done in the order of coming, or before all that the run has still to do.
enum class Urgency : std::uint8_t { kUsual, kUrgent };

}  // namespace weft::engine
