#include "runtime/engine/shard.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "runtime/engine/batch.h"
#include "runtime/engine/tally.h"
#include "workflows/path.h"

namespace weft::engine {
namespace {

// What may be said to a run while it waits for its turn leaves it there.
bool begins(const v1::Event& event) {
  return !event.has_run_submitted() && !event.has_signal_received() && !event.has_run_paused() &&
         !event.has_run_resumed();
}

}  // namespace

bool makes_wait(const v1::Event& event) {
  return event.attempt_started().has_waiting() || event.has_run_paused() || event.has_tool_call_in_doubt() ||
         event.round_ended().verdict() == v1::ROUND_VERDICT_ASK;
}

void Shard::Active::note(const v1::Event& event) {
  may_wait = may_wait || makes_wait(event);
  begun = begun || begins(event);
  if (gets_on(event)) got_on_seq = event.seq();
  if (event.has_run_forked()) model = event.run_forked().model();
}

Shard::Shard(ShardWorld world) : world_(world), http_(loop_), client_(http_), contents_(world.journal) {}

Shard::~Shard() { stop(); }

void Shard::stop() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
}

void Shard::start() {
  loop_.post([this] {
    std::vector<std::string> ids;
    for (const auto& [id, active] : runs_) ids.push_back(id);
    std::ranges::sort(ids);  // The same order wherever it runs.
    for (const std::string& id : ids) {
      if (Active* active = find(id)) resume(*active);
      if (Active* active = find(id)) consider_rest(*active);
    }
  });
  thread_ = std::thread([this] { loop_.run(); });
}

Shard::Active* Shard::find(const std::string& run_id) {
  const auto found = runs_.find(run_id);
  return found == runs_.end() ? nullptr : found->second.get();
}

void Shard::submit(Submission submission) {
  loop_.post([this, submission = std::move(submission)]() mutable {
    auto active = std::make_unique<Active>();
    active->id = submission.run_id;
    active->partition = submission.partition;
    active->request_digest = std::move(submission.request_digest);
    active->submitted = std::move(submission.done);
    active->turn = std::move(submission.turn);
    active->run = std::make_unique<run::Run>(submission.workflow, world_.tool_table, contents_);

    v1::Event event;
    v1::RunSubmitted& submitted = *event.mutable_run_submitted();
    submitted.mutable_identity()->set_run_id(submission.run_id);
    submitted.mutable_identity()->set_lineage(submission.run_id);
    submitted.mutable_identity()->set_partition(submission.partition);
    submitted.mutable_identity()->set_request_id(submission.request.request_id());
    submitted.mutable_identity()->set_traceparent(submission.request.traceparent());
    submitted.set_semantics(run::kSemantics);
    submitted.set_workflow(submission.workflow->name);
    submitted.set_workflow_hash(submission.workflow->hash);
    submitted.set_priority(submission.request.priority());
    *submitted.mutable_labels() = submission.request.labels();
    submitted.set_scheduled_for_us(submission.scheduled_for_us);
    if (submission.scheduled_for_us != 0) submitted.set_schedule(submission.workflow->name);
    auto input = contents_.put(std::move(submission.input));
    if (!input) {
      --world_.active_runs;
      return active->submitted(std::move(input).error());
    }
    *submitted.mutable_input_json() = *std::move(input);
    Active& added = *(runs_[active->id] = std::move(active));
    admit(added, std::move(event));
    advance(added);
  });
}

void Shard::answer(const std::string& run_id, v1::Event event) {
  Active* active = find(run_id);
  if (active == nullptr || !active->run->expects(event)) return;
  const std::string path = event.path();
  admit(*active, std::move(event));
  advance(*active);
  if (!active->queued.empty()) keep_timeouts_around(*active, path);
}

void Shard::admit(Active& active, v1::Event event) {
  admit(active, std::move(event), world_.clock.now().time_since_epoch().count());
}

void Shard::admit(Active& active, v1::Event event, std::int64_t at_us) {
  run::stamp(event, active.run->last_seq(), active.run->last_at_us(), active.run->digest(), at_us, world_.epoch);
  if (Status applied = active.run->apply(event); !applied)
    die(fmt::format("run {}: {}", active.id, applied.error().message));
  active.conversations.apply(event);
  tally(event, active.summary);
  awaken(active);
  active.note(event);
  if (event.has_run_paused()) hold_queued(active);
  if (active.batch.empty()) active.batch_first = event.seq();
  append_event(event, active.batch);
}

