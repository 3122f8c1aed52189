#include "runtime/engine/shard/active_run.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/check.h"
#include "runtime/engine/shard/shard_core.h"

namespace weft::engine {

ActiveRun::ActiveRun(ShardCore& core, std::unique_ptr<LoadedRun> run, AppendBatch::Row row)
    : core_(core),
      loaded_(std::move(run)),
      driver(core, *this),
      presence(core, *this),
      journal(core, *this),
      recorder(core.world, core.stalled, *loaded_, row, journal),
      timers(core.loop, core.world.clock, *loaded_, driver),
      queue(core.world, *loaded_),
      models(core.world, core.client, core.prefixes, *this),
      tools(core.world, core.tools, core.loop, *this),
      unread(core, *this),
      resumption(*this),
      rest(core, *this) {}

bool ActiveRun::may_begin() {
  if (loaded_->begun) return true;
  return queue.may_begin([core = &core_, run_id = loaded_->id] { core->begin(run_id); });
}

Status ActiveRun::note_recorded(v1::Event& event) { return note_recorded(event, core_.world.now_us()); }

Status ActiveRun::note_recorded(v1::Event& event, std::int64_t at_us) {
  WEFT_RETURN_IF_ERROR(recorder.record(event, at_us));
  rest.activate();
  if (event.has_run_paused()) queue.hold_all();
  if (loaded_->may_wait) timers.touch(event.path());
  return {};
}

void ActiveRun::record(v1::Event event) {
  if (Status recorded = note_recorded(event); !recorded)
    die(fmt::format("run {}: {}", loaded_->id, recorded.error().message));
}

Status ActiveRun::try_record(v1::Event event) { return note_recorded(event); }

void ActiveRun::book(v1::Event event) {
  if (!recorder.closed() && loaded_->run->expects(event)) record(std::move(event));
}

void ActiveRun::answer(Length length, Draft draft) {
  if (length == Length::kShort) return driver.answer(draft(*loaded_));
  presence.lend([this, draft = std::move(draft)]() mutable { driver.take_answer(draft(*loaded_)); });
}

void ActiveRun::say(v1::Event event, Reply<v1::Run> reply) {
  if (!loaded_->run->expects(event)) {
    loaded_->contents.drop();
    return tell(std::move(reply));
  }
  recorder.gate().answer_when_durable(loaded_->run->last_seq() + 1, std::move(reply));
  driver.answer(std::move(event));
}

void ActiveRun::tell(Reply<v1::Run> reply) { recorder.answer_when_all_durable(std::move(reply)); }

void ActiveRun::when_durable(const run::CallKey& key, Task leave) {
  recorder.gate().when_durable(loaded_->run->last_seq(), key, std::move(leave));
}

void ActiveRun::when_here(Task task) { presence.when_here(Urgency::kUsual, while_alive(*this, std::move(task))); }

void ActiveRun::post(Task task) { core_.loop.post(while_alive(*this, std::move(task))); }

bool ActiveRun::owns() {
  if (core_.world.journal.may_send(loaded_->partition, core_.world.claims.epoch(loaded_->partition))) return true;
  recorder.give_up(aborted("the store has another owner"));
  return false;
}

std::optional<admission::Permit> ActiveRun::take_permit(const run::CallKey& key, const run::Command& command,
                                                        admission::Limits limits, std::uint64_t tokens) {
  auto permit =
      queue.ask(key, command, std::move(limits), tokens,
                [&loop = core_.loop, came = while_alive(*this, [this, key] { driver.permit_granted(key); })]() mutable {
                  loop.post(std::move(came));
                });
  if (!permit) timers.adjust_around(key.path);
  return permit;
}

void ActiveRun::cannot_carry_out(run::Command command, const Error& cause) {
  unread.stop(cause);
  unread.keep(std::move(command));
}

void ActiveRun::park(const std::string& waits_for) {
  spdlog::warn("run {} waits for {}", loaded_->id, waits_for);
  core_.world.wait_reasons.add(loaded_->id, waits_for, WaitReasons::Counts::kActive);
  core_.world.subscriptions.rests(loaded_->id);
  queue.leave();
}

void ActiveRun::forget() {
  const auto stays = shared_from_this();
  if (std::exchange(gone_, true)) return;
  recorder.close(unavailable(std::string(kDropped)));  // What drop() closes is not recorded any more.
  driver.drop(run::CallKey{});
  if (loaded_->run->ended()) core_.world.wait_reasons.remove(loaded_->id);
  presence.return_mail();
  rest.leave();
  core_.runs.erase(loaded_->id);
}

admission::Permit ActiveRun::evict() {
  gone_ = true;
  rest.leave();
  core_.runs.erase(loaded_->id);
  return loaded_->begun ? admission::Permit() : queue.take_permit();
}

}  // namespace weft::engine
