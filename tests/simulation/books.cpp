#include "books.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "runtime/history/event_codec.h"
#include "runtime/history/run_summary.h"
#include "verdict.h"
#include "workflows/path.h"
#include "workflows/workflow.h"

namespace weft::simulation {
namespace {

bool equal(const v1::Usage& booked, const model::Usage& counted) {
  return booked.has_input_hit() == counted.input_hit.has_value() &&
         booked.input_hit() == counted.input_hit.value_or(0) && booked.input_miss() == counted.input_miss.value_or(0) &&
         booked.output() == counted.output.value_or(0) && !booked.estimated();
}

}  // namespace

void Books::know(std::shared_ptr<const workflows::Workflow> workflow) {
  workflows_[workflow->hash] = std::move(workflow);
}

void Books::written(const memory::Append& append) {
  const auto events = history::read_batch(append.events);
  if (!events) broken(Promise::kFold, events.error().message);
  if (events->empty() || events->front().seq() != append.first_seq || events->back().seq() != append.last_seq)
    broken(Promise::kFold, fmt::format("an append of run {} holds other events than it says", append.run));
  std::unique_ptr<RunRecord>& run = runs_[append.run];
  if (!run) {
    const auto workflow = workflows_.find(events->front().run_submitted().workflow_hash());
    if (workflow == workflows_.end())
      broken(Promise::kFold, fmt::format("run {} begins with no known workflow", append.run));
    run = std::make_unique<RunRecord>(workflow->second, tools_, store_);
  }
  run->clock_is_steady = steady_;
  const v1::RunIdentity& identity = events->front().run_submitted().identity();
  // The source may be a fork itself.
  std::size_t shared = events->size();
  while (shared > 0 && !(*events)[shared - 1].has_run_forked()) --shared;
  if (identity.lineage() != identity.run_id() && shared == 0)
    broken(Promise::kPast, fmt::format("run {} is a fork, and is written in parts", append.run));
  for (const v1::Event& event : *events) {
    if (event.epoch() != append.epoch)
      broken(Promise::kFence,
             fmt::format("run {} event {} has another epoch than its append", append.run, event.seq()));
    if (say_)
      say_(fmt::format("  written {} {} {{{}}}", append.run.substr(22), event.seq(),
                       event.ShortDebugString().substr(0, 300)));
    ++counts_.events;
    if (event.seq() < shared) {
      run->take(event, RunRecord::Origin::kShared);
      continue;
    }
    if (event.has_run_forked()) check_shared(*run, event.run_forked());
    read(*run, event);
  }
  if (run->ended()) check_row(*run);
  if (calm_since_ && steady_) run->check_patience(*calm_since_);
}

void Books::read(RunRecord& run, const v1::Event& event) {
  run.take(event);
  switch (event.kind_case()) {
    case v1::Event::kModelCallStarted: {
      const std::string& request = event.model_call_started().request_sha256();
      ++may_ask_[{request, event.epoch()}];
      ++counts_.model_calls;
      return;
    }
    case v1::Event::kModelCallEnded:
    case v1::Event::kModelCallFailed: {
      const bool ended = event.has_model_call_ended();
      const auto& failed = event.model_call_failed();
      if (failed.failure() == "lost") ++counts_.lost_calls;
      if (!ended && !failed.has_usage()) return;
      // Which request it answers: the last that began there.
      const auto& events = run.events();
      for (auto begun = events.rbegin(); begun != events.rend(); ++begun) {
        if (!begun->has_model_call_started() || begun->path() != event.path()) continue;
        --owed_[begun->model_call_started().request_sha256()];
        break;
      }
      if (ended) check_usage(event, event.model_call_ended().request_id(), event.model_call_ended().usage());
      if (!ended && !failed.usage().estimated()) check_usage(event, failed.request_id(), failed.usage());
      return;
    }
    case v1::Event::kToolCallStarted: {
      const v1::ToolCallStarted& started = event.tool_call_started();
      if (started.effect() != v1::TOOL_EFFECT_WRITE && started.effect() != v1::TOOL_EFFECT_IDEMPOTENT) return;
      ++may_act_[{started.key(), event.epoch()}];
      Holder& holder = acts_[started.key()].holders[run.id()];
      holder.instance = fmt::format("{} {} {} {}", run.id(), workflows::without_attempts(event.path()), started.tool(),
                                    started.arguments().inline_());
      // After a retry `finally` runs once more, all of it.
      const bool once_more = run.retries() > 0 && is_in_finally(run.run().workflow(), event.path());
      if (once_more) holder.instance += fmt::format(" retry {}", run.retries());
      holder.settled = false;
      holder.failed = false;
      holder.intents.push_back(++intents_);
      return;
    }
    case v1::Event::kToolCallEnded:
    case v1::Event::kToolCallInDoubt: {
      const auto& events = run.events();
      for (auto begun = events.rbegin(); begun != events.rend(); ++begun) {
        if (!begun->has_tool_call_started() || begun->path() != event.path() || begun->attempt() != event.attempt() ||
            begun->turn() != event.turn() || begun->call() != event.call())
          continue;
        const auto act = acts_.find(begun->tool_call_started().key());
        if (act == acts_.end()) break;
        Holder& holder = act->second.holders[run.id()];
        const v1::ToolCallEnded& ended = event.tool_call_ended();
        const bool done = ended.outcome() == v1::TOOL_OUTCOME_DONE;
        if (event.has_tool_call_ended() && done && act->second.done == 0)
          broken(Promise::kDoubt, fmt::format("\"{}\" is recorded as done, and was not", holder.instance));
        // What goes on without knowing was shown as in doubt.
        const bool unknown = ended.outcome() == v1::TOOL_OUTCOME_SKIPPED && !ended.nothing_done();
        if (event.has_tool_call_ended() && unknown) break;
        holder.settled = done || event.has_tool_call_in_doubt();
        holder.failed = !holder.settled;
        break;
      }
      if (event.has_tool_call_in_doubt()) ++counts_.doubts;
      return;
    }
    case v1::Event::kToolCallVerified:
      counts_.verified += event.tool_call_verified().verdict() != v1::VERDICT_UNKNOWN ? 1 : 0;
      return;
    case v1::Event::kRunEnded: return check_undone(run);
    case v1::Event::kRunRetried: ++counts_.retried; return;
    case v1::Event::kRunForked: ++counts_.forked; return;
    default: return;
  }
}

void Books::check_usage(const v1::Event& event, const std::string& request_id, const v1::Usage& usage) {
  const auto counted = counted_.find(request_id);
  if (counted == counted_.end())
    broken(Promise::kLedger,
           fmt::format("event {} at {} books a request that nobody answered", event.seq(), event.path()));
  if (counted->second.booked) broken(Promise::kLedger, fmt::format("the answer {} is booked twice", request_id));
  counted->second.booked = true;
  if (!equal(usage, counted->second.usage))
    broken(Promise::kLedger, fmt::format("event {} at {} books {{{}}}, which is not what was counted", event.seq(),
                                         event.path(), usage.ShortDebugString()));
}

void Books::model_asked(Life life, const std::string& request_sha256) {
  if (life < owner_) broken(Promise::kFence, fmt::format("a model is asked by life {}, which was overtaken", life));
  if (--may_ask_[{request_sha256, life}] < 0)
    broken(Promise::kIntent, fmt::format("a model is asked in life {} and no intent is durable for it", life));
}

void Books::model_counted(const std::string& request_sha256, const std::string& request_id, const model::Usage& usage) {
  ++owed_[request_sha256];
  counted_[request_id] = {usage, false};
}

void Books::tool_called(Life life, const tools::ToolRequest& request, tools::Effect effect) {
  if (!tools::changes_world(effect)) return;
  if (life < owner_)
    broken(Promise::kFence, fmt::format("{} is called by life {}, which was overtaken", request.tool, life));
  if (--may_act_[{request.key, life}] < 0)
    broken(Promise::kIntent,
           fmt::format("{} is called in life {} and no intent is durable for it", request.tool, life));
}

void Books::tool_acted(Life life, const tools::ToolRequest& request) {
  Act& act = acts_[request.key];
  // What a server has sent may act after it was overtaken, and after its successor was told that nothing is done.
  ++act.done;
  ++counts_.effects;
  if (life != owner_) return;
  Holder& holder = act.actor();
  holder.of_owner = true;
  if (++instance_acts_[holder.instance] > 1)
    broken(Promise::kOnce, fmt::format("\"{}\" is done a second time", holder.instance));
}

Books::Holder& Books::Act::actor() {
  Holder* last = nullptr;
  for (auto& [run, holder] : holders) {
    if (last == nullptr ||
        (!holder.intents.empty() && (last->intents.empty() || last->intents.back() < holder.intents.back())))
      last = &holder;
  }
  if (last == nullptr) return holders[""];
  if (!last->intents.empty()) last->intents.pop_back();
  return *last;
}

void Books::submit_acknowledged(const std::string& request_id, const std::string& run_id) {
  if (!runs_.contains(run_id))
    broken(Promise::kAcknowledged,
           fmt::format("the submission {} is acknowledged as run {}, which is not durable", request_id, run_id));
  const auto [known, fresh] = acknowledged_.emplace(request_id, run_id);
  if (!fresh && known->second != run_id)
    broken(Promise::kAcknowledged, fmt::format("the submission {} became two runs", request_id));
  ++counts_.acknowledged;
}

std::ptrdiff_t Books::count_of(const std::string& run_id, const std::function<bool(const v1::Event&)>& is_it) const {
  const auto run = runs_.find(run_id);
  return run == runs_.end() ? 0 : std::ranges::count_if(run->second->events(), is_it);
}

void Books::cancel_acknowledged(const std::string& run_id) {
  const auto run = runs_.find(run_id);
  if (run == runs_.end() || !(run->second->cancel_requested() || run->second->ended()))
    broken(Promise::kAcknowledged, fmt::format("the cancel of run {} is acknowledged, and is not durable", run_id));
}

void Books::answer_acknowledged(const std::string& run_id, const run::CallKey& question, const std::string& value) {
  const auto is_it = [&](const v1::Event& event) {
    return event.has_answered() && event.path() == question.path && event.attempt() == question.attempt &&
           event.answered().value_json().inline_() == "\"" + value + "\"";
  };
  if (count_of(run_id, is_it) == 0)
    broken(Promise::kAcknowledged, fmt::format("the answer {} at {} of run {} is acknowledged, and is not durable",
                                               value, question.path, run_id));
}

void Books::signal_acknowledged(const std::string& run_id, const std::string& signal_id) {
  if (count_of(run_id, [&](const v1::Event& event) { return event.signal_received().id() == signal_id; }) != 1)
    broken(Promise::kAcknowledged,
           fmt::format("the signal {} of run {} is acknowledged, and is not there once", signal_id, run_id));
}

void Books::pause_acknowledged(const std::string& run_id) const {
  const auto run = runs_.find(run_id);
  const auto is_it = [](const v1::Event& event) { return event.has_run_paused(); };
  if (run == runs_.end() || !(run->second->cancel_requested() || run->second->ended() || count_of(run_id, is_it) > 0))
    broken(Promise::kAcknowledged, fmt::format("the pause of run {} is acknowledged, and is not durable", run_id));
}

void Books::resume_acknowledged(const std::string& run_id, std::uint64_t known_seq) const {
  const auto run = runs_.find(run_id);
  const auto is_it = [&](const v1::Event& event) { return event.has_run_resumed() && event.seq() > known_seq; };
  if (run == runs_.end() || (run->second->paused() && count_of(run_id, is_it) == 0))
    broken(Promise::kAcknowledged, fmt::format("run {} is said to go on, and is paused", run_id));
}

void Books::retry_acknowledged(const std::string& run_id, std::uint64_t known_seq) {
  const auto is_it = [&](const v1::Event& event) { return event.has_run_retried() && event.seq() > known_seq; };
  if (count_of(run_id, is_it) == 0)
    broken(Promise::kAcknowledged, fmt::format("the retry of run {} is acknowledged, and is not durable", run_id));
}

// What comes before its RunForked is the source's up to the cut, and after it results of calls that were under way
// then: all that were known when the fork was asked for.
void Books::check_shared(const RunRecord& fork, const v1::RunForked& forked) const {
  const auto source = runs_.find(forked.source_run());
  if (source == runs_.end()) broken(Promise::kPast, fmt::format("run {} is a fork of nothing", fork.id()));
  const std::vector<v1::Event>& theirs = source->second->events();
  const std::vector<v1::Event>& shared = fork.events();
  const auto fail = [&](const v1::Event& event) {
    broken(Promise::kPast, fmt::format("event {} at \"{}\" of the fork {} is not what happened in run {}", event.seq(),
                                       event.path(), fork.id(), forked.source_run()));
  };
  if (shared.size() < forked.source_seq() || theirs.size() < forked.source_seq()) fail(shared.back());
  for (std::size_t i = 1; i < shared.size(); ++i) {
    const std::string mine = bare(shared[i]).SerializeAsString();
    const auto same = [&](const v1::Event& event) { return bare(event).SerializeAsString() == mine; };
    const bool after = i >= forked.source_seq();
    if (!after ? !same(theirs[i])
               : std::ranges::none_of(theirs.begin() + static_cast<std::ptrdiff_t>(forked.source_seq()), theirs.end(),
                                      same))
      fail(shared[i]);
  }
  const auto known = forks_.find(fork.request_id());
  for (const v1::Event& turn : fork.open_turns()) {
    const bool anew = workflows::names_path(forked.from().substr(0, forked.from().rfind(':')), turn.path(),
                                            std::max(turn.attempt(), 1U));
    const auto answers = [&](const v1::Event& event) {
      return event.has_model_call_ended() && known != forks_.end() && event.seq() <= known->second &&
             event.path() == turn.path() && event.attempt() == turn.attempt() && event.turn() == turn.turn() &&
             event.call() == turn.call();
    };
    if (!anew && std::ranges::any_of(theirs, answers))
      broken(Promise::kPast, fmt::format("the fork {} shares the question at {} turn {}, and not its answer", fork.id(),
                                         turn.path(), turn.turn()));
  }
}

void Books::check_schedule(const workflows::Schedule& schedule, Time from, Time until) const {
  std::set<std::int64_t> started;
  for (const auto& [id, run] : runs_) {
    if (!run->is_fork()) started.insert(run->events().front().run_submitted().scheduled_for_us());
  }
  const Zone zone = *Zone::load(schedule.zone);
  for (auto time = schedule.cron.next(from, zone); time && *time <= until; time = schedule.cron.next(*time, zone)) {
    if (!started.contains(time->time_since_epoch().count()))
      broken(Promise::kSchedule, fmt::format("the time {} has started no run", to_rfc3339(*time)));
  }
}

std::vector<std::string> Books::unfinished() const {
  std::vector<std::string> ids;
  for (const auto& [id, run] : runs_) {
    if (!run->ended()) ids.push_back(id);
  }
  return ids;
}

bool Books::was_done(const std::string& run_id, const std::string& path) const {
  const auto run = runs_.find(run_id);
  if (run == runs_.end()) return false;
  const auto& events = run->second->events();
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    if (!event->has_tool_call_started()) continue;
    if (workflows::call_path(event->path(), event->attempt(), event->turn(), event->call()) != path) continue;
    const auto act = acts_.find(event->tool_call_started().key());
    return act != acts_.end() && act->second.done > 0;
  }
  return false;
}

