// A run that an earlier life of weft left, or that slept: folded from its snapshot and what came after it, or from all
// of its events; and what of it goes on.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/archive.h"
#include "base/bytes.h"
#include "runtime/engine/batch.h"
#include "runtime/engine/shard.h"
#include "runtime/engine/tally.h"
#include "workflows/path.h"

namespace weft::engine {
namespace {

constexpr std::size_t kPageBytes = std::size_t{4} << 20;
// Rises with every change of what a snapshot holds beside the run's own state.
constexpr std::uint32_t kSnapshotFormat = 1;
constexpr std::size_t kSnapshotBytesMax = std::size_t{32} << 20;  // A run with more of it has none.
constexpr std::size_t kTailFactor = 4;  // So many times a snapshot, events come before the next.

// Whether an instance stands still with what waits at `path`: it waits itself, or what is inside it.
bool concerns(std::string_view path, std::string_view instance) {
  return path.empty() || workflows::lies_within(path, instance);
}

}  // namespace

// What a snapshot says beside the run's state.
struct Shard::Beside {
  v1::Run summary;
  std::string model;
  std::uint64_t epoch = 0;
  std::uint64_t got_on_seq = 0;
  bool may_wait = false;
  bool begun = false;
  // By path of an attempt with a timeout: by how much it is due later than its events say.
  std::map<std::string, std::int64_t> later_us;
  std::map<std::string, std::uint64_t> agents;  // As Conversations::begun().
};

template <class Archive>
void keep(Archive& archive, Shard::Beside& beside) {
  auto& [summary, model, epoch, got_on_seq, may_wait, begun, later_us, agents] = beside;
  archive(summary, model, epoch, got_on_seq, may_wait, begun, later_us, agents);
}

std::string Shard::snapshot(const Active& active) const {
  std::string state = active.run->snapshot();
  if (state.empty()) return "";
  Beside beside{active.summary,  active.model, world_.epoch, active.got_on_seq,
                active.may_wait, active.begun, {},           active.conversations.begun()};
  for (const run::Command& command : active.run->outstanding()) {
    const auto* timer = std::get_if<run::StartTimer>(&command);
    if (timer == nullptr || timer->timer != v1::TIMER_KIND_TIMEOUT) continue;
    const auto counts = active.timeouts_us.find(timer->key);
    const auto stilled = active.stilled_us.find(timer->key);
    std::int64_t due_us = timer->due_us;
    if (counts != active.timeouts_us.end()) due_us = counts->second;
    if (stilled != active.stilled_us.end()) due_us = active.run->last_at_us() + stilled->second;
    if (due_us != timer->due_us) beside.later_us[timer->key.path] = due_us - timer->due_us;
  }
  Packer packer;
  packer(kSnapshotFormat, state, beside);
  std::string bytes = packer.take();
  return std::string(view(sha256(bytes))) + bytes;
}

// With every flush that may carry one.
void Shard::consider_snapshot(Active& active, memory::Append& append) {
  active.unsaved_bytes += append.events.size();
  for (const memory::EventBatch& batch : append.before) active.unsaved_bytes += batch.events.size();
  if (active.unsaved_bytes < std::max(world_.limits.snapshot_after_bytes, kTailFactor * active.snapshot_bytes)) return;
  append.snapshot = snapshot(active);
  if (append.snapshot.empty()) return;
  active.snapshot_bytes = append.snapshot.size();
  active.unsaved_bytes = 0;
  if (append.snapshot.size() > kSnapshotBytesMax) append.snapshot.clear();  // Forming it again is as dear: not soon.
}

// One run's way from what is stored of it to what it is.
struct Shard::Folding {
  Active& active;
  Beside beside{};
  std::uint64_t snapshot_seq = 0;                        // 0: none.
  std::map<std::string, std::int64_t> waits_since_us{};  // By call.
  std::int64_t goes_on_us = 0;                           // Since the run was last taken up or resumed.

  static std::string call_of(const v1::Event& event) {
    return workflows::call_path(event.path(), event.attempt(), event.turn(), event.call());
  }
  static std::string call_of(const run::CallKey& key) {
    return workflows::call_path(key.path, key.attempt, key.turn, key.call);
  }