void Shard::advance(Active& active) {
  if (!may_begin(active)) return flush(active);
  if (!active.run->paused()) {
    for (const run::Command& command : std::exchange(active.held, {})) carry_out(active, command);
  }
  while (!active.run->ended() && !active.run->paused()) {
    bool moved = false;
    while (auto decision = active.run->decide()) {
      admit(active, *std::move(decision));
      moved = true;
      // A cut between two decisions is harmless: a restart takes the next one from the same state.
      if (active.batch.size() > kBatchBytesMax) flush(active);
    }
    while (auto command = active.run->next()) {
      carry_out(active, *command);
      moved = true;
    }
    if (moved) continue;
    const bool idle = active.models.empty() && active.tools.empty() && active.timers.empty() && active.asked == 0 &&
                      active.queued.empty();
    if (!idle || !active.run->outstanding().empty()) break;
    if (!active.run->doubts().empty() || !active.run->open_waits().empty()) break;
    // Nothing is decided and nothing is awaited: a defect of the runtime, and it says so instead of hanging.
    v1::Event event;
    event.mutable_run_ended()->set_status(v1::RUN_STATUS_FAILED);
    event.mutable_run_ended()->mutable_failure()->set_kind(v1::ERROR_KIND_INTERNAL);
    event.mutable_run_ended()->mutable_failure()->set_message(
        "the run waits for nothing and has not ended; this is a defect of weft");
    admit(active, std::move(event));
  }
  if (active.may_wait) keep_timeouts(active);
  if (active.at_once == 0) return flush(active);
  for (memory::Blob& blob : contents_.take_staged()) active.blobs.push_back(std::move(blob));
}

void Shard::flush(Active& active) {
  if (active.batch.empty()) return;
  memory::Append append;
  append.run = active.id;
  append.partition = active.partition;
  append.epoch = world_.epoch;
  append.first_seq = active.batch_first;
  append.last_seq = active.run->last_seq();
  append.events = std::exchange(active.batch, {});
  append.before = std::exchange(active.batches_before, {});
  append.shared = std::exchange(active.shared_blobs, {});
  append.blobs = std::exchange(active.blobs, {});
  for (memory::Blob& blob : contents_.take_staged()) append.blobs.push_back(std::move(blob));
  if (!active.created || active.run->ended() || std::exchange(active.reopened, false)) {
    const v1::Run& summary = active.summary;
    memory::RunRow row;
    row.id = active.id;
    row.partition = active.partition;
    row.workflow = summary.workflow();
    row.workflow_hash = summary.workflow_hash();
    row.status = summary.status();
    row.ended = active.run->ended();
    row.submitted_at = Time(Duration(summary.submitted_at_us()));
    if (row.ended) row.ended_at = Time(Duration(summary.ended_at_us()));
    row.last_seq = summary.last_seq();
    for (const v1::Label& label : summary.labels()) row.labels.emplace_back(label.key(), label.value());
    row.request_id = summary.request_id();
    row.request_digest = active.request_digest;
    row.summary = summary.SerializeAsString();
    (active.created ? append.update : append.create) = std::move(row);
    active.created = true;
  }
  if (!active.run->ended()) consider_snapshot(active, append);
  hand_in(active, std::move(append));
}

void Shard::durable(const std::string& run_id, std::uint64_t seq, Result<memory::Appended> appended) {
  const auto found = runs_.find(run_id);
  if (found == runs_.end()) return;
  Active& active = *found->second;
  if (!appended && active.durable_seq == 0 && active.submitted) {
    // It was never written, so it does not exist: whoever submitted it learns why. Where it was written after all, it
    // must not seem to run.
    const Error& error = appended.error();
    const std::string waits_for = "a restart: its submission was written, and looked failed (" + error.message + ")";
    if (world_.journal.run(run_id)) world_.parked.park(run_id, waits_for, Parked::Place::kNone);
    std::exchange(active.submitted, nullptr)(memory::may_heal(error) ? not_now(error) : error);
    return forget(run_id);
  }
  if (!appended) return stand_still(active, seq, appended.error());
  if (!appended->existing_run.empty()) {
    v1::RunsSubmitResponse response;
    response.set_run_id(appended->existing_run);
    response.set_existing(true);
    if (active.submitted) std::exchange(active.submitted, nullptr)(std::move(response));
    return forget(run_id);
  }
  active.durable_seq = std::max(active.durable_seq, seq);
  settle(active);
  const bool opens = !active.gate.empty() && active.gate.front().seq <= active.durable_seq;
  if (opens && !owns(active)) return;
  while (!active.gate.empty() && active.gate.front().seq <= active.durable_seq) {
    Task leave = std::move(active.gate.front().leave);
    active.gate.pop_front();
    leave();
  }
  if (active.submitted) {
    v1::RunsSubmitResponse response;
    response.set_run_id(run_id);
    std::exchange(active.submitted, nullptr)(std::move(response));
  }
  std::erase_if(active.asking, [&](auto& waiting) {
    if (waiting.first > active.durable_seq) return false;
    waiting.second(active.summary);
    return true;
  });
  const bool over = active.run->ended() && active.durable_seq == active.run->last_seq();
  if (world_.hub.watched()) {
    world_.hub.advanced(run_id, active.durable_seq, over ? std::make_shared<v1::Run>(active.summary) : nullptr);
  }
  if (over) return forget(run_id);
  consider_rest(active);
}