// What a run that failed or was cancelled had done with a tool that has an `undo` is taken back, the last first; what
// could not be is counted. A run that ended well takes nothing back.
void Books::check_undone(const RunRecord& run) const {
  constexpr std::string_view kBehind = "/undo";
  const workflows::Workflow& workflow = *workflows_.at(run.events().front().run_submitted().workflow_hash());
  std::map<std::string, std::string> keys;  // By call.
  std::vector<std::string> charged;         // Calls that stand.
  std::size_t taken = 0;                    // Calls that do not stand any more.
  std::uint32_t failed = 0;
  bool killed = false;
  const v1::RunEnded& ended = run.events().back().run_ended();
  bool takes_back = ended.status() == v1::RUN_STATUS_FAILED || ended.status() == v1::RUN_STATUS_CANCELLED;
  for (const v1::Event& event : run.events()) {
    const std::string call = workflows::call_path(event.path(), event.attempt(), event.turn(), event.call());
    killed = killed || event.cancel_requested().kill();
    if (event.has_run_forked()) charged.clear();  // The source's to take back.
    if (event.has_run_retried()) taken = 0;       // What could not be taken back stands.
    // What the run came to before its `finally`, which may fail it, counts.
    if (event.has_finally_started() && event.path().empty()) {
      const v1::StepStatus came_to = event.finally_started().result().status();
      takes_back = came_to == v1::STEP_STATUS_FAILED || came_to == v1::STEP_STATUS_CANCELLED;
    }
    // What `finally` does stands.
    const bool counts = event.tool_call_started().tool() == "charge" && !is_in_finally(workflow, event.path());
    if (counts) keys[call] = event.tool_call_started().key();
    const bool done = event.tool_call_ended().outcome() == v1::TOOL_OUTCOME_DONE;
    if (event.has_tool_call_ended() && done && keys.contains(call)) charged.push_back(call);
    if (!event.has_step_ended() || !event.path().ends_with(kBehind)) continue;
    const std::string of = event.path().substr(0, event.path().size() - kBehind.size());
    if (charged.empty() || charged.back() != of)
      broken(Promise::kUndone, fmt::format("run {} takes back {} out of its turn", run.id(), of));
    charged.pop_back();
    ++taken;
    const v1::StepStatus status = event.step_ended().result().status();
    failed += status == v1::STEP_STATUS_FAILED ? 1 : 0;
    if (status == v1::STEP_STATUS_SUCCEEDED && !undone_.contains(keys[of]))
      broken(Promise::kUndone, fmt::format("run {} records that {} is taken back, and it is not", run.id(), of));
  }
  if (killed) return;
  if (takes_back ? !charged.empty() : taken > 0)
    broken(Promise::kUndone, fmt::format("run {} ended as {}; {} calls were taken back, and {} stand", run.id(),
                                         v1::RunStatus_Name(ended.status()), taken, charged.size()));
  if ((takes_back ? failed : 0) != ended.undos_failed())
    broken(Promise::kUndone,
           fmt::format("run {} could not take back {} calls, and says {}", run.id(), failed, ended.undos_failed()));
}

