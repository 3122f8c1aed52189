#include "runtime/engine/shard/load_run.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "runtime/engine/maintenance/crash_loop_guard.h"
#include "runtime/engine/shard/run_snapshot.h"
#include "runtime/history/event_codec.h"
#include "runtime/history/run_summary.h"
#include "workflows/path.h"

namespace weft::engine {
namespace {

constexpr std::size_t kPageBytes = std::size_t{4} << 20;

// What may be said to a run while it waits for its turn leaves it there.
bool begins(const v1::Event& event) {
  return !event.has_run_submitted() && !event.has_signal_received() && !event.has_run_paused() &&
         !event.has_run_resumed();
}

std::string call_of(const v1::Event& event) {
  return workflows::call_path(event.path(), event.attempt(), event.turn(), event.call());
}

std::string call_of(const run::CallKey& key) { return workflows::call_path(key.path, key.attempt, key.turn, key.call); }

// Whether a call that waited goes on with the event.
bool goes_on(const v1::Event& event) {
  return event.has_tool_call_ended() || event.has_tool_call_resolved() || event.has_tool_call_verified() ||
         event.has_answered() || event.has_signal_taken() || event.has_run_resumed() || event.has_timer_fired();
}

// One run's way from what is stored of it to what it is.
class RunLoader {
 public:
  explicit RunLoader(LoadedRun& loaded) : loaded_(loaded) {}

  Status restore(const memory::Snapshot& stored) {
    WEFT_TRY(RunSnapshot snapshot, decode_snapshot(stored.bytes));
    WEFT_RETURN_IF_ERROR(loaded_.run->restore(snapshot.state));
    if (loaded_.run->last_seq() != stored.seq) return data_loss("it is of another event");
    snapshot_seq_ = stored.seq;
    loaded_.summary = std::move(snapshot.summary);
    loaded_.model = std::move(snapshot.model);
    loaded_.epoch = snapshot.epoch;
    loaded_.got_on_seq = snapshot.got_on_seq;
    loaded_.may_wait = snapshot.may_wait;
    loaded_.begun = snapshot.begun;
    loaded_.snapshot_bytes = stored.bytes.size();
    agents_ = std::move(snapshot.agents);
    const std::int64_t at_us = loaded_.run->last_at_us();
    goes_on_us_ = at_us;
    for (const auto& [path, later_us] : snapshot.later_us) past().attempts[path] = {at_us, at_us, later_us};
    for (const run::OpenWait& wait : loaded_.run->open_waits()) waits_since_us_[call_of(wait.key)] = at_us;
    for (const run::Doubt& doubt : loaded_.run->doubts()) waits_since_us_[call_of(doubt.key)] = at_us;
    if (loaded_.run->paused()) waits_since_us_[call_of(run::CallKey{})] = at_us;
    return {};
  }

  Status read(const memory::Reader& reader, const std::atomic<bool>& stopping) {
    for (std::uint64_t from = first_seq();;) {
      if (stopping) return unavailable("this weft is stopping");
      const auto batches = reader.events(loaded_.id, from, kPageBytes);
      if (!batches) return history::not_read(batches.error());
      if (batches->empty()) break;
      from = batches->back().last_seq + 1;
      for (const memory::EventBatch& batch : *batches) {
        if (batch.last_seq > snapshot_seq_) loaded_.unsaved_bytes += batch.events.size();
        WEFT_TRY(const std::vector<v1::Event> events, history::read_batch(batch.events));
        for (const v1::Event& event : events) WEFT_RETURN_IF_ERROR(take(event));
      }
    }
    // What still waits has done so until the last event; from there on nothing ran.
    const std::int64_t at_us = loaded_.run->last_at_us();
    for (const auto& [call, since_us] : waits_since_us_) past().pauses.push_back({call, at_us, at_us - since_us});
    return {};
  }

 private:
  TimerPast& past() { return loaded_.timer_past; }

  // From which event on it reads: agents at work have said what they said before the snapshot, too.
  std::uint64_t first_seq() const {
    std::uint64_t seq = snapshot_seq_ == 0 ? 1 : snapshot_seq_;
    for (const auto& [path, begun_seq] : agents_) seq = std::min(seq, begun_seq);
    return seq;
  }

  Status take(const v1::Event& event) {
    if (event.seq() > snapshot_seq_) return fold(event);
    if (event.seq() == snapshot_seq_ && event.digest() != loaded_.run->digest())
      return data_loss("it is of another history");
    const auto agent = agents_.find(event.path());
    if (agent != agents_.end() && event.seq() >= agent->second)
      loaded_.conversations.apply(event, history::Conversations::Keep::kAll);
    return {};
  }