namespace {

std::string local_words(const run::OpenWait& wait, const std::string& run_id) {
  const std::string path = workflows::call_path(wait.key.path, wait.key.attempt, 0, 0);
  if (!wait.waiting.signal().empty()) {
    return fmt::format("the signal {}: weft signal {} {} [JSON]", wait.waiting.signal(), run_id, wait.waiting.signal());
  }
  if (wait.waiting.due_us() > 0) return to_rfc3339(Time(Duration(wait.waiting.due_us())));
  const std::string to = wait.waiting.to().empty() ? "" : " from " + wait.waiting.to();
  return fmt::format(
      "an answer{}: weft answer {} {} {}", to, run_id, path,
      wait.waiting.choices().empty() ? "VALUE" : fmt::format("{}", fmt::join(wait.waiting.choices(), "|")));
}

}  // namespace

void Shard::consider_rest(Active& active) {
  if (!active.may_wait && active.begun) return;
  const auto moves = [](const auto& timer) {
    const int kind = timer.first.second;
    return kind == v1::TIMER_KIND_RETRY || kind == v1::TIMER_KIND_REPEAT_CALL || kind == v1::TIMER_KIND_RESEND;
  };
  // The answer to a call in doubt may still come, and settles it; nobody counts on that.
  const auto in_doubt = static_cast<std::size_t>(std::ranges::count_if(
      active.run->doubts(), [&](const run::Doubt& doubt) { return active.tools.contains(doubt.key); }));
  const bool moving = active.durable_seq < active.run->last_seq() || active.asked > 0 || active.at_once > 0 ||
                      !active.queued.empty() || !active.models.empty() || active.tools.size() > in_doubt ||
                      !active.gate.empty() || !active.asking.empty() || std::ranges::any_of(active.timers, moves);
  if (active.frozen || moving || active.run->ended()) return;
  const auto sleep = [&] {
    if (in_doubt == 0) put_to_sleep(active);
  };
  if (active.rests) return sleep();  // Woken for nothing.
  if (!active.begun && !active.run->paused()) return put_to_sleep(active);
  const auto park = [&](v1::RunStatus status, std::string waits_for) {
    active.rests = true;
    world_.parked.park(active.id, std::move(waits_for), Parked::Place::kNone, status);
    if (is_at_rest(status) || status == v1::RUN_STATUS_PAUSED) world_.hub.rests(active.id);
    sleep();
  };
  if (active.run->paused()) {
    return park(v1::RUN_STATUS_PAUSED, fmt::format("somebody who resumes it: weft resume {}", active.id));
  }
  if (!active.summary.doubts().empty()) {
    const v1::Doubt& oldest = active.summary.doubts(0);
    const std::string wanted = oldest.asked() ? fmt::format("allows {} to be called", oldest.tool())
                                              : fmt::format("knows whether {} was done", oldest.tool());
    return park(v1::RUN_STATUS_IN_DOUBT,
                fmt::format("somebody who {}: weft resolve {} {} {}", wanted, active.id, oldest.path(),
                            oldest.asked() ? "retry|done|skip" : "done|retry|skip"));
  }
  const std::vector<run::OpenWait> waits = active.run->open_waits();
  if (waits.empty()) return;
  // Where a time alone moves it, nobody needs to be told.
  const auto word = std::ranges::find_if(waits, [](const auto& wait) { return wait.waiting.due_us() == 0; });
  const auto& shown = word == waits.end() ? waits.front() : *word;
  std::string waits_for = local_words(shown, active.id);
  if (waits.size() > 1) waits_for += fmt::format(" (and {} more)", waits.size() - 1);
  const bool time_moves = std::ranges::any_of(waits, [](const auto& wait) { return wait.waiting.due_us() > 0; });
  park(time_moves ? v1::RUN_STATUS_RUNNING : v1::RUN_STATUS_WAITING, std::move(waits_for));
}

void Shard::awaken(Active& active) {
  if (!std::exchange(active.rests, false)) return;
  world_.parked.forget(active.id);
}

