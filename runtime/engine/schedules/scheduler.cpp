#include "runtime/engine/schedules/scheduler.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "runtime/engine/respond_with.h"
#include "runtime/history/schedule_view.h"

namespace weft::engine {
namespace {

constexpr Duration kDelayMin{1'000'000};
constexpr Duration kDelayMax{60'000'000};

std::int64_t micros(Time time) { return time.time_since_epoch().count(); }
Time time_of(std::int64_t us) { return Time(Duration(us)); }

// The engine or its store cannot now; it may, later.
bool is_transient(const Error& error) {
  switch (error.code) {
    case Code::kUnavailable:
    case Code::kResourceExhausted:
    case Code::kAborted:
    case Code::kInternal:
    case Code::kDataLoss: return true;
    default: return false;
  }
}

}  // namespace

// Says when a run has ended, on the loop.
class Scheduler::EndOfRun final : public Watcher {
 public:
  EndOfRun(std::string run_id, std::function<void()> on_end) : run_id_(std::move(run_id)), on_end_(std::move(on_end)) {}
  void on_advance(std::uint64_t, std::shared_ptr<const v1::Run> ended) override {
    if (ended) on_end_();
  }
  void on_rest() override {}
  void on_progress(const v1::Progress&) override {}
  const std::string& run_id() const { return run_id_; }