// The run's row is the summary of its events, added up here a second time.
void Books::check_row(const RunRecord& run) {
  v1::Usage sum;
  std::uint64_t calls = 0;
  std::int64_t pico_usd = 0;
  for (const v1::Event& event : run.events()) {
    if (event.has_run_forked()) {
      // What the source paid is the source's.
      sum.Clear();
      calls = 0;
      pico_usd = 0;
    }
    calls += event.has_model_call_started() ? 1 : 0;
    const v1::Usage* usage = event.model_call_ended().has_usage()    ? &event.model_call_ended().usage()
                             : event.model_call_failed().has_usage() ? &event.model_call_failed().usage()
                                                                     : nullptr;
    if (usage == nullptr) continue;
    sum.set_input_hit(sum.input_hit() + usage->input_hit());
    sum.set_input_miss(sum.input_miss() + usage->input_miss());
    sum.set_output(sum.output() + usage->output());
    pico_usd += event.model_call_ended().cost().pico_usd() + event.model_call_failed().cost().pico_usd();
  }
  const auto row = store_.run(run.id());
  v1::Run summary;
  if (!row || !summary.ParseFromString(row->summary))
    broken(Promise::kAcknowledged, fmt::format("run {} has no row", run.id()));
  const v1::Usage& shown = summary.usage();
  if (!row->ended || shown.input_hit() != sum.input_hit() || shown.input_miss() != sum.input_miss() ||
      shown.output() != sum.output() || summary.model_calls() != calls || summary.cost().pico_usd() != pico_usd) {
    broken(Promise::kLedger,
           fmt::format("the row of run {} says {{{}}}; its events add up to {{{}}}, {} calls, {} pico-dollars",
                       run.id(), summary.ShortDebugString(), sum.ShortDebugString(), calls, pico_usd));
  }
}

