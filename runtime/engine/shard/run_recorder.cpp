#include "runtime/engine/shard/run_recorder.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "runtime/engine/shard/stalled_runs.h"
#include "runtime/history/run_summary.h"

namespace weft::engine {
namespace {

// What an append weighs beside its payload, about.
constexpr std::size_t kAppendBytes = 1'024;

std::size_t weight_of(const memory::Append& append) {
  std::size_t bytes = kAppendBytes + append.events.size() + append.snapshot.size();
  for (const memory::EventBatch& batch : append.before) bytes += batch.events.size();
  if (append.create) bytes += append.create->summary.size();
  if (append.update) bytes += append.update->summary.size();
  for (const memory::Blob& blob : append.blobs) bytes += blob.bytes->size();
  return bytes;
}

}  // namespace

RunRecorder::RunRecorder(const ShardWorld& world, StalledRuns& stalls, LoadedRun& loaded, AppendBatch::Row row,
                         Owner& owner)
    : world_(world),
      stalls_(stalls),
      loaded_(loaded),
      owner_(owner),
      batch_(world, loaded, row),
      durable_seq_(row == AppendBatch::Row::kStored ? loaded.run->last_seq() : 0) {}

RunRecorder::~RunRecorder() { leave_stall(); }

Status RunRecorder::record(v1::Event& event, std::int64_t at_us) {
  run::Run& run = *loaded_.run;
  run::stamp(event, run.last_seq(), run.last_at_us(), run.digest(), at_us, world_.claims.epoch(loaded_.partition));
  Status applied = run.apply(event);
  if (!applied && run::is_unread(applied.error())) return applied;
  if (!applied) die(fmt::format("run {}: {}", loaded_.id, applied.error().message));
  loaded_.contents.keep();
  loaded_.conversations.apply(event);
  history::add_to_summary(event, loaded_.summary);
  loaded_.note(event);
  batch_.add(event);
  return {};
}

void RunRecorder::flush() {
  if (!batch_.empty()) hand_in(batch_.take([this] { return owner_.snapshot(); }));
}

// The copy is what a failure leaves to be tried again; contents over 16 KiB are shared with it.
void RunRecorder::hand_in(memory::Append append) {
  unsettled_.push_back(append);
  if (!stalled_) return send(std::move(append));
  // Whoever flushed goes on with the run, so it is let go when they are done.
  if (!keep(weight_of(append))) owner_.post([this] { give_up(no_room_to_wait()); });
}

void RunRecorder::send(memory::Append append) {
  ++appends_in_flight_;
  owner_.send(std::move(append));
}

void RunRecorder::append_ended(std::uint64_t seq, Result<memory::Appended> appended) {
  --appends_in_flight_;
  if (owner_.is_lent() && (!appended || !appended->existing_run.empty())) {
    // It may be the run's end.
    return owner_.when_not_lent(
        [this, seq, appended = std::move(appended)]() mutable { settle(seq, std::move(appended)); });
  }
  settle(seq, std::move(appended));
}

void RunRecorder::settle(std::uint64_t seq, Result<memory::Appended> appended) {
  if (closed_) return;
  if (!appended && durable_seq_ == 0 && gate_.has_submitter()) return never_written(appended.error());
  if (!appended) return failed(seq, appended.error());
  if (!appended->existing_run.empty()) return existing(appended->existing_run);
  durable_seq_ = std::max(durable_seq_, seq);
  // What is durable need not be kept; if the run stood still, the store can be written again.
  while (!unsettled_.empty() && unsettled_.front().last_seq <= durable_seq_) unsettled_.pop_front();
  if (stalled_ && appends_in_flight_ == 0) stalls_.go_on();
  open_gate();
}

void RunRecorder::open_gate() {
  if (gate_.opens_at(durable_seq_) && !owner_.owns()) return;
  gate_.open(durable_seq_);
  if (!closed_) tell_durable();
}

void RunRecorder::tell_durable() {
  gate_.answer(durable_seq_, loaded_.id, owner_.summary_to_tell());
  owner_.became_durable();
}

void RunRecorder::answer_when_all_durable(Reply<v1::Run> reply) {
  gate_.answer_when_durable(loaded_.run->last_seq(), std::move(reply));
  tell_durable();
}

// It was never written, so it does not exist: whoever submitted it learns why. Where it was written after all, it must
// not seem to run.
void RunRecorder::never_written(const Error& cause) {
  const std::string waits_for = "a restart: its submission was written, and looked failed (" + cause.message + ")";
  const auto row = world_.journal.urgent().run(loaded_.id);
  const bool written = row || row.error().code != Code::kNotFound;  // Or nobody knows.
  if (written) world_.wait_reasons.add(loaded_.id, waits_for, WaitReasons::Counts::kIdle);
  gate_.take_submitter()(memory::may_heal(cause) ? not_now(cause) : cause);
  owner_.let_go();
}

// The same request was submitted before: that run stands for it.
void RunRecorder::existing(const std::string& run_id) {
  v1::RunsSubmitResponse response;
  response.set_run_id(run_id);
  response.set_existing(true);
  if (gate_.has_submitter()) gate_.take_submitter()(std::move(response));
  owner_.let_go();
}

// The verdict on an append counts only where nothing before it is missing.
void RunRecorder::failed(std::uint64_t seq, const Error& cause) {
  const bool first = unsettled_.empty() || unsettled_.front().last_seq == seq;
  if (cause.code == Code::kAborted || (first && !memory::may_heal(cause))) return give_up(cause);
  if (!stalled_) {
    stalled_ = true;
    std::size_t bytes = 0;
    for (const memory::Append& append : unsettled_) bytes += weight_of(append);
    if (!keep(bytes)) return give_up(no_room_to_wait());
    stalls_.add(*this, cause);
    gate_.refuse(not_now(cause));
    owner_.stall_changed();
  }
  world_.storage_stall.add(loaded_.id, cause);
  if (appends_in_flight_ == 0) stalls_.probe_later();
}

bool RunRecorder::append_first_again() {
  if (appends_in_flight_ > 0 || unsettled_.empty()) return false;
  send(unsettled_.front());
  return true;
}

void RunRecorder::go_on() {
  leave_stall();
  owner_.stall_changed();
  for (const memory::Append& append : unsettled_) send(append);
}

bool RunRecorder::keep(std::size_t bytes) {
  if (!world_.storage_stall.take(bytes)) return false;
  stalled_bytes_ += bytes;
  return true;
}

void RunRecorder::leave_stall() {
  if (!std::exchange(stalled_, false)) return;
  stalls_.remove(*this);
  world_.storage_stall.remove(loaded_.id);
  world_.storage_stall.give_back(std::exchange(stalled_bytes_, 0));
}

Error RunRecorder::no_room_to_wait() const {
  return resource_exhausted(fmt::format("what waits to be written has reached frozen_bytes_max ({} bytes)",
                                        world_.limits.frozen_bytes_max))
      .with("limit", "frozen_bytes_max");
}

void RunRecorder::close(const Error& why) {
  closed_ = true;
  leave_stall();
  gate_.close(why);
}

void RunRecorder::give_up(const Error& why) {
  if (owner_.is_lent()) return owner_.when_not_lent([this, why] { give_up(why); });
  if (closed_) return;
  spdlog::error("run {} stands still, since its events could not be written: {}", loaded_.id, why.message);
  close(why);
  owner_.lost(why);
}

}  // namespace weft::engine