 private:
  const std::string run_id_;
  const std::function<void()> on_end_;
};

Scheduler::Scheduler(SchedulerWorld world, Schedules schedules) : world_(std::move(world)), schedules_(schedules) {}
Scheduler::~Scheduler() = default;

Status Scheduler::load() {
  constexpr std::size_t kPageRows = 1'000;
  WEFT_TRY(const auto kept, world_.journal.schedules());
  std::map<std::string, v1::ScheduleState> states;
  for (const memory::ScheduleRow& row : kept) {
    if (!states[row.name].ParseFromString(row.state))
      return data_loss(fmt::format("what is kept of the schedule {} cannot be read", row.name));
  }
  std::string after;
  for (;;) {
    WEFT_TRY(const auto rows, world_.journal.workflows(kPageRows, after));
    for (const memory::WorkflowRow& row : rows) {
      v1::Workflow workflow;
      if (!workflow.ParseFromString(row.summary) || !workflow.has_schedule()) continue;
      workflow.set_applied_at_us(micros(row.applied_at));
      Entry& entry = entries_[row.name];
      if (const auto state = states.extract(row.name)) entry.state = state.mapped();
      define(entry, workflow);
    }
    if (rows.size() < kPageRows) break;
    after = rows.back().name;
  }
  for (const auto& [name, state] : states) orphans_.push_back(name);
  return {};
}

void Scheduler::start() {
  if (entries_.empty() && orphans_.empty()) return;
  world_.loop.post([this] {
    for (const std::string& name : orphans_)
      world_.journal.put_schedule({name, "", world_.epoch}, [](const Status&) {});
    orphans_.clear();
    for (auto& [name, entry] : entries_) consider(entry);
  });
}

void Scheduler::define(Entry& entry, const v1::Workflow& workflow) {
  entry.name = workflow.name();
  if (entry.generation == 0) entry.generation = ++generations_;
  entry.hash = workflow.hash();
  entry.spec = workflow.schedule();
  entry.state = history::state_for(entry.spec, time_of(workflow.applied_at_us()), &entry.state);
  auto cron = workflows::Cron::parse(entry.spec.schedule());
  auto zone = Zone::load(entry.spec.zone());
  entry.cron.reset();
  entry.zone.reset();
  if (cron && zone) {
    entry.cron = *std::move(cron);
    entry.zone = *std::move(zone);
  } else {
    spdlog::error("the schedule of {} starts nothing: {}", entry.name,
                  cron ? zone.error().message : cron.error().message);
  }
}

void Scheduler::applied(v1::Workflow workflow) {
  world_.loop.post([this, workflow = std::move(workflow)] { define(workflow); });
}

void Scheduler::define(const v1::Workflow& workflow) {
  const auto known = entries_.find(workflow.name());
  if (!workflow.has_schedule()) {
    if (known == entries_.end()) return;
    auto asked = std::move(known->second.asked);
    entries_.erase(known);
    for (auto& act : asked) act(nullptr);
    world_.journal.put_schedule({workflow.name(), "", world_.epoch}, [](const Status&) {});
    return arm();
  }
  Entry& entry = entries_[workflow.name()];
  entry.asked.emplace_back([this, workflow](Entry* free) {
    if (free == nullptr) return;
    define(*free, workflow);
    save(*free);
  });
  consider(entry);
}

Scheduler::Entry* Scheduler::find(const std::string& name, std::uint64_t generation) {
  const auto found = entries_.find(name);
  return found == entries_.end() || found->second.generation != generation ? nullptr : &found->second;
}

// Posts `act` with the schedule, once nothing of it is under way; null where there is none.
void Scheduler::ask(const std::string& name, std::move_only_function<void(Entry*)> act) {
  world_.loop.post([this, name, act = std::move(act)]() mutable {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return act(nullptr);
    Entry& entry = found->second;
    entry.asked.push_back(std::move(act));
    consider(entry);
  });
}

void Scheduler::pause(const v1::SchedulesPauseRequest& request, Reply<v1::SchedulesPauseResponse> reply) {
  ask(request.workflow(), [this, request, reply = std::move(reply)](Entry* entry) mutable {
    if (entry == nullptr) return reply(history::no_schedule(request.workflow()));
    v1::ScheduleState state = entry->state;
    state.set_paused(true);
    state.set_reason(request.reason());
    change(*entry, std::move(state), with_schedule(std::move(reply)));
  });
}

void Scheduler::resume(const v1::SchedulesResumeRequest& request, Reply<v1::SchedulesResumeResponse> reply) {
  ask(request.workflow(), [this, request, reply = std::move(reply)](Entry* entry) mutable {
    if (entry == nullptr) return reply(history::no_schedule(request.workflow()));
    v1::ScheduleState state = entry->state;
    const std::int64_t now_us = micros(world_.clock.now());
    if (state.paused()) state.set_decided_until_us(std::max(state.decided_until_us(), now_us));
    state.set_paused(false);
    state.clear_reason();
    change(*entry, std::move(state), with_schedule(std::move(reply)));
  });
}

// What cannot be kept has not happened.
void Scheduler::change(Entry& entry, v1::ScheduleState state, Reply<v1::Schedule> reply) {
  std::swap(entry.state, state);
  save(entry, [this, before = std::move(state), reply = std::move(reply)](const Status& saved, Entry* now) mutable {
    if (now != nullptr && !saved) {
      now->state = std::move(before);
      now->unsaved = false;
    }
    if (!saved) return reply(Error(saved.error()));
    reply(describe(*now));
  });
}

void Scheduler::trigger(const v1::SchedulesTriggerRequest& request, Reply<v1::SchedulesTriggerResponse> reply) {
  ask(request.workflow(), [this, request, reply = std::move(reply)](Entry* entry) mutable {
    if (entry == nullptr) return reply(history::no_schedule(request.workflow()));
    if (const auto runs = going_on(*entry); runs && runs->size() > kBesideMax) {
      return reply(resource_exhausted(fmt::format("{} runs of {} that were started by hand go on, which is the limit; "
                                                  "try again when some have ended, or submit it without its schedule",
                                                  kBesideMax, request.workflow()))
                       .with("limit", "schedule_beside_max"));
    }
    entry->busy = true;
    const ScheduledRun run{entry->name, entry->hash, request.request_id(), world_.clock.now()};
    world_.submit(run, [this, name = entry->name, generation = entry->generation,
                        reply = std::move(reply)](Result<v1::RunsSubmitResponse> submitted) mutable {
      v1::SchedulesTriggerResponse response;
      if (submitted) response.set_run_id(submitted->run_id());
      if (submitted) response.set_existing(submitted->existing());
      world_.loop.post([this, name, generation, response] {
        Entry* busy = find(name, generation);
        if (busy == nullptr) return;
        busy->busy = false;
        triggered(*busy, response);
      });
      if (!submitted) return reply(std::move(submitted).error());
      reply(std::move(response));
    });
  });
}

// A request that came again has started nothing. What goes on is not forgotten for what was started by hand.
void Scheduler::triggered(Entry& entry, const v1::SchedulesTriggerResponse& run) {
  v1::ScheduleState& state = entry.state;
  const auto runs = going_on(entry);
  const bool known =
      run.run_id() == state.last_run_id() || (runs && std::ranges::find(*runs, run.run_id()) != runs->end());
  if (run.run_id().empty() || known) return consider(entry);
  if (run.existing()) {
    const auto row = world_.journal.urgent().run(run.run_id());
    if (row && row->ended) return consider(entry);
  } else {
    state.set_started(state.started() + 1);
  }
  // Where it is not known which have ended, none has.
  if (runs) *state.mutable_beside_run_ids() = {runs->begin(), runs->end()};
  if (!runs && !state.last_run_id().empty()) state.add_beside_run_ids(state.last_run_id());
  if (entry.spec.overlap() == v1::SCHEDULE_OVERLAP_ALLOW) state.clear_beside_run_ids();
  state.set_last_run_id(run.run_id());
  save(entry);
}

void Scheduler::consider(Entry& entry) {
  while (!entry.busy && !entry.asked.empty()) {
    auto act = std::move(entry.asked.front());
    entry.asked.pop_front();
    act(&entry);
  }
  entry.due.reset();
  if (!entry.busy && schedules_ == Schedules::kStarted && !entry.state.paused() && entry.cron) {
    const Time now = world_.clock.now();
    // A clock that is set back keeps nothing off for longer.
    if (entry.not_before > now && entry.not_before - now <= entry.delay) {
      entry.due = entry.not_before;
    } else if (entry.unsaved) {
      save(entry);
    } else {
      decide(entry, now);
    }
  }
  arm();
}

void Scheduler::decide(Entry& entry, Time now) {
  v1::ScheduleState& state = entry.state;
  const auto runs = going_on(entry);
  if (!runs) {
    put_off(entry, "the run before cannot be looked at now", runs.error());
    entry.due = entry.not_before;
    return;
  }
  if (state.waiting_us_size() > 0) {
    if (runs->empty()) return begin(entry, time_of(state.waiting_us(0)));
    wait_for_previous(entry, *runs);
    if (entry.not_before > now) entry.due = entry.not_before;
  }
  const auto next = entry.cron->next(time_of(state.decided_until_us()), *entry.zone);
  if (!next) return;
  if (*next > now) {
    entry.due = std::min(entry.due.value_or(*next), *next);
    return;
  }
  if (now - *next > kOnTime && pass_over_missed(entry, now)) return;
  const v1::ScheduleOverlap overlap = entry.spec.overlap();
  const bool is_free = state.waiting_us_size() == 0 && runs->empty();
  if (overlap == v1::SCHEDULE_OVERLAP_ALLOW || is_free) return begin(entry, *next);
  state.set_decided_until_us(micros(*next));
  if (overlap == v1::SCHEDULE_OVERLAP_CANCEL_PREVIOUS) {
    state.set_skipped(state.skipped() + static_cast<std::uint64_t>(state.waiting_us_size()));
    state.clear_waiting_us();
  }
  const bool waits = overlap != v1::SCHEDULE_OVERLAP_SKIP && state.waiting_us_size() < static_cast<int>(kWaitingMax);
  if (waits) state.add_waiting_us(micros(*next));
  if (!waits) state.set_skipped(state.skipped() + 1);
  save(entry);
}

// Whether there were times of which not all are made up for; that is then being kept.
bool Scheduler::pass_over_missed(Entry& entry, Time now) {
  v1::ScheduleState& state = entry.state;
  auto due = entry.cron->between(time_of(state.decided_until_us()), now, kCatchUpMax, *entry.zone);
  if (due.times.empty()) {  // The last one was more than a year ago.
    state.set_missed(state.missed() + 1);
    state.set_decided_until_us(micros(now));
    save(entry);
    return true;
  }
  const Time last = due.times.back();
  Time from = now - kOnTime;
  if (entry.spec.catch_up() == v1::SCHEDULE_CATCH_UP_LAST) from = std::min(from, last);
  if (entry.spec.catch_up() == v1::SCHEDULE_CATCH_UP_ALL) from = due.times.front();
  if (entry.spec.catch_up() == v1::SCHEDULE_CATCH_UP_WITHIN)
    from = std::min(from, now - Duration(entry.spec.catch_up_us()));
  while (!due.times.empty() && due.times.front() < from) due.times.pop_front();
  const std::uint64_t missed = due.count - due.times.size();
  if (missed == 0) return false;
  state.set_missed(state.missed() + missed);
  state.set_decided_until_us(due.times.empty() ? micros(last) : micros(due.times.front()) - 1);
  save(entry);
  return true;
}

Result<std::vector<std::string>> Scheduler::going_on(const Entry& entry) const {
  std::vector<std::string> ids(entry.state.beside_run_ids().begin(), entry.state.beside_run_ids().end());
  if (!entry.state.last_run_id().empty()) ids.push_back(entry.state.last_run_id());
  std::vector<std::string> open;
  for (std::string& id : ids) {
    const auto run = world_.journal.urgent().run(id);
    if (!run && run.error().code == Code::kNotFound) continue;  // One that was removed had ended.
    if (!run) return run.error();
    if (!run->ended) open.push_back(std::move(id));
  }
  return open;
}

void Scheduler::wait_for_previous(Entry& entry, const std::vector<std::string>& runs) {
  std::erase_if(entry.cancelled, [&](const std::string& id) { return std::ranges::find(runs, id) == runs.end(); });
  if (entry.spec.overlap() == v1::SCHEDULE_OVERLAP_CANCEL_PREVIOUS) {
    for (const std::string& id : runs) {
      if (entry.cancelled.insert(id).second)
        world_.cancel(id, fmt::format("the schedule of {} starts its next run", entry.name));
    }
  }
  const std::string& run_id = runs.front();
  if (entry.previous && entry.previous->run_id() == run_id) return;
  entry.previous = std::make_shared<EndOfRun>(run_id, [this, name = entry.name, generation = entry.generation] {
    world_.loop.post([this, name, generation] {
      if (Entry* waiting = find(name, generation)) consider(*waiting);
    });
  });
  if (const Status watched = world_.watch(run_id, entry.previous); !watched) {
    entry.previous.reset();
    put_off(entry, "the run before cannot be looked at now", watched.error());
  }
}

void Scheduler::begin(Entry& entry, Time time) {
  entry.busy = true;
  const ScheduledRun run{entry.name, entry.hash, fmt::format("schedule/{}/{}", entry.name, to_rfc3339(time)), time};
  world_.submit(
      run, [this, name = entry.name, generation = entry.generation, time](Result<v1::RunsSubmitResponse> response) {
        world_.loop.post([this, name, generation, time, response = std::move(response)] {
          Entry* started = find(name, generation);
          if (started == nullptr) return;
          started->busy = false;
          begun(*started, time, response);
        });
      });
}

void Scheduler::begun(Entry& entry, Time time, const Result<v1::RunsSubmitResponse>& response) {
  v1::ScheduleState& state = entry.state;
  if (!response && is_transient(response.error())) {
    put_off(entry, "a run cannot start now", response.error());
    return consider(entry);
  }
  if (response) {
    entry.delay = Duration(0);
    if (response->run_id() != state.last_run_id()) state.clear_beside_run_ids();
    state.set_last_run_id(response->run_id());
    state.set_last_scheduled_for_us(micros(time));
    state.set_started(state.started() + 1);
  } else if (response.error().code != Code::kAlreadyExists) {
    // ALREADY_EXISTS: it had started, of another version, when what was decided could not be kept any more.
    state.set_failed(state.failed() + 1);
    state.set_trouble(response.error().message);
    spdlog::error("the schedule of {} could not start its run for {}: {}", entry.name, entry.zone->text(time),
                  response.error().message);
  }
  auto& waiting = *state.mutable_waiting_us();
  if (!waiting.empty() && waiting[0] == micros(time)) waiting.erase(waiting.begin());
  state.set_decided_until_us(std::max(state.decided_until_us(), micros(time)));
  save(entry);
}

void Scheduler::save(Entry& entry, OnSaved on_saved) {
  entry.busy = true;
  entry.unsaved = true;
  memory::ScheduleRow row{entry.name, entry.state.SerializeAsString(), world_.epoch};
  world_.journal.put_schedule(std::move(row), [this, name = entry.name, generation = entry.generation,
                                               on_saved = std::move(on_saved)](Status saved) mutable {
    world_.loop.post([this, name, generation, on_saved = std::move(on_saved), saved = std::move(saved)]() mutable {
      Entry* kept = find(name, generation);
      if (kept == nullptr) {
        if (on_saved) on_saved(history::no_schedule(name), nullptr);
        return;
      }
      kept->busy = false;
      if (saved) {
        kept->unsaved = false;
        kept->delay = Duration(0);
      } else if (saved.error().code == Code::kAborted) {
        schedules_ = Schedules::kLeft;  // Another owner has taken over.
      } else {
        put_off(*kept, "its state cannot be kept now", saved.error());
      }
      if (on_saved) on_saved(saved, kept);
      consider(*kept);
    });
  });
}

void Scheduler::put_off(Entry& entry, std::string_view what, const Error& error) {
  if (entry.delay == Duration(0)) spdlog::warn("the schedule of {}: {}: {}", entry.name, what, error.message);
  entry.delay = std::clamp(entry.delay * 2, kDelayMin, kDelayMax);
  entry.not_before = world_.clock.now() + entry.delay;
}

void Scheduler::arm() {
  if (timer_ != 0) world_.loop.cancel(timer_);
  timer_ = 0;
  std::optional<Time> first;
  for (const auto& [name, entry] : entries_) {
    if (entry.due && (!first || *entry.due < *first)) first = entry.due;
  }
  if (!first) return;
  const Duration wait = std::clamp<Duration>(*first - world_.clock.now(), Duration(0), kOnTime);
  timer_ = world_.loop.after(wait, [this] {
    timer_ = 0;
    const Time now = world_.clock.now();
    std::vector<std::pair<std::string, std::uint64_t>> due;
    for (const auto& [name, entry] : entries_) {
      if (entry.due && *entry.due <= now) due.emplace_back(name, entry.generation);
    }
    for (const auto& [name, generation] : due) {
      if (Entry* entry = find(name, generation)) consider(*entry);
    }
    arm();
  });
}

v1::Schedule Scheduler::describe(const Entry& entry) const {
  v1::Schedule schedule = history::describe_schedule(entry.name, entry.hash, entry.spec, entry.state,
                                                     world_.clock.now(), history::kTimesTold);
  schedule.set_served(serves());
  return schedule;
}

}  // namespace weft::engine
