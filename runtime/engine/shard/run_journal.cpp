#include "runtime/engine/shard/run_journal.h"

#include <utility>

#include "runtime/engine/shard/active_run.h"
#include "runtime/engine/shard/run_snapshot.h"
#include "runtime/engine/shard/shard_core.h"

namespace weft::engine {

void RunJournal::send(memory::Append append) {
  const std::uint64_t seq = append.last_seq;
  append.alone = core_.world.active_runs == 1;
  core_.world.journal.append(std::move(append), [&loop = core_.loop, &recorder = run_.recorder, life = run_.life(),
                                                 seq](Result<memory::Appended> appended) {
    loop.post([&recorder, life, seq, appended = std::move(appended)]() mutable {
      if (const auto run = life.lock()) recorder.append_ended(seq, std::move(appended));
    });
  });
}

bool RunJournal::is_lent() const { return run_.presence.is_lent(); }

void RunJournal::when_not_lent(Task task) {
  run_.presence.when_here(Urgency::kUrgent, while_alive(run_, std::move(task)));
}

void RunJournal::post(Task task) { run_.post(std::move(task)); }

const v1::Run& RunJournal::summary_to_tell() {
  const v1::Run* shown = run_.presence.summary_shown();
  return shown == nullptr ? run_.loaded().summary : *shown;
}

std::string RunJournal::snapshot() {
  const LoadedRun& loaded = run_.loaded();
  RunSnapshot snapshot{.state = loaded.run->snapshot()};
  if (snapshot.state.empty()) return "";
  snapshot.summary = loaded.summary;
  snapshot.model = loaded.model;
  snapshot.epoch = core_.world.claims.epoch(run_.loaded().partition);
  snapshot.got_on_seq = loaded.got_on_seq;
  snapshot.may_wait = loaded.may_wait;
  snapshot.begun = loaded.begun;
  snapshot.later_us = run_.timers.later_us();
  snapshot.agents = loaded.conversations.begun();
  return encode(snapshot);
}

bool RunJournal::owns() { return run_.owns(); }

void RunJournal::became_durable() {
  const LoadedRun& loaded = run_.loaded();
  const bool all_durable = !is_lent() && run_.recorder.all_durable();
  const bool over = all_durable && loaded.run->ended();  // One that is lent has not ended.
  if (over) core_.world.summaries.forget(loaded.id);
  if (!over && all_durable) run_.rest.consider_summary();
  if (core_.world.subscriptions.watched()) {
    core_.world.subscriptions.advanced(loaded.id, run_.recorder.durable_seq(),
                                       over ? std::make_shared<v1::Run>(loaded.summary) : nullptr);
  }
  over ? run_.forget() : run_.rest.consider();
}

void RunJournal::stall_changed() { run_.driver.adjust_timeouts(); }

void RunJournal::let_go() { run_.forget(); }

void RunJournal::lost(const Error& why) {
  const std::string& run_id = run_.loaded().id;
  run_.forget();  // First: it would take a run for over whose end was not written.
  core_.world.wait_reasons.add(run_id, "a restart: its events could not be written (" + why.message + ")",
                               WaitReasons::Counts::kIdle);
  core_.world.subscriptions.rests(run_id);
}

}  // namespace weft::engine
