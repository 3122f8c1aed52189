#include "run_record.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "disk.h"
#include "verdict.h"
#include "workflows/path.h"
#include "workflows/workflow.h"

namespace weft::simulation {

Result<std::shared_ptr<const std::string>> DurableContents::bytes(const v1::Content& content) {
  if (!content.has_blob()) return std::make_shared<const std::string>(content.inline_());
  if (const auto found = put_.find(content.blob().sha256()); found != put_.end()) return found->second;
  Digest digest{};
  std::copy_n(content.blob().sha256().begin(), std::min(digest.size(), content.blob().sha256().size()), digest.begin());
  return store_.blob(digest);
}

Result<v1::Content> DurableContents::put(std::string bytes) {
  v1::Content content;
  if (bytes.size() <= run::kInlineBytesMax) {
    content.set_inline_(std::move(bytes));
    return content;
  }
  const std::string digest(view(sha256(bytes)));
  content.mutable_blob()->set_sha256(digest);
  content.mutable_blob()->set_size(bytes.size());
  put_[digest] = std::make_shared<const std::string>(std::move(bytes));
  return content;
}

bool is_decision(const v1::Event& event) {
  switch (event.kind_case()) {
    case v1::Event::kRunEnded:
    case v1::Event::kAttemptStarted:
    case v1::Event::kAttemptFailed:
    case v1::Event::kFanOutStarted:
    case v1::Event::kRoundEnded:
    case v1::Event::kElementEnded:
    case v1::Event::kStepEnded:
    case v1::Event::kJoinMet:
    case v1::Event::kFinallyStarted:
    case v1::Event::kSignalTaken:
    case v1::Event::kModelCallRepeated: return true;
    case v1::Event::kToolCallResolved: return event.tool_call_resolved().by() != v1::RESOLVED_BY_OPERATOR;
    case v1::Event::kToolCallEnded:
      return event.tool_call_ended().outcome() == v1::TOOL_OUTCOME_REFUSED ||
             event.tool_call_ended().outcome() == v1::TOOL_OUTCOME_REUSED ||
             event.tool_call_ended().outcome() == v1::TOOL_OUTCOME_SKIPPED;
    default: return false;
  }
}

bool is_in_finally(const workflows::Workflow& workflow, std::string_view path) {
  std::string_view name;
  while (!path.empty()) name = workflows::take_segment(path).name;
  return std::ranges::any_of(
      workflow.steps, [&](const workflows::Step& step) { return step.name == name && workflow.in_finally(step.id); });
}

v1::Event bare(const v1::Event& event) {
  v1::Event bare = event;
  bare.clear_seq();
  bare.clear_at_us();
  bare.clear_epoch();
  bare.clear_digest();
  // Emptied, and still there.
  if (bare.has_run_submitted()) bare.mutable_run_submitted()->mutable_identity()->Clear();
  return bare;
}

namespace {

// Where the step or the element of an instance ends: without round, and without element.
std::string without_round(const std::string& path) {
  const std::size_t round = path.rfind('#');
  return round == std::string::npos || path.find('/', round) != std::string::npos ? path : path.substr(0, round);
}
std::string without_element(const std::string& path) {
  return path.ends_with(']') ? path.substr(0, path.rfind('[')) : path;
}

}  // namespace

RunRecord::RunRecord(std::shared_ptr<const workflows::Workflow> workflow, const run::ToolTable& tools,
                     const memory::Reader& store)
    : workflow_(std::move(workflow)),
      tools_(tools),
      contents_(store),
      shadow_(std::make_unique<run::Run>(workflow_, tools_, contents_)) {}

std::string RunRecord::at(const v1::Event& event) const {
  return fmt::format("run {} event {} at \"{}\"", id_, event.seq(), event.path());
}

void RunRecord::take(const v1::Event& event, Origin origin) {
  if (event.has_run_submitted()) {
    id_ = event.run_submitted().identity().run_id();
    request_id_ = event.run_submitted().identity().request_id();
  }
  cancel_requested_ = cancel_requested_ || event.has_cancel_requested();
  check_chain(event);
  if (!events_.empty() && event.epoch() > events_.back().epoch()) fold_again();
  if (origin == Origin::kOwn && is_decision(event)) check_decision(event);
  check_calls(event);
  check_said(event);
  check_past(event);
  check_held(event, origin);
  if (const Status applied = shadow_->apply(event); !applied) broken(Promise::kFold, applied.error().message);
  take_commands();
  events_.push_back(event);
  if (origin == Origin::kShared) return;
  if (event.has_run_forked()) keep_timers();
  // What is not decidable now is put aside, as in the run that lives; the answer itself is asked for again when due.
  (void)shadow_->decide();
}

void RunRecord::check_chain(const v1::Event& event) {
  const bool first = events_.empty();
  if (event.seq() != events_.size() + 1) broken(Promise::kFold, at(event) + " leaves a gap or comes twice");
  if (!first && event.at_us() < events_.back().at_us())
    broken(Promise::kFold, at(event) + " is before its predecessor");
  if (!first && event.epoch() < events_.back().epoch()) broken(Promise::kFence, at(event) + " is of a stale owner");
  const std::string chained = (first ? "" : events_.back().digest()) + bare(event).SerializeAsString();
  if (chained.find(kUnreadWords) != std::string::npos)
    broken(Promise::kRead, at(event) + " follows from a read that failed: " + event.ShortDebugString());
  if (event.digest() != view(sha256(chained)).substr(0, 16)) broken(Promise::kFold, at(event) + " breaks the digest");
}

void RunRecord::check_decision(const v1::Event& event) {
  const auto decided = shadow_->decide();
  if (!decided) broken(Promise::kFold, at(event) + ": " + decided.error().message);
  const std::optional<v1::Event>& due = *decided;
  if (!due) broken(Promise::kFold, at(event) + " records a decision that does not follow from what is recorded");
  if (due->SerializeAsString() != bare(event).SerializeAsString()) {
    broken(Promise::kFold, fmt::format("{} is {{{}}}; from what is recorded follows {{{}}}", at(event),
                                       bare(event).ShortDebugString(), due->ShortDebugString()));
  }
}

void RunRecord::check_calls(const v1::Event& event) {
  const Place turn{event.path(), event.attempt(), event.turn()};
  const CallPlace call{event.path(), event.attempt(), event.turn(), event.call()};
  switch (event.kind_case()) {
    case v1::Event::kModelCallStarted: {
      ModelTurn& asked = turns_[turn];
      if (asked.answered) broken(Promise::kRecorded, at(event) + " asks again for an answer that is recorded");
      if (asked.open) broken(Promise::kLedger, at(event) + " begins while the call before it is not closed");
      const std::string& request = event.model_call_started().request_sha256();
      if (!asked.request.empty() && asked.request != request)
        broken(Promise::kRecorded, at(event) + " asks again with other bytes");
      asked.request = request;
      asked.sending = event.call();
      asked.open = true;
      return;
    }
    case v1::Event::kModelCallEnded: turns_[turn].answered = true; [[fallthrough]];
    case v1::Event::kModelCallFailed:
      turns_[turn].open = false;
      if (event.model_call_failed().failure() == "lost" && !event.model_call_failed().usage().estimated())
        broken(Promise::kLedger, at(event) + " is lost and books no estimate");
      return;
    case v1::Event::kToolCallStarted:
      if (event.tool_call_started().effect() == v1::TOOL_EFFECT_WRITE ||
          event.tool_call_started().effect() == v1::TOOL_EFFECT_IDEMPOTENT)
        effects_[call] = Call::kStarted;
      return;
    case v1::Event::kToolCallEnded:
    case v1::Event::kToolCallInDoubt:
      if (const auto effect = effects_.find(call); effect != effects_.end()) effect->second = Call::kSettled;
      return;
    case v1::Event::kTimerFired: {
      const auto due = timers_due_us_.find({call, static_cast<int>(event.timer_fired().timer())});
      if (due == timers_due_us_.end())
        broken(Promise::kTimer, at(event) + " fires though it was not set, or a second time");
      if (clock_is_steady && event.at_us() < due->second)
        broken(Promise::kTimer, fmt::format("{} fires {} us early", at(event), due->second - event.at_us()));
      timers_due_us_.erase(due);
      return;
    }
    case v1::Event::kRunEnded: {
      for (const auto& [place, state] : effects_) {
        if (state == Call::kStarted) {
          broken(Promise::kDoubt, fmt::format("run {} ends, and what became of {} turn {} call {} is not said", id_,
                                              std::get<0>(place), std::get<2>(place), std::get<3>(place)));
        }
      }
      for (const auto& [place, asked] : turns_) {
        if (asked.open)
          broken(Promise::kLedger, fmt::format("run {} ends with an open call at {}", id_, std::get<0>(place)));
      }
      return;
    }
    default: return;
  }
}

void RunRecord::check_patience(Time calm_since) {
  constexpr std::int64_t kMinutesUs = 300'000'000;
  for (; patient_until_ < events_.size(); ++patient_until_) {
    const v1::Event& event = events_[patient_until_];
    if (event.timer_fired().timer() != v1::TIMER_KIND_TIMEOUT) continue;
    for (auto begun = events_.rbegin(); begun != events_.rend(); ++begun) {
      if (!begun->has_attempt_started() || begun->path() != event.path() || begun->attempt() != event.attempt())
        continue;
      const v1::AttemptStarted& started = begun->attempt_started();
      if (started.kind() == v1::STEP_KIND_PROMPT && started.timeout_us() >= kMinutesUs &&
          begun->at_us() >= calm_since.time_since_epoch().count())
        broken(Promise::kEnds, at(event) + " waited until its timeout, though nothing was wrong");
      break;
    }
  }
}

void RunRecord::fold_again() {
  shadow_ = std::make_unique<run::Run>(workflow_, tools_, contents_);
  for (const v1::Event& event : events_) {
    if (const Status applied = shadow_->apply(event); !applied) broken(Promise::kFold, applied.error().message);
  }
  take_commands();
  keep_timers();
  shadow_->reseed_agenda();
}

// What is outstanding is issued anew by whoever takes up a run that it has read.
void RunRecord::keep_timers() {
  for (const run::Command& command : shadow_->outstanding()) {
    if (const auto* timer = std::get_if<run::StartTimer>(&command)) {
      const CallPlace place{timer->key.path, timer->key.attempt, timer->key.turn, timer->key.call};
      timers_due_us_.try_emplace({place, static_cast<int>(timer->timer)}, timer->due_us);
    }
  }
}

std::vector<v1::Event> RunRecord::open_turns() const {
  std::vector<v1::Event> open;
  for (const auto& [place, asked] : turns_) {
    if (!asked.open || asked.answered) continue;
    v1::Event& turn = open.emplace_back();
    turn.set_path(std::get<0>(place));
    turn.set_attempt(std::get<1>(place));
    turn.set_turn(std::get<2>(place));
    turn.set_call(asked.sending);
  }
  return open;
}

// Each answer moves one question, each signal one step.
void RunRecord::check_said(const v1::Event& event) {
  if (event.has_answered() && !answered_.insert({event.path(), event.attempt()}).second)
    broken(Promise::kSaid, at(event) + " answers a question that was answered");
  if (event.has_signal_received()) {
    const std::string& id = event.signal_received().id();
    if (!id.empty() && !signal_ids_.insert(id).second)
      broken(Promise::kSaid, fmt::format("{} is the signal {} a second time", at(event), id));
    signals_[event.seq()] = event.signal_received().name();
  }
  if (event.has_signal_taken() && signals_.erase(event.signal_taken().seq()) == 0)
    broken(Promise::kSaid, at(event) + " takes a signal that has not come, or was taken");
}

// What a retry keeps, and what a fork asks for.
void RunRecord::check_past(const v1::Event& event) {
  const CallPlace call{event.path(), event.attempt(), event.turn(), event.call()};
  const std::string instance = workflows::without_attempts(event.path());
  switch (event.kind_case()) {
    case v1::Event::kRunRetried: ++retries_; return;
    case v1::Event::kRunForked:
      fork_effects_ = event.run_forked().effects();
      fork_model_ = event.run_forked().model();
      allowed_.clear();
      for (auto& [place, turn] : turns_) {
        turn.open = false;  // The source's.
        if (!turn.answered) turn.request.clear();
      }
      return;
    case v1::Event::kModelCallStarted:
      if (!fork_model_.empty() && event.model_call_started().model() != fork_model_)
        broken(Promise::kPast, fmt::format("{} asks {}, and the fork is answered by {}", at(event),
                                           event.model_call_started().model(), fork_model_));
      return;
    case v1::Event::kStepEnded:
      if (event.step_ended().result().status() == v1::STEP_STATUS_SUCCEEDED) succeeded_.insert(event.path());
      return;
    case v1::Event::kElementEnded:
      if (event.element_ended().result().status() == v1::STEP_STATUS_SUCCEEDED)
        succeeded_.insert(without_round(event.path()));
      return;
    case v1::Event::kRoundEnded:
      if (event.round_ended().verdict() == v1::ROUND_VERDICT_AGAIN) succeeded_.insert(event.path());
      return;
    case v1::Event::kAttemptStarted: {
      const std::string slot = without_round(event.path());
      const bool done =
          succeeded_.contains(event.path()) || succeeded_.contains(slot) || succeeded_.contains(without_element(slot));
      if (retries_ > 0 && done && !is_in_finally(*workflow_, event.path()))
        broken(Promise::kRecorded, at(event) + " begins again what had succeeded");
      return;
    }
    case v1::Event::kToolCallInDoubt:
      if (event.tool_call_in_doubt().asked()) asked_[call] = event.tool_call_in_doubt().tool();
      return;
    case v1::Event::kToolCallResolved:
      if (const auto asked = asked_.find(call); asked != asked_.end() &&
                                                event.tool_call_resolved().by() == v1::RESOLVED_BY_OPERATOR &&
                                                event.tool_call_resolved().resolution() == v1::RESOLUTION_RETRY)
        allowed_.insert(instance + " " + asked->second);
      return;
    case v1::Event::kToolCallStarted: {
      const v1::ToolCallStarted& started = event.tool_call_started();
      if (started.effect() != v1::TOOL_EFFECT_WRITE && started.effect() != v1::TOOL_EFFECT_IDEMPOTENT) return;
      const bool asks = fork_effects_ == v1::FORK_EFFECTS_ASK && !allowed_.contains(instance + " " + started.tool());
      if (asks || fork_effects_ == v1::FORK_EFFECTS_REFUSE)
        broken(Promise::kPast,
               fmt::format("{} calls {}, which nobody has allowed this fork", at(event), started.tool()));
      return;
    }
    default: return;
  }
}

// What was under way when somebody paused the run goes on; nothing else does.
void RunRecord::check_held(const v1::Event& event, Origin origin) {
  switch (event.kind_case()) {
    case v1::Event::kRunPaused: paused_ = true; return;
    case v1::Event::kRunRetried:
    case v1::Event::kRunForked: paused_ = killed_ = false; return;
    case v1::Event::kCancelRequested: killed_ = event.cancel_requested().kill(); [[fallthrough]];
    case v1::Event::kRunResumed: paused_ = false; return;
    case v1::Event::kTimerFired:
      // The run's own.
      if (event.timer_fired().timer() == v1::TIMER_KIND_DEADLINE && event.path().empty()) paused_ = false;
      return;
    case v1::Event::kAttemptStarted:
    case v1::Event::kFanOutStarted:
    case v1::Event::kFinallyStarted:
    case v1::Event::kModelCallStarted:
    case v1::Event::kToolCallStarted:
      if (origin == Origin::kOwn && (paused_ || killed_))
        broken(Promise::kHeld, fmt::format("{} begins, and the run is {}", at(event), paused_ ? "paused" : "killed"));
      return;
    default: return;
  }
}

void RunRecord::take_commands() {
  while (const auto command = shadow_->next()) {
    const auto* timer = std::get_if<run::StartTimer>(&*command);
    if (timer == nullptr) continue;
    const CallPlace place{timer->key.path, timer->key.attempt, timer->key.turn, timer->key.call};
    timers_due_us_[{place, static_cast<int>(timer->timer)}] = timer->due_us;
  }
}

}  // namespace weft::simulation
