// Quarantines a run that seems to crash weft: one that was active at N consecutive crashes and made no progress between
// them is not resumed, so that the other runs can go on.
//
// Nothing is counted while runs work. An engine that starts sees whether the last one ended in order, and which runs
// have made progress since they were last counted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "memory/journal/maintenance.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

inline constexpr std::uint32_t kCrashesMax = 5;  // The default of N; 0 disables the quarantine.

// Whether the event shows progress: a result or a decision, not the intent of a call or its loss.
bool gets_on(const v1::Event& event);

class CrashLoopGuard {
 public:
  static constexpr std::size_t kSuspectsMax = 1'000;

  // `crashes_max`: N; 0: no run is quarantined. Where several runs are unfinished and none was marked as being worked
  // on (memory/journal/work_marks.h), the cause is not known: a run is then quarantined after N crashes for each of the
  // unfinished runs. A crash with a marked run counts for that run as often as there are unfinished runs.
  CrashLoopGuard(memory::Left left, std::uint32_t crashes_max, std::size_t unfinished)
      : left_(std::move(left)),
        suspects_(static_cast<std::uint32_t>(std::clamp<std::size_t>(unfinished, 1, kSuspectsMax))),
        crashes_max_(crashes_max * suspects_) {}

  // Counts the crash for a run that a thread was working on, before the run is read: reading it may be what crashes.
  // Returns why the run is quarantined, or nothing.
  std::optional<std::string> count_unread(const std::string& run_id, std::uint64_t last_seq);
  // The event up to which the run was counted; 0: never.
  std::uint64_t counted_seq(const std::string& run_id) const;
  // Counts the crash for a run that was `at_work` then, and has made progress since it was counted (`got_on`) or not.
  // Returns why the run is quarantined, or nothing.
  std::optional<std::string> count(const std::string& run_id, std::uint64_t last_seq, bool at_work, bool got_on);
  // To be stored before any run goes on.
  const std::map<std::string, memory::CrashCount>& counted() const { return counted_; }

 private:
  bool was_at(const std::string& run_id) const {
    return std::ranges::find(left_.at_work, run_id) != left_.at_work.end();
  }
  std::optional<std::string> too_many(const memory::CrashCount& crash) const;

  const memory::Left left_;
  const std::uint32_t suspects_;  // Where the crashed engine marked no run.
  const std::uint32_t crashes_max_;
  std::map<std::string, memory::CrashCount> counted_;
};

}  // namespace weft::engine
