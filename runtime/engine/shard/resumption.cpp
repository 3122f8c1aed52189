#include "runtime/engine/shard/resumption.h"

#include <utility>

#include "runtime/engine/shard/active_run.h"

namespace weft::engine {

void Resumption::begin(std::string stopped) { pending_ = std::make_unique<Pending>(std::move(stopped)); }

bool Resumption::resume_one() {
  LoadedRun& loaded = run_.loaded();
  if (!std::exchange(pending_->listed, true)) {
    pending_->last_at_us = loaded.run->last_at_us();
    for (run::Command& command : loaded.run->outstanding()) pending_->commands.push_back(std::move(command));
  }
  if (pending_->commands.empty()) {
    pending_.reset();
    loaded.timer_past = {};
    return false;
  }
  const run::Command command = std::move(pending_->commands.front());
  pending_->commands.pop_front();
  resume(command);
  // What is not due is put aside after each event, as in a run at work: so the order of decisions is that of events.
  if (!run_.has_left()) run_.driver.set_aside();
  return true;
}

void Resumption::resume(const run::Command& command) {
  LoadedRun& loaded = run_.loaded();
  const auto* model_call = std::get_if<run::ModelCall>(&command);
  const auto* tool_call = std::get_if<run::ToolCall>(&command);
  const auto* timer = std::get_if<run::StartTimer>(&command);
  if (model_call != nullptr && model_call->started) {
    (void)run_.driver.take_answer(run_.models.lost(*model_call, pending_->stopped));
  } else if (tool_call != nullptr && tool_call->started && tools::changes_world(tool_call->effect)) {
    (void)run_.driver.take_answer(ToolCalls::lost(*tool_call, pending_->stopped));
  } else if (timer != nullptr && timer->timer == v1::TIMER_KIND_TIMEOUT) {
    run_.timers.resume(*timer, pending_->last_at_us);
  } else if (loaded.run->paused() && timer == nullptr) {
    run_.queue.hold(command);
  } else if (run_.unread.stands() && timer == nullptr) {
    run_.unread.keep(command);  // An answer before it could not be taken.
  } else {
    run_.driver.carry_out(command);
  }
}

}  // namespace weft::engine
