// A cache of run summaries, each as of some durable event of its run: a list then reads one row a run, and the events
// since.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "weft/v1/runs.pb.h"

namespace weft::history {

// Thread-safe. Bounded: beyond `runs_max` runs the least recently used are forgotten; their events hold the same.
class Summaries {
 public:
  static constexpr std::size_t kRunsMax = 20'000;

  explicit Summaries(std::size_t runs_max = kRunsMax) : runs_max_(runs_max) {}

  // Null where it is not known; `last_seq` in it is the event that it is as of.
  std::shared_ptr<const v1::Run> find(const std::string& run_id) const;
  // REQUIRES: all of its events are durable. An older one is ignored.
  void put(const v1::Run& run);
  void forget(const std::string& run_id);

 private:
  struct Kept {
    std::shared_ptr<const v1::Run> run;
    std::list<std::string>::iterator use;
  };
  const std::size_t runs_max_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  mutable std::list<std::string> uses_;  // Most recent first.
  std::unordered_map<std::string, Kept> kept_;
};

}  // namespace weft::history