  Status restore(const memory::Snapshot& snapshot) {
    constexpr std::size_t kDigestBytes = sizeof(Digest);
    const std::string_view bytes = snapshot.bytes;
    if (bytes.size() <= kDigestBytes || view(sha256(bytes.substr(kDigestBytes))) != bytes.substr(0, kDigestBytes))
      return data_loss("its bytes are damaged");
    Unpacker unpacker(bytes.substr(kDigestBytes));
    std::uint32_t format = 0;
    unpacker(format);
    if (format != kSnapshotFormat) return data_loss("it is of another version of weft");
    std::string state;
    unpacker(state, beside);
    if (!unpacker.is_whole()) return data_loss("it cannot be read");
    WEFT_RETURN_IF_ERROR(active.run->restore(state));
    if (active.run->last_seq() != snapshot.seq) return data_loss("it is of another event");
    snapshot_seq = snapshot.seq;
    active.summary = beside.summary;
    active.model = beside.model;
    active.epoch = beside.epoch;
    active.got_on_seq = beside.got_on_seq;
    active.may_wait = beside.may_wait;
    active.begun = beside.begun;
    active.snapshot_bytes = bytes.size();
    const std::int64_t at_us = active.run->last_at_us();
    goes_on_us = at_us;
    for (const auto& [path, later_us] : beside.later_us) active.attempts[path] = {at_us, at_us, later_us};
    for (const run::OpenWait& wait : active.run->open_waits()) waits_since_us[call_of(wait.key)] = at_us;
    for (const run::Doubt& doubt : active.run->doubts()) waits_since_us[call_of(doubt.key)] = at_us;
    if (active.run->paused()) waits_since_us[call_of(run::CallKey{})] = at_us;
    return {};
  }

  // From which event on it reads: agents at work have said what they said before the snapshot, too.
  std::uint64_t first_seq() const {
    std::uint64_t seq = snapshot_seq == 0 ? 1 : snapshot_seq;
    for (const auto& [path, begun_seq] : beside.agents) seq = std::min(seq, begun_seq);
    return seq;
  }

  Status take(const v1::Event& event) {
    if (event.seq() > snapshot_seq) return fold(event);
    if (event.seq() == snapshot_seq && event.digest() != active.run->digest())
      return data_loss("it is of another history");
    const auto agent = beside.agents.find(event.path());
    if (agent != beside.agents.end() && event.seq() >= agent->second)
      active.conversations.apply(event, Conversations::Keep::kAll);
    return {};
  }

  Status fold(const v1::Event& event) {
    if (event.epoch() > active.epoch && event.seq() > 1)
      active.pauses.push_back({"", event.at_us(), event.at_us() - active.run->last_at_us()});
    if (event.epoch() != active.epoch || event.has_run_resumed()) goes_on_us = event.at_us();
    active.epoch = event.epoch();
    active.note(event);
    if (active.may_wait) {
      const std::string call = call_of(event);
      const bool goes_on = event.has_tool_call_ended() || event.has_tool_call_resolved() ||
                           event.has_tool_call_verified() || event.has_answered() || event.has_signal_taken() ||
                           event.has_run_resumed() || event.has_timer_fired();
      if (makes_wait(event)) waits_since_us[call] = event.at_us();
      if (auto since = goes_on ? waits_since_us.extract(call) : decltype(waits_since_us)::node_type())
        active.pauses.push_back({event.path(), event.at_us(), event.at_us() - since.mapped()});
    }
    if (event.has_attempt_started()) active.attempts[event.path()] = {event.at_us(), event.at_us(), 0};
    if (const auto past = active.attempts.find(event.path()); past != active.attempts.end()) {
      // Between what was wanted and its intent there is nothing but the wait for its turn.
      if (event.has_model_call_started() || event.has_tool_call_started())
        past->second.in_queue_us += event.at_us() - std::max(past->second.last_us, goes_on_us);
      past->second.last_us = event.at_us();
    }
    WEFT_RETURN_IF_ERROR(active.run->apply(event));
    active.conversations.apply(event, Conversations::Keep::kAll);
    tally(event, active.summary);
    if (event.has_run_forked() || event.has_run_retried()) {
      // The clocks of what goes on were set anew.
      active.pauses.clear();
      active.attempts.clear();
    }
    return {};
  }

  // What still waits has done so until the last event; from there on nothing ran.
  void end() {
    const std::int64_t at_us = active.run->last_at_us();
    for (const auto& [call, since_us] : waits_since_us) active.pauses.push_back({call, at_us, at_us - since_us});
  }