// What waits for days is not held: its events say everything. `active` is gone afterwards.
void Shard::put_to_sleep(Active& active) {
  Sleeping sleeping;
  sleeping.partition = active.partition;
  sleeping.workflow = active.run->shared_workflow();
  if (!active.begun) sleeping.turn = std::move(active.turn);
  std::optional<Duration> first;
  for (const run::Command& command : active.run->outstanding()) {
    const auto* timer = std::get_if<run::StartTimer>(&command);
    // Timeouts stand still, and a cancel's grace is over where nothing is under way.
    const bool counts =
        timer != nullptr && timer->timer != v1::TIMER_KIND_TIMEOUT && timer->timer != v1::TIMER_KIND_GRACE;
    if (!counts || (first && *first <= left(active, *timer))) continue;
    first = left(active, *timer);
    sleeping.due = *timer;
    sleeping.at = due_at(active, *timer);
  }
  const std::string run_id = active.id;
  for (const auto& [key, timer] : active.timers) loop_.cancel(timer);
  runs_.erase(run_id);
  --world_.active_runs;  // Others may work meanwhile.
  Sleeping& kept = sleeping_[run_id] = std::move(sleeping);
  if (first) wake_at(run_id, kept);
}

void Shard::wake_at(const std::string& run_id, Sleeping& sleeping) {
  const auto left = [this](const Sleeping& of) {
    return std::min(time_at(of.due.due_us) - world_.clock.now(), of.at - world_.clock.monotonic());
  };
  sleeping.timer = loop_.after(std::clamp(left(sleeping), Duration(0), kLook), [this, run_id, left] {
    const auto found = sleeping_.find(run_id);
    if (found == sleeping_.end()) return;
    if (left(found->second) > Duration(0)) return wake_at(run_id, found->second);
    const run::StartTimer due = found->second.due;
    if (wake(run_id) != nullptr) fire(run_id, due);
  });
}

Shard::Active* Shard::wake(const std::string& run_id) {
  if (Active* active = find(run_id)) return active;
  auto found = sleeping_.extract(run_id);
  if (!found) return nullptr;
  if (found.mapped().timer != 0) loop_.cancel(found.mapped().timer);
  memory::RunRow row;
  row.id = run_id;
  row.partition = found.mapped().partition;
  const Status recovered = recover(row, found.mapped().workflow, nullptr);
  if (!recovered) {
    spdlog::error("run {} is parked: {}", run_id, recovered.error().message);
    world_.parked.park(run_id, "somebody who looks at it: " + recovered.error().message, Parked::Place::kNone);
    return nullptr;
  }
  Active& active = *find(run_id);
  if (!active.begun) active.turn = std::move(found.mapped().turn);
  active.rests = true;  // Until something happens.
  resume(active);
  return find(run_id);
}

void Shard::keep_timeouts(Active& active) {
  const std::int64_t now_us = world_.clock.now().time_since_epoch().count();
  std::vector<run::CallKey> attempts;
  for (const auto& [attempt, due_us] : active.timeouts_us) attempts.push_back(attempt);
  for (const auto& [attempt, left_us] : active.stilled_us) attempts.push_back(attempt);
  for (const run::CallKey& attempt : attempts) keep_timeout(active, attempt, now_us);
}

void Shard::keep_timeout(Active& active, const run::CallKey& attempt, std::int64_t now_us) {
  const bool waiting = waits(active, attempt);
  if (const auto counts = active.timeouts_us.find(attempt); waiting && counts != active.timeouts_us.end()) {
    active.stilled_us[attempt] = std::max<std::int64_t>(0, counts->second - now_us);
    if (auto timer = active.timers.extract({attempt, v1::TIMER_KIND_TIMEOUT})) loop_.cancel(timer.mapped());
    active.timeouts_us.erase(counts);
  }
  if (const auto stilled = active.stilled_us.find(attempt); !waiting && stilled != active.stilled_us.end()) {
    const std::int64_t left_us = stilled->second;
    active.stilled_us.erase(stilled);
    start_timer(active, {attempt, v1::TIMER_KIND_TIMEOUT, now_us + left_us});
  }
}

// Nothing more happens to a run whose events cannot be written any more; the next start goes on from what is durable.
void Shard::give_up(Active& active, const Error& error) {
  spdlog::error("run {} stands still, since its events could not be written: {}", active.id, error.message);
  active.given_up = true;
  active.gate.clear();
  for (auto& [seq, done] : active.asking) done(error);
  active.asking.clear();
  const std::string run_id = active.id;
  forget(run_id);  // First: it would take a run for over whose end was not written.
  world_.parked.park(run_id, "a restart: its events could not be written (" + error.message + ")",
                     Parked::Place::kNone);
  world_.hub.rests(run_id);
}

bool Shard::owns(Active& active) {
  if (world_.journal.owns(world_.epoch)) return true;
  give_up(active, aborted("the store has another owner"));
  return false;
}

void Shard::forget(const std::string& run_id) {
  const auto found = runs_.find(run_id);
  if (found == runs_.end()) return;
  found->second->given_up = true;  // What drop() closes is not recorded any more.
  drop(*found->second, run::CallKey{});
  frozen_.erase(run_id);
  leave_frozen(*found->second);
  if (found->second->run->ended()) world_.parked.forget(run_id);
  runs_.erase(found);
  --world_.active_runs;
}

}  // namespace weft::engine