void Books::close() {
  for (const auto& [request, owed] : owed_) {
    if (owed > 0) broken(Promise::kLedger, fmt::format("the provider counted {} calls more than are booked", owed));
  }
  for (const auto& [key, act] : acts_) {
    // Of a key that several runs have, which of them acted is not always to be told.
    const auto settled = [](const auto& entry) { return entry.second.settled; };
    const bool by_another = act.holders.size() > 1 && std::ranges::any_of(act.holders, settled);
    for (const auto& [run, holder] : act.holders) {
      if (!holder.of_owner || holder.settled || by_another) continue;
      broken(Promise::kDoubt, fmt::format("\"{}\" was done, and is recorded {}", holder.instance,
                                          holder.failed ? "as failed" : "nowhere"));
    }
  }
  std::map<std::string, std::string> by_request;
  std::map<std::int64_t, std::string> by_time;
  for (const auto& [id, run] : runs_) {
    const std::int64_t time_us = run->events().front().run_submitted().scheduled_for_us();
    if (time_us != 0 && !run->is_fork()) {
      const auto [other, first] = by_time.emplace(time_us, id);
      if (!first)
        broken(Promise::kSchedule, fmt::format("the time {} started the runs {} and {}",
                                               to_rfc3339(Time(Duration(time_us))), other->second, id));
    }
    if (run->request_id().empty()) continue;
    const auto [known, fresh] = by_request.emplace(run->request_id(), id);
    if (!fresh) broken(Promise::kAcknowledged, fmt::format("the submission {} became two runs", run->request_id()));
  }
}

}  // namespace weft::simulation
