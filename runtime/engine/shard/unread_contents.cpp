#include "runtime/engine/shard/unread_contents.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "runtime/engine/shard/active_run.h"
#include "runtime/engine/shard/shard_core.h"

namespace weft::engine {
namespace {

constexpr Duration kReadFirst{200'000};
constexpr Duration kReadMax{30'000'000};

}  // namespace

Duration next_read_delay(Duration delay) { return std::clamp(delay * 2, kReadFirst, kReadMax); }

std::string waits_for_read(const Error& cause) {
  return (cause.code == Code::kUnavailable ? "a store that can be read: " : "somebody who looks at it: ") +
         cause.message;
}

void UnreadContents::stop(const Error& cause) {
  if (unread_) return;
  unread_ = std::make_unique<Unread>();
  unread_->cause = cause;
  const std::string& run_id = run_.loaded().id;
  if (delay_ == Duration(0)) spdlog::warn("run {} stands still: {}", run_id, cause.message);
  run_.rest.mark_waiting();
  core_.world.wait_reasons.add(run_id, waits_for_read(cause), WaitReasons::Counts::kActive);
  run_.driver.adjust_timeouts();
  delay_ = next_read_delay(delay_);
  if (cause.code == Code::kDataLoss) return core_.world.subscriptions.rests(run_id);
  core_.loop.after(delay_, while_alive(run_, [this] { run_.when_here([this] { read_again(); }); }));
}

void UnreadContents::note(Error cause, v1::Event answer) {
  noted_ = std::move(cause);
  not_taken_.push_back(std::move(answer));
}

void UnreadContents::stop_if_noted() {
  if (!noted_) return;
  const Error cause = *std::exchange(noted_, std::nullopt);
  stop(cause);
  if (!run_.rest.mark_waiting())  // It was lent for what has come.
    core_.world.wait_reasons.add(run_.loaded().id, waits_for_read(unread_->cause), WaitReasons::Counts::kActive);
  std::ranges::move(std::exchange(not_taken_, {}), std::back_inserter(unread_->answers));
}

void UnreadContents::keep(run::Command command) { unread_->commands.push_back(std::move(command)); }

void UnreadContents::read_again() {
  if (!unread_) return;
  const std::unique_ptr<Unread> kept = std::exchange(unread_, nullptr);
  take_in(*kept);
  if (run_.is_gone()) return;
  if (unread_) {
    std::ranges::move(kept->answers, std::back_inserter(unread_->answers));
    std::ranges::move(kept->commands, std::back_inserter(unread_->commands));
    return;
  }
  spdlog::info("run {} goes on: what it needs can be read", run_.loaded().id);
  delay_ = Duration(0);
  run_.rest.activate();
  run_.driver.adjust_timeouts();
  run_.rest.consider();
}

void UnreadContents::take_in(Unread& kept) {
  // Decisions come first: they were due before what came meanwhile. The run may be away behind each.
  run_.driver.advance();
  while (!run_.is_gone() && !unread_ && !kept.answers.empty()) {
    run_.when_here([this, event = std::move(kept.answers.front())]() mutable { run_.driver.answer(std::move(event)); });
    kept.answers.pop_front();
  }
  if (run_.is_gone() || unread_) return;
  for (run::Command& command : std::exchange(kept.commands, {})) {
    run_.when_here([this, command = std::move(command)] { unread_ ? keep(command) : run_.driver.carry_out(command); });
  }
  run_.when_here([this] { run_.driver.advance(); });
}

}  // namespace weft::engine
