#include "runtime/engine/shard/run_driver.h"

#include <fmt/format.h>

#include <utility>

#include "runtime/engine/event_at.h"
#include "runtime/engine/shard/active_run.h"
#include "runtime/engine/shard/shard_core.h"

namespace weft::engine {

bool RunDriver::take_answer(v1::Event event) {
  LoadedRun& loaded = run_.loaded();
  decided_ = Duration(0);
  if (!loaded.run->expects(event)) {
    loaded.contents.drop();
    return false;
  }
  // Somebody may cancel what waits for a content that is lost.
  const bool waits = run_.unread.stands() && !event.has_cancel_requested();
  Status recorded = waits ? Status(run_.unread.cause()) : run_.note_recorded(event);
  if (recorded) return true;
  loaded.contents.keep();  // Its own contents: it is recorded later.
  run_.unread.note(std::move(recorded).error(), std::move(event));
  return false;
}

void RunDriver::answer(v1::Event event) {
  const auto mark = core_.world.at(run_.loaded().id);
  const std::string path = event.path();
  const bool was_unread = run_.unread.stands();
  if (!take_answer(std::move(event))) return run_.unread.stop_if_noted();
  if (was_unread) return run_.unread.read_again();
  advance();
  if (run_.is_gone() || run_.queue.empty()) return;
  run_.presence.is_lent() ? run_.presence.retime() : run_.timers.adjust_around(path);
}

Came RunDriver::decide(Stretch& stretch, Place place, const std::atomic<bool>* stop) {
  LoadedRun& loaded = run_.loaded();
  for (;;) {
    if (place == Place::kLoop) loaded.contents.bound(kLoopBytesMax);
    Budget budget(place == Place::kLoop ? kLoopUnits : Budget::kEndless, stop);
    auto decision = loaded.run->decide(budget);
    const bool called_back = place == Place::kPool && budget.over();
    const bool too_much = loaded.contents.interrupted() || (budget.over() && !called_back);
    loaded.contents.unbound();
    if (too_much || called_back) loaded.contents.drop();
    if (too_much) return Came::kToTooMuch;
    if (called_back) return Came::kToMore;
    if (decision && !*decision) return Came::kToNothing;
    Status recorded = decision ? run_.note_recorded(**decision) : Status(std::move(decision).error());
    if (!recorded) {
      loaded.contents.drop();
      run_.unread.note(std::move(recorded).error());
      return Came::kToUnread;
    }
    // A cut between two decisions is harmless: a restart takes the next one from the same state.
    if (run_.recorder.batch().is_full() || stretch.is_over()) return Came::kToMore;
  }
}

Came RunDriver::decide_on_pool(Stretch& stretch, const std::atomic<bool>& stop) {
  const Duration begun = core_.world.clock.monotonic();
  const Came came = decide(stretch, Place::kPool, &stop);
  decided_ += core_.world.clock.monotonic() - begun;
  return came;
}

void RunDriver::advance() {
  const LoadedRun& loaded = run_.loaded();
  const auto mark = core_.world.at(loaded.id);
  Stretch stretch(core_.world.clock, kStretch, kStretchStepsMax);
  if (!go_on_resuming(stretch)) return;
  if (run_.unread.stands() || !run_.may_begin()) return run_.flush();
  if (!carry_out_paused(stretch)) return;
  while (!loaded.run->ended() && !loaded.run->paused()) {
    switch (decide(stretch, Place::kLoop)) {
      case Came::kToTooMuch: run_.flush(); return run_.presence.lend();
      case Came::kToMore: return others_first();
      case Came::kToUnread: run_.unread.stop_if_noted(); break;
      case Came::kToNothing: break;
    }
    if (run_.unread.stands()) break;
    bool moved = false;
    while (auto command = loaded.run->next()) {
      carry_out(*command);
      if (run_.has_left()) return;
      if (stretch.is_over()) return others_first();
      moved = true;
    }
    if (run_.unread.stands()) break;
    if (moved) continue;
    if (!is_stuck()) break;
    end_stuck();
  }
  finish_stretch();
}

// Nothing is left to do until something comes.
void RunDriver::finish_stretch() {
  run_.loaded().contents.release();
  if (run_.loaded().may_wait) run_.timers.adjust_touched();
  if (!run_.tools.answers_at_once() && !lends_for_snapshot()) run_.flush();
}

// What an earlier life left. False where the run is away before all of it is taken up.
bool RunDriver::go_on_resuming(Stretch& stretch) {
  while (run_.resumption.pending()) {
    if (!run_.resumption.resume_one()) break;
    if (run_.has_left()) return false;
    run_.unread.stop_if_noted();
    if (!stretch.is_over()) continue;
    others_first();
    return false;
  }
  return true;
}

void RunDriver::others_first() {
  run_.flush();
  run_.presence.stand_in_line();
}

// What a pause has held up. False where the run is away before all of it is done.
bool RunDriver::carry_out_paused(Stretch& stretch) {
  while (!run_.loaded().run->paused()) {
    const auto command = run_.queue.take_held();
    if (!command) break;
    carry_out(*command);
    if (!run_.has_left() && stretch.is_over()) others_first();
    if (run_.has_left()) return false;
  }
  return true;
}

bool RunDriver::is_stuck() const {
  const run::Run& run = *run_.loaded().run;
  if (run.ended()) return false;  // Its end was decided just now.
  const bool idle =
      run_.models.empty() && run_.tools.size() == 0 && run_.timers.empty() && !run_.tools.asks() && run_.queue.empty();
  return idle && run.outstanding().empty() && run.doubts().empty() && run.rest().waits == 0;
}

// Nothing is decided and nothing is awaited: a defect of the runtime, and it says so instead of hanging.
void RunDriver::end_stuck() {
  v1::Event event;
  event.mutable_run_ended()->set_status(v1::RUN_STATUS_FAILED);
  event.mutable_run_ended()->mutable_failure()->set_kind(v1::ERROR_KIND_INTERNAL);
  event.mutable_run_ended()->mutable_failure()->set_message(
      "the run waits for nothing and has not ended; this is a defect of weft");
  run_.record(std::move(event));
}

void RunDriver::set_aside() {
  LoadedRun& loaded = run_.loaded();
  loaded.contents.bound(kLoopBytesMax);
  Budget budget(kLoopUnits);
  (void)loaded.run->decide(budget);
  loaded.contents.unbound();
  loaded.contents.drop();
}

void RunDriver::end_if_endless() {
  const Duration decide_max = core_.world.limits.decide_max;
  if (decided_ < decide_max) return;
  set_aside();
  v1::Event event;
  v1::CancelRequested& cancel = *event.mutable_cancel_requested();
  cancel.set_reason(
      fmt::format("it computed for {} and waited for nothing, which is limits.decide_max", to_text(decide_max)));
  if (!run_.loaded().run->expects(event)) cancel.set_kill(true);
  (void)take_answer(std::move(event));
  run_.unread.stop_if_noted();
}

// A large snapshot is formed on the pool, and rides in the append that is flushed after that.
bool RunDriver::lends_for_snapshot() {
  AppendBatch& batch = run_.recorder.batch();
  if (run_.recorder.stalled() || !batch.wants_long_snapshot()) return false;
  run_.presence.lend([this, &batch] { batch.keep_snapshot(run_.journal.snapshot()); },
                     [this, &batch] {
                       run_.flush();
                       batch.keep_snapshot("");  // It is of these events and of no later ones.
                     });
  return true;
}

void RunDriver::carry_out(const run::Command& command) {
  if (!reads_first(command)) carry_out_now(command);
}

void RunDriver::carry_out_now(const run::Command& command) {
  if (!run_.loaded().run->wants(command)) return;
  if (const auto* call = std::get_if<run::ModelCall>(&command)) return run_.models.start(*call);
  if (const auto* call = std::get_if<run::ToolCall>(&command)) return run_.tools.start(*call);
  if (const auto* question = std::get_if<run::VerifyCall>(&command)) return run_.tools.verify(*question);
  if (const auto* timer = std::get_if<run::StartTimer>(&command)) return run_.timers.start(*timer);
  drop(std::get<run::Drop>(command).key);
}

// What a call takes along is read on the pool where it is long or not at hand.
bool RunDriver::reads_first(const run::Command& command) {
  RunPresence::First first;
  if (const auto* tool_call = std::get_if<run::ToolCall>(&command)) {
    // They are only copied, so their length is no matter.
    if (run_.loaded().contents.is_at_hand(tool_call->arguments)) return false;
    first = [this, content = tool_call->arguments] { (void)run_.loaded().contents.fetch(content); };
  } else if (const auto* model_call = std::get_if<run::ModelCall>(&command)) {
    auto face = run_.models.reads_first(*model_call);
    if (face == nullptr) return false;
    first = [this, path = model_call->key.path, face = std::move(face)] {
      LoadedRun& lent = run_.loaded();
      (void)lent.conversations.at(path, face, lent.contents);
    };
  } else {
    return false;
  }
  run_.flush();
  run_.presence.lend(std::move(first), [this, command] { carry_out_now(command); });
  return true;
}

void RunDriver::permit_granted(const run::CallKey& key) {
  if (is_away()) return run_.when_here([this, key] { permit_granted(key); });
  auto admitted = run_.queue.take(key);
  if (!admitted) return;
  // The run was killed, and its end is not durable yet.
  if (!run_.loaded().run->wants(admitted->command)) return;
  // It goes in line again when the run goes on.
  if (run_.unread.stands()) return run_.unread.keep(std::move(admitted->command));
  const auto* model_call = std::get_if<run::ModelCall>(&admitted->command);
  if (model_call != nullptr) run_.models.start_admitted(*model_call, std::move(admitted->permit));
  if (model_call == nullptr)
    run_.tools.start_admitted(std::get<run::ToolCall>(admitted->command), std::move(admitted->permit));
  run_.timers.adjust_around(key.path);
  advance();
}

void RunDriver::drop(const run::CallKey& key) {
  run_.timers.drop(key);
  run_.queue.drop(key);
  run_.models.drop(key);
  run_.tools.drop(key);
}

bool RunDriver::stands_still() const { return run_.recorder.stalled() || run_.unread.stands(); }

bool RunDriver::waits(const run::CallKey& attempt) const {
  return stands_still() ||
         run_.loaded().run->waits(attempt, [&](const run::CallKey& call) { return run_.queue.contains(call); });
}

bool RunDriver::is_away() const { return run_.presence.is_away(); }

void RunDriver::when_back(const run::StartTimer& timer, Task task) {
  const bool ends = timer.timer == v1::TIMER_KIND_DEADLINE && timer.key.path.empty();
  run_.presence.when_here(ends ? Urgency::kUrgent : Urgency::kUsual, while_alive(run_, std::move(task)));
}

void RunDriver::timer_due(const run::StartTimer& timer) {
  const auto stays = run_.life().lock();
  fire(timer);
}

void RunDriver::fire(const run::StartTimer& due) {
  run_.timers.take(due);
  v1::Event event = event_at(due.key);
  event.mutable_timer_fired()->set_timer(due.timer);
  answer(std::move(event));
}

void RunDriver::adjust_timeouts() {
  if (run_.presence.is_lent()) return run_.presence.retime();
  run_.timers.adjust_all();
}

}  // namespace weft::engine