  Status read(const memory::Reader& reader) {
    for (std::uint64_t from = first_seq();;) {
      WEFT_TRY(const auto batches, reader.events(active.id, from, kPageBytes));
      if (batches.empty()) break;
      from = batches.back().last_seq + 1;
      for (const memory::EventBatch& batch : batches) {
        if (batch.last_seq > snapshot_seq) active.unsaved_bytes += batch.events.size();
        WEFT_TRY(const std::vector<v1::Event> events, read_batch(batch.events));
        for (const v1::Event& event : events) WEFT_RETURN_IF_ERROR(take(event));
      }
    }
    end();
    return {};
  }
};

Result<std::unique_ptr<Shard::Active>> Shard::fold(const memory::RunRow& row,
                                                   const std::shared_ptr<const workflows::Workflow>& workflow) {
  const auto fresh = [&] {
    auto active = std::make_unique<Active>();
    active->id = row.id;
    active->partition = row.partition;
    active->created = true;
    active->run = std::make_unique<run::Run>(workflow, world_.tool_table, contents_);
    return active;
  };
  auto active = fresh();
  if (const auto kept = world_.journal.snapshot(row.id); kept && *kept) {
    Folding folding{.active = *active};
    Status restored = folding.restore(**kept);
    if (restored) restored = folding.read(world_.journal);
    if (restored) return active;
    spdlog::warn("the snapshot of run {} is left aside, and all of its events are read: {}", row.id,
                 restored.error().message);
    active = fresh();
  }
  Folding folding{.active = *active};
  WEFT_RETURN_IF_ERROR(folding.read(world_.journal));
  return active;
}

Status Shard::recover(const memory::RunRow& row, std::shared_ptr<const workflows::Workflow> workflow,
                      Crashes* crashes) {
  WEFT_TRY(auto active, fold(row, workflow));
  while (active->run->next()) {
    // It was handed out before; what of it is still due, outstanding() says.
  }
  if (active->epoch != world_.epoch) {
    active->run->take_up();
  } else if (active->begun && !active->run->paused()) {
    active->run->take_up_again();
  }
  active->durable_seq = active->run->last_seq();
  // Of one that is to be begun again, what ended may be what goes on.
  if (!row.ended) trim(*active);
  if (crashes != nullptr) {
    const auto outstanding = active->run->outstanding();
    const bool waits_for_word =
        active->run->paused() || !active->run->open_waits().empty() || !active->run->doubts().empty();
    const bool waits =
        (waits_for_word || !outstanding.empty()) && std::ranges::all_of(outstanding, [](const run::Command& command) {
          return std::holds_alternative<run::StartTimer>(command);
        });
    const bool got_on = active->got_on_seq > crashes->counted_seq(row.id);
    if (auto why = crashes->count(row.id, active->run->last_seq(), !waits, got_on)) return failed_precondition(*why);
  }
  ++world_.active_runs;
  Active& known = *(runs_[row.id] = std::move(active));
  if (known.begun)
    known.turn = world_.places.enter(world_.order.passenger(known.summary), world_.order.gates_of_run(known.summary));
  // There may be many of them; a paused one is not in line.
  if (crashes != nullptr && !known.run->paused() && !may_begin(known)) put_to_sleep(known);
  return {};
}

void Shard::trim(Active& active) {
  active.conversations.keep_only(
      [&](const std::string& path, std::uint32_t attempt) { return active.run->works({path, attempt, 0, 0}); });
}

void Shard::resume(Active& active, std::string_view stopped) {
  const std::int64_t last_at_us = active.run->last_at_us();
  for (const run::Command& command : active.run->outstanding()) {
    const auto* model_call = std::get_if<run::ModelCall>(&command);
    const auto* tool_call = std::get_if<run::ToolCall>(&command);
    const auto* timer = std::get_if<run::StartTimer>(&command);
    if (model_call != nullptr && model_call->started) {
      ModelFlight flight;
      if (const auto* started = active.conversations.started(model_call->key.path)) {
        // Priced as it was when it left, whatever this server's own routes are and whatever the time is now.
        flight.request_bytes = started->call.request_bytes();
        flight.route.simulated = started->call.simulated();
        if (!started->call.price_row().empty())
          flight.price = world_.routes.list_price(started->call.model(), started->at);
      }
      admit(active, lost_call(model_call->key, flight, "lost", fmt::format("{} before the answer came", stopped)));
    } else if (tool_call != nullptr && tool_call->started && tools::changes_world(tool_call->effect)) {
      v1::Event event = event_at(tool_call->key);
      event.mutable_tool_call_in_doubt()->set_lost(true);
      event.mutable_tool_call_in_doubt()->set_tool(tool_call->tool);
      event.mutable_tool_call_in_doubt()->set_why(fmt::format(
          "{} between the intent of {} and its result; whether it was done is not known", stopped, tool_call->tool));
      admit(active, std::move(event));
    } else if (timer != nullptr && timer->timer == v1::TIMER_KIND_TIMEOUT) {
      // A timeout counts while weft works: the time in which none did is given back, each time that there was one.
      run::StartTimer later = *timer;
      const std::int64_t now_us = world_.clock.now().time_since_epoch().count();
      later.due_us += std::max<std::int64_t>(0, now_us - last_at_us);
      const Past& past = active.attempts[timer->key.path];
      later.due_us += past.in_queue_us;
      for (const Pause& pause : active.pauses) {
        if (pause.at_us > past.begun_us && concerns(pause.path, timer->key.path)) later.due_us += pause.span_us;
      }
      if (waits(active, timer->key)) {
        active.stilled_us[timer->key] = std::max<std::int64_t>(0, later.due_us - now_us);
      } else {
        carry_out(active, later);
      }
    } else if (active.run->paused() && timer == nullptr) {
      active.held.push_back(command);
    } else {
      carry_out(active, command);
    }
    // What is not due is put aside after each event, as in a run at work: so the order of decisions is that of events.
    (void)active.run->decide();
  }
  active.attempts.clear();
  active.pauses.clear();
  advance(active);
}

}  // namespace weft::engine
