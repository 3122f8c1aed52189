#include "runtime/engine/shard/stalled_runs.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <vector>

#include "runtime/engine/shard/run_recorder.h"

namespace weft::engine {
namespace {

constexpr Duration kProbeFirst{200'000};
constexpr Duration kProbeMax{5'000'000};

}  // namespace

void StalledRuns::add(RunRecorder& recorder, const Error& cause) {
  // One line for all that stand still together.
  if (stalled_.empty()) spdlog::error("runs stand still, since their events cannot be written: {}", cause.message);
  stalled_[recorder.run_id()] = &recorder;
}

void StalledRuns::remove(const RunRecorder& recorder) {
  const auto found = stalled_.find(recorder.run_id());
  if (found != stalled_.end() && found->second == &recorder) stalled_.erase(found);
}

void StalledRuns::probe_later() {
  if (timer_) return;
  delay_ = delay_ == Duration::zero() ? kProbeFirst : std::min(delay_ * 2, kProbeMax);
  timer_ = loop_.after(delay_, [this] {
    timer_.reset();
    probe();
  });
}

// The runs take turns, so that one with a large append does not keep those from going on that would fit.
void StalledRuns::probe() {
  if (stalled_.empty()) return;
  auto next = stalled_.upper_bound(probed_);
  if (next == stalled_.end()) next = stalled_.begin();
  probed_ = next->first;
  if (!next->second->append_first_again()) probe_later();
}

void StalledRuns::go_on() {
  std::vector<RunRecorder*> written;
  for (const auto& [run_id, recorder] : stalled_) {
    // One that still has an append on its way learns from that.
    if (!recorder->has_appends_in_flight()) written.push_back(recorder);
  }
  for (RunRecorder* recorder : written) recorder->go_on();
  delay_ = Duration::zero();
  if (!written.empty()) spdlog::info("the store can be written again; runs that stood still go on: {}", written.size());
  if (!stalled_.empty()) probe_later();
}

}  // namespace weft::engine
