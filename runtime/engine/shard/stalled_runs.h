// The runs of one shard that are stalled, since an append of theirs failed and may succeed later. One of them tries its
// first append again, after a growing delay; when that gets through, all go on.
//
// Loop only.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/loop.h"
#include "base/result.h"

namespace weft::engine {

class RunRecorder;

class StalledRuns {
 public:
  explicit StalledRuns(Loop& loop) : loop_(loop) {}

  void add(RunRecorder& recorder, const Error& cause);
  void remove(const RunRecorder& recorder);
  void probe_later();
  void go_on();  // The store can be written again.

 private:
  void probe();

  Loop& loop_;
  std::map<std::string, RunRecorder*> stalled_;  // By run.
  std::string probed_;                           // The run whose append was last tried again.
  std::optional<Loop::TimerId> timer_;
  Duration delay_{};  // Zero: the store was last seen to be written.
};

}  // namespace weft::engine
