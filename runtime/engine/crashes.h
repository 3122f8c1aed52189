// Runs that take weft down with them: one that was at work at several crashes in a row and did not get on in between is
// left alone, so that the others can.
//
// Nothing is counted while runs work: an owner that starts sees whether the last one left in order, and which runs have
// got on since they were last counted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "memory/care.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

inline constexpr std::uint32_t kCrashesMax = 5;

// Whether the event shows that the run got on: a result or a decision, not the intent of a call or its loss.
bool gets_on(const v1::Event& event);

class Crashes {
 public:
  static constexpr std::size_t kSuspectsMax = 1'000;

  // `crashes_max` 0: runs are always taken up again. Where several runs are unfinished, which of them it was is not
  // known: a run is left alone after so many crashes for each of them.
  Crashes(memory::Left left, std::uint32_t crashes_max, std::size_t unfinished)
      : left_(std::move(left)),
        crashes_max_(crashes_max * static_cast<std::uint32_t>(std::clamp<std::size_t>(unfinished, 1, kSuspectsMax))) {}

  // The event up to which the run was counted; 0: never.
  std::uint64_t counted_seq(const std::string& run_id) const;
  // Counts the crash for a run that was `at_work` then and has `got_on` or not since it was counted. The sentence that
  // says why it is left alone, or nothing.
  std::optional<std::string> count(const std::string& run_id, std::uint64_t last_seq, bool at_work, bool got_on);
  // What is to be stored before any run goes on.
  const std::map<std::string, memory::CrashCount>& counted() const { return counted_; }

 private:
  const memory::Left left_;
  const std::uint32_t crashes_max_;
  std::map<std::string, memory::CrashCount> counted_;
};

}  // namespace weft::engine