  Status fold(const v1::Event& event) {
    if (event.epoch() > loaded_.epoch && event.seq() > 1)
      past().pauses.push_back({"", event.at_us(), event.at_us() - loaded_.run->last_at_us()});
    if (event.epoch() != loaded_.epoch || event.has_run_resumed()) goes_on_us_ = event.at_us();
    loaded_.epoch = event.epoch();
    loaded_.note(event);
    note_times(event);
    WEFT_RETURN_IF_ERROR(loaded_.run->apply(event));
    loaded_.conversations.apply(event, history::Conversations::Keep::kAll);
    history::add_to_summary(event, loaded_.summary);
    // The clocks of what goes on were set anew.
    if (event.has_run_forked() || event.has_run_retried()) past() = {};
    return {};
  }

  void note_times(const v1::Event& event) {
    if (loaded_.may_wait) {
      const std::string call = call_of(event);
      if (makes_wait(event)) waits_since_us_[call] = event.at_us();
      if (auto since = goes_on(event) ? waits_since_us_.extract(call) : decltype(waits_since_us_)::node_type())
        past().pauses.push_back({event.path(), event.at_us(), event.at_us() - since.mapped()});
    }
    if (event.has_attempt_started()) past().attempts[event.path()] = {event.at_us(), event.at_us(), 0};
    const auto attempt = past().attempts.find(event.path());
    if (attempt == past().attempts.end()) return;
    // Between what was wanted and its intent there is nothing but the wait for its turn.
    if (event.has_model_call_started() || event.has_tool_call_started())
      attempt->second.in_queue_us += event.at_us() - std::max(attempt->second.last_us, goes_on_us_);
    attempt->second.last_us = event.at_us();
  }

  LoadedRun& loaded_;
  std::uint64_t snapshot_seq_ = 0;                      // 0: none.
  std::map<std::string, std::uint64_t> agents_;         // Of the snapshot.
  std::map<std::string, std::int64_t> waits_since_us_;  // By call.
  std::int64_t goes_on_us_ = 0;                         // Since the run was last taken up or resumed.
};

Result<std::unique_ptr<LoadedRun>> fold(const memory::Journal& journal, const memory::RunRow& row,
                                        const history::RunDefinition& definition, const LoadOptions& options) {
  const auto fresh = [&] {
    auto loaded = std::make_unique<LoadedRun>(options.contents, row.id, row.partition);
    loaded->tools = definition.tools;
    loaded->run =
        std::make_unique<run::Run>(definition.workflow, loaded->tools->table(), loaded->contents, options.limits);
    return loaded;
  };
  auto loaded = fresh();
  if (const auto kept = journal.snapshot(row.id); kept && *kept) {
    RunLoader loader(*loaded);
    Status restored = loader.restore(**kept);
    if (restored) restored = loader.read(journal, options.stopping);
    if (restored) return loaded;
    spdlog::warn("the snapshot of run {} is left aside, and all of its events are read: {}", row.id,
                 restored.error().message);
    loaded = fresh();
  }
  RunLoader loader(*loaded);
  WEFT_RETURN_IF_ERROR(loader.read(journal, options.stopping));
  return loaded;
}

}  // namespace

bool makes_wait(const v1::Event& event) {
  return event.attempt_started().has_waiting() || event.has_run_paused() || event.has_tool_call_in_doubt() ||
         event.round_ended().verdict() == v1::ROUND_VERDICT_ASK;
}

void LoadedRun::note(const v1::Event& event) {
  may_wait = may_wait || makes_wait(event);
  begun = begun || begins(event);
  if (event.has_run_submitted()) {
    const v1::Content& input = event.run_submitted().input_json();
    input_bytes = input.has_blob() ? input.blob().size() : input.inline_().size();
  }
  if (gets_on(event)) got_on_seq = event.seq();
  if (event.has_run_forked()) model = event.run_forked().model();
}

void LoadedRun::trim() {
  conversations.keep_only(
      [&](const std::string& path, std::uint32_t attempt) { return run->works({path, attempt, 0, 0}); });
}

Result<std::unique_ptr<LoadedRun>> load_run(const memory::Journal& journal, const memory::RunRow& row,
                                            const history::RunDefinition& definition, const LoadOptions& options) {
  WEFT_TRY(auto loaded, fold(journal, row, definition, options));
  while (loaded->run->next()) {
    // It was handed out before; what of it is still due, outstanding() says.
  }
  // A first decision that is long is taken when the run goes on: the start of weft does not wait for it.
  loaded->contents.bound(options.loop_bytes_max);
  if (loaded->epoch != options.epoch) {
    loaded->run->reseed_agenda(options.loop_units);
  } else if (loaded->begun && !loaded->run->paused()) {
    loaded->run->clear_agenda();
  }
  loaded->contents.unbound();
  loaded->contents.drop();
  // Of one that is to be begun again, what ended may be what goes on.
  if (!row.ended) loaded->trim();
  return loaded;
}

}  // namespace weft::engine
