#include "runtime/engine/shard/shard.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/engine/shard/begin_run.h"

namespace weft::engine {
namespace {

Error unread_now(const std::string& run_id) {
  return unavailable(fmt::format("what run {} needs cannot be read from the store now; try again", run_id))
      .with("retry_after_ms", "1000");
}

// The client's part of the answer that waits for the run to be durable.
Reply<v1::Run> told(inputs::Input::Kind kind, Reply<inputs::Said> reply) {
  return [kind, reply = std::move(reply)](Result<v1::Run> run) mutable {
    if (!run) return reply(std::move(run).error());
    if (kind == inputs::Input::Kind::kPast) return reply(not_found("nothing of the run waits for it now"));
    reply(inputs::Said{*std::move(run), kind == inputs::Input::Kind::kKnown});
  };
}

// A run whose beginning could not be recorded does not exist: whoever submitted it learns why.
void refuse(ActiveRun& run, Error error) {
  Reply<v1::RunsSubmitResponse> submitter = run.recorder.gate().take_submitter();
  run.forget();
  submitter(std::move(error));
}

}  // namespace

void Shard::start() {
  core_.loop.post([this] {
    std::vector<std::shared_ptr<ActiveRun>> runs;
    for (const auto& [id, run] : core_.runs) runs.push_back(run);
    // The same order wherever it runs.
    std::ranges::sort(runs, {}, [](const auto& run) { return run->loaded().id; });
    for (const auto& run : runs) {
      run->resumption.begin();
      run->presence.stand_in_line();
    }
  });
  thread_ = std::thread([this] { core_.loop.run(); });
}

void Shard::stop() {
  if (!thread_.joinable()) return;
  core_.stopping = true;
  core_.loop.stop();
  thread_.join();
  for (auto& [id, run] : core_.runs) run->presence.stop();
}

void Shard::drop() {
  core_.loop.drop();
  // Apart from the map: what is told may ask for something in turn.
  const auto runs = std::exchange(core_.runs, {});
}

void Shard::after(Duration delay, Task task) {
  core_.loop.post([this, delay, task = std::move(task)]() mutable { core_.loop.after(delay, std::move(task)); });
}

std::shared_ptr<ActiveRun> Shard::add(Submission& submission) {
  auto fresh = std::make_unique<LoadedRun>(core_.contents, submission.run_id, submission.partition);
  fresh->tools = submission.definition.tools;
  fresh->run = std::make_unique<run::Run>(submission.definition.workflow, fresh->tools->table(), fresh->contents,
                                          run_limits(core_.world.limits));
  auto run = core_.add(std::move(fresh), AppendBatch::Row::kNew);
  run->recorder.gate().submitted_by(std::move(submission.reply));
  run->recorder.batch().set_request_digest(std::move(submission.request_digest));
  return run;
}

void Shard::submit(Submission submission) {
  core_.loop.post([this, submission = std::move(submission)]() mutable {
    const auto run = add(submission);
    run->queue.wait_with(std::move(submission.permit));
    begin_submitted(run, std::move(submission));
  });
}

void Shard::begin_submitted(const std::shared_ptr<ActiveRun>& run, Submission submission) {
  if (submission.input.size() <= kLoopBytesMax) {
    Status taken = take_submission(*run, std::move(submission));
    return taken ? run->driver.advance() : refuse(*run, std::move(taken).error());
  }
  auto taken = std::make_shared<Status>();
  run->presence.lend(
      [run = run.get(), taken, submission = std::move(submission)]() mutable {
        *taken = take_submission(*run, std::move(submission));
      },
      [run = run.get(), taken] { *taken ? run->driver.advance() : refuse(*run, std::move(*taken).error()); });
}

void Shard::fork(ForkStart start) {
  core_.loop.post([this, start = std::move(start)]() mutable {
    ActiveRun* const run = add(start.submission).get();
    run->loaded().model = start.forked.model();
    // A past may be long.
    auto taken = std::make_shared<Status>();
    run->presence.lend([run, taken, start = std::move(start)]() mutable { *taken = take_past(*run, std::move(start)); },
                       [run, taken] {
                         if (!*taken) return refuse(*run, std::move(*taken).error());
                         run->queue.enter();
                         run->resumption.begin("the source was forked");
                         run->driver.advance();
                       });
  });
}

void Shard::retry(memory::RunRow row, history::RunDefinition definition, std::string reason, Reply<v1::Run> reply) {
  core_.loop.post([this, row = std::move(row), definition = std::move(definition), reason = std::move(reason),
                   reply = std::move(reply)]() mutable {
    const auto ending = core_.find(row.id);
    if (ending != nullptr && !ending->presence.is_lent() && ending->loaded().run->ended()) {
      // Who asks has seen its end in the store before this shard was told that it is there.
      constexpr Duration kTold{1'000};
      core_.loop.after(kTold, [this, row = std::move(row), definition = std::move(definition),
                               reason = std::move(reason), reply = std::move(reply)]() mutable {
        retry(std::move(row), std::move(definition), std::move(reason), std::move(reply));
      });
      return;
    }
    --core_.world.active_runs;  // It is counted again when it is loaded.
    if (ending != nullptr || core_.evicted.contains(row.id) || core_.evicted.is_loading(row.id))
      return reply(failed_precondition(fmt::format("run {} has not ended", row.id)));
    core_.evicted.load({std::move(row), std::move(definition)}, {},
                       [this, reason = std::move(reason), reply = std::move(reply)](Result<ActiveRun*> run,
                                                                                    const admission::Permit&) mutable {
                         if (!run) return reply(std::move(run).error());
                         begin_again(**run, std::move(reason), std::move(reply));
                       });
  });
}

void Shard::begin_again(ActiveRun& run, std::string reason, Reply<v1::Run> reply) {
  v1::Event event;
  event.mutable_run_retried()->set_reason(std::move(reason));
  Status begun = run.loaded().run->may_retry();
  if (begun) begun = run.note_recorded(event);
  if (!begun) {
    run.forget();
    return reply(std::move(begun).error());
  }
  run.recorder.batch().reopen();
  run.loaded().timer_past = {};
  run.recorder.gate().answer_when_durable(run.loaded().run->last_seq(), std::move(reply));
  run.loaded().trim();
  run.driver.advance();
}

void Shard::input(std::string run_id, inputs::Request request) {
  core_.loop.post([this, run_id = std::move(run_id), request = std::move(request)]() mutable {
    const bool urgent = request.urgency == inputs::Request::Urgency::kUrgent;
    core_.when_here(run_id, urgent ? Urgency::kUrgent : Urgency::kUsual,
                    [this, run_id, request = std::move(request)]() mutable { take_input(run_id, std::move(request)); });
  });
}

void Shard::take_input(const std::string& run_id, inputs::Request request) {
  const auto run = core_.find(run_id);
  if (run == nullptr && core_.evicted.contains(run_id)) return request.reply(unread_now(run_id));
  if (run == nullptr) return request.reply(not_found(fmt::format("run {} is not at work here", run_id)));
  if (run->recorder.stalled()) {
    return request.reply(core_.world.storage_stall.refusal().value_or(unavailable("the store cannot be written")));
  }
  if (run->unread.stands() && request.unread == inputs::Request::Unread::kRefused)
    return request.reply(unread_now(run_id));
  // Also where nothing is to be written: who was overtaken knows the run as it was.
  if (!run->owns()) return request.reply(aborted(fmt::format("run {} is no longer served here", run_id)));
  LoadedRun& loaded = run->loaded();
  auto input = request.draft(*loaded.run, loaded.contents);
  if (!input) {
    loaded.contents.drop();
    request.reply(std::move(input).error());
  } else {
    Reply<v1::Run> reply = told(input->kind, std::move(request.reply));
    const bool records = input->kind == inputs::Input::Kind::kRecord;
    records ? run->say(std::move(input->event), std::move(reply)) : run->tell(std::move(reply));
  }
  run->rest.consider();  // What was woken for nothing is evicted again.
}

Status Shard::recover(const memory::RunRow& row, const history::RunDefinition& definition,
                      CrashLoopGuard& crash_guard) {
  WEFT_TRY(auto loaded, core_.load(row, definition));
  const run::Run& run = *loaded->run;
  const auto outstanding = run.outstanding();
  const bool waits_for_word = run.paused() || !run.open_waits().empty() || !run.doubts().empty();
  const bool waits =
      (waits_for_word || !outstanding.empty()) && std::ranges::all_of(outstanding, [](const run::Command& command) {
        return std::holds_alternative<run::StartTimer>(command);
      });
  const bool got_on = loaded->got_on_seq > crash_guard.counted_seq(row.id);
  if (auto why = crash_guard.count(row.id, run.last_seq(), !waits, got_on)) return failed_precondition(*why);
  const auto active = core_.adopt(std::move(loaded));
  // There may be many of them; a paused one is not in line.
  if (!active->loaded().run->paused() && !active->may_begin()) core_.evicted.evict(*active);
  return {};
}

void Shard::recover_later(memory::RunRow row, LoadDefinition load, const Error& cause, Duration delay) {
  if (delay == Duration(0)) spdlog::warn("run {} stands still: {}", row.id, cause.message);
  WaitReasons& wait_reasons = core_.world.wait_reasons;
  wait_reasons.add(row.id, waits_for_read(cause), WaitReasons::Counts::kIdle);
  delay = next_read_delay(delay);
  after(delay, [this, &wait_reasons, row = std::move(row), load = std::move(load), delay] {
    auto definition = load();
    if (!definition && definition.error().code == Code::kUnavailable)
      return recover_later(row, load, definition.error(), delay);
    if (!definition) return wait_reasons.add(row.id, waits_for_read(definition.error()), WaitReasons::Counts::kIdle);
    core_.evicted.load({row, *std::move(definition)}, {},
                       [this, &wait_reasons, row, load, delay](Result<ActiveRun*> run, const admission::Permit&) {
                         if (!run && run.error().code == Code::kUnavailable)
                           return recover_later(row, load, run.error(), delay);
                         if (!run)
                           return wait_reasons.add(row.id, waits_for_read(run.error()), WaitReasons::Counts::kIdle);
                         wait_reasons.remove(row.id);
                         (*run)->resumption.begin();
                         (*run)->driver.advance();
                       });
  });
}

}  // namespace weft::engine
