// The cron scheduler: starts the runs of schedules when they are due.
//
// Invariants:
//  1. A time starts one run at most, whatever stops in between: the request id of its submission is made of the
//     schedule and the time, and the decision about a time is durable before the next time is considered.
//  2. One timer for all schedules, and none where no time is due by itself.
//
// Everything happens on one shard's loop; the public calls are thread-safe and post to it.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/zone.h"
#include "memory/journal/journal.h"
#include "runtime/engine/api.h"
#include "weft/v1/schedules.pb.h"
#include "workflows/cron.h"

namespace weft::engine {

struct ScheduledRun {
  std::string workflow;
  std::string hash;
  std::string request_id;  // Empty: none.
  Time scheduled_for{};
};

// What the scheduler needs of its engine; thread-safe, outlives it.
struct SchedulerWorld {
  memory::Journal& journal;
  Clock& clock;
  Loop& loop;
  memory::Epoch epoch = 0;
  std::function<void(const ScheduledRun& run, Reply<v1::RunsSubmitResponse> reply)> submit;
  std::function<void(const std::string& run_id, const std::string& reason)> cancel;
  std::function<Status(const std::string& run_id, std::weak_ptr<Watcher> watcher)> watch;
};

// Whether the engine starts runs by their schedules, or leaves that to another one.
enum class Schedules : std::uint8_t { kStarted, kLeft };

class Scheduler {
 public:
  static constexpr std::size_t kBesideMax = 100;   // Runs that go on beside the last one, started by hand.
  static constexpr std::size_t kWaitingMax = 100;  // Times of one schedule that wait for a run to end.
  static constexpr std::size_t kCatchUpMax = 100;  // Times that are made up for at once.
  // A time that is later than this has been missed. A clock that is set forward is noticed within it.
  static constexpr Duration kOnTime{60'000'000};

  Scheduler(SchedulerWorld world, Schedules schedules);
  ~Scheduler();  // REQUIRES: the loop has ended, and the journal calls back no more.

  Status load();  // Before the loop runs.
  void start();
  // A version that is durable and now the last applied.
  void applied(v1::Workflow workflow);
  void pause(const v1::SchedulesPauseRequest& request, Reply<v1::SchedulesPauseResponse> reply);
  void resume(const v1::SchedulesResumeRequest& request, Reply<v1::SchedulesResumeResponse> reply);
  void trigger(const v1::SchedulesTriggerRequest& request, Reply<v1::SchedulesTriggerResponse> reply);
  bool serves() const { return schedules_ == Schedules::kStarted; }

 private:
  class EndOfRun;
  struct Entry {
    std::string name;
    std::uint64_t generation = 0;
    std::string hash;
    v1::ScheduleSpec spec;
    v1::ScheduleState state;
    std::optional<workflows::Cron> cron;  // None, as the zone: this machine cannot read it, and it starts nothing.
    std::optional<Zone> zone;
    bool busy = false;                // A submission, or the keeping of its state, is under way.
    bool unsaved = false;             // The state was to be kept and could not be.
    std::optional<Time> due;          // When to look again; none: something else says so.
    Time not_before{};                // After a failure.
    Duration delay{0};                // The last one of these.
    std::set<std::string> cancelled;  // Runs that were asked to end for a newer one.
    std::shared_ptr<EndOfRun> previous;
    std::deque<std::move_only_function<void(Entry*)>> asked;  // Until it is not busy; null where it goes.
  };
  using OnSaved = std::move_only_function<void(const Status& saved, Entry* entry)>;  // Null: it is gone.

  void define(const v1::Workflow& workflow);
  void define(Entry& entry, const v1::Workflow& workflow);
  void ask(const std::string& name, std::move_only_function<void(Entry*)> act);
  Entry* find(const std::string& name, std::uint64_t generation);
  void consider(Entry& entry);
  void decide(Entry& entry, Time now);
  void change(Entry& entry, v1::ScheduleState state, Reply<v1::Schedule> reply);
  bool pass_over_missed(Entry& entry, Time now);
  // The runs that overlap with the next one: the last, and those beside it, as long as they have not ended.
  Result<std::vector<std::string>> going_on(const Entry& entry) const;
  void triggered(Entry& entry, const v1::SchedulesTriggerResponse& run);
  void wait_for_previous(Entry& entry, const std::vector<std::string>& runs);
  void begin(Entry& entry, Time time);
  void begun(Entry& entry, Time time, const Result<v1::RunsSubmitResponse>& response);
  void save(Entry& entry, OnSaved on_saved = nullptr);
  void put_off(Entry& entry, std::string_view what, const Error& error);
  void arm();
  v1::Schedule describe(const Entry& entry) const;

  SchedulerWorld world_;
  std::atomic<Schedules> schedules_;      // The loop writes it, serves() reads it anywhere.
  std::map<std::string, Entry> entries_;  // Loop only, as all below.
  std::vector<std::string> orphans_;      // Kept states of workflows that have no schedule any more.
  std::uint64_t generations_ = 0;
  Loop::TimerId timer_ = 0;  // 0: none is set.
};

}  // namespace weft::engine
