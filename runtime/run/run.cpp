#include "runtime/run/run.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/check.h"
#include "runtime/run/state.h"

namespace weft::run {

Run::Run(std::shared_ptr<const workflows::Workflow> workflow, const ToolTable& tools, Contents& contents,
         const Limits& limits)
    : state_(std::make_unique<State>(std::move(workflow), tools, contents, limits)) {
  state_->position.resize(state_->workflow->steps.size());
  for (const workflows::Scope& scope : state_->workflow->scopes) {
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) state_->position[scope.steps[i]] = i;
  }
}

Run::~Run() = default;

Status Run::apply(const v1::Event& event) { return state_->apply(event); }
Result<std::optional<v1::Event>> Run::decide() {
  Budget endless;
  return decide(endless);
}

Result<std::optional<v1::Event>> Run::decide(Budget& budget) {
  auto event = state_->decide(budget);
  auto failed = state_->contents.take_failed();
  if (budget.over()) return std::nullopt;
  if (failed) return *std::move(failed);
  return event;
}

Result<v1::Content> Run::question(const CallKey& call) {
  auto arguments = state_->question(call);
  if (auto failed = state_->contents.take_failed()) return *std::move(failed);
  return arguments;
}

void Run::reseed_agenda(std::uint64_t units) {
  state_->reconsider();
  Budget budget(units);
  (void)decide(budget);
}

void Run::clear_agenda() { state_->clear_agenda(); }

std::optional<Command> Run::next() {
  if (state_->outbox.empty()) return std::nullopt;
  Command command = std::move(state_->outbox.front());
  state_->outbox.pop_front();
  return command;
}

namespace {

void outstanding_in(Run::State& state, const Execution& execution, std::vector<Command>& commands) {
  using Phase = Execution::Phase;
  const CallKey key = execution.key(execution.turn, execution.sending);
  const bool in_flight = execution.phase == Phase::kModelInFlight;
  if (in_flight || (execution.phase == Phase::kModelWanted && !execution.closing)) {
    commands.push_back(ModelCall{key, execution.step->id, in_flight});
  }
  for (std::uint32_t i = 0; i < execution.calls.size(); ++i) {
    const ToolCallState& call = execution.calls[i];
    const CallKey of_call = execution.key(execution.turn, i + 1);
    if (call.verifying) commands.push_back(state.verify_call(execution, call));
    if (!call.commanded || call.ended || call.in_doubt || (execution.closing && !call.open_effect())) continue;
    if (call.resend_due_us > 0) {
      commands.push_back(StartTimer{of_call, v1::TIMER_KIND_RESEND, call.resend_due_us});
    } else {
      commands.push_back(ToolCall{of_call, call.tool, call.effect, call.key, call.arguments, call.started});
    }
  }
  if (execution.closing) return;
  if (execution.phase == Phase::kModelBackoff) {
    commands.push_back(StartTimer{key, v1::TIMER_KIND_REPEAT_CALL, execution.repeat_due_us});
  }
  if (execution.phase == Phase::kWaiting && execution.waiting.due_us() > 0) {
    commands.push_back(
        StartTimer{execution.key(), v1::TIMER_KIND_WAIT, execution.waiting.due_us(), waits_until(*execution.step)});
  }
  if (execution.phase == Phase::kWaiting && execution.waiting.expires_at_us() > 0) {
    commands.push_back(StartTimer{execution.key(), v1::TIMER_KIND_EXPIRY, execution.waiting.expires_at_us()});
  }
  if (execution.deadline_due_us > 0) {
    commands.push_back(StartTimer{execution.key(), v1::TIMER_KIND_DEADLINE, execution.deadline_due_us});
  }
  if (execution.timeout_due_us > 0) {
    commands.push_back(StartTimer{execution.key(), v1::TIMER_KIND_TIMEOUT, execution.timeout_due_us});
  }
}

void outstanding_in(Run::State& state, Scope& scope, std::vector<Command>& commands) {
  for (std::uint32_t position = 0; position < scope.steps.size(); ++position) {
    const StepState& step = scope.steps[position];
    for (std::uint32_t i = 0; i < step.slots.size() && step.phase == StepState::Phase::kRunning; ++i) {
      const Slot& slot = step.slots[i];
      if (slot.phase == Slot::Phase::kBackoff && !step.closing) {
        const std::string path = state.slot_path({scope, position, i});
        commands.push_back(StartTimer{{path, slot.attempt, 0, 0}, v1::TIMER_KIND_RETRY, slot.retry_due_us});
      }
      if (slot.execution) outstanding_in(state, *slot.execution, commands);
      if (slot.execution && slot.execution->inner) outstanding_in(state, *slot.execution->inner, commands);
    }
  }
}

void doubts_in(const Execution& execution, std::vector<Doubt>& doubts) {
  for (std::uint32_t i = 0; i < execution.calls.size(); ++i) {
    const ToolCallState& call = execution.calls[i];
    if (!call.in_doubt || call.ended || call.resolution != v1::RESOLUTION_UNSPECIFIED) continue;
    doubts.push_back({execution.key(execution.turn, i + 1), call.tool, execution.closing});
  }
}

void doubts_in(const Scope& scope, std::vector<Doubt>& doubts) {
  for (const StepState& step : scope.steps) {
    for (const Slot& slot : step.slots) {
      if (!slot.execution) continue;
      doubts_in(*slot.execution, doubts);
      if (slot.execution->inner) doubts_in(*slot.execution->inner, doubts);
    }
  }
}

// Each place that waits, in the order of the definition: one that asks about its rounds, or an attempt.
template <class Each>
void each_wait_in(Scope& scope, const Each& each) {
  for (std::uint32_t position = 0; position < scope.steps.size(); ++position) {
    StepState& step = scope.steps[position];
    if (step.phase != StepState::Phase::kRunning) continue;
    for (std::uint32_t index = 0; index < step.slots.size(); ++index) {
      const Slot& slot = step.slots[index];
      if (slot.phase == Slot::Phase::kAsking && !step.closing) each(SlotRef{scope, position, index}, nullptr);
      if (!slot.execution) continue;
      const Execution& execution = *slot.execution;
      if (execution.phase == Execution::Phase::kWaiting && !execution.closing)
        each(SlotRef{scope, position, index}, &execution);
      if (execution.inner) each_wait_in(*execution.inner, each);
    }
  }
}

OpenWait open_wait(const Run::State& state, const SlotRef& at, const Execution* execution) {
  if (execution != nullptr) {
    const bool asks = execution->step->kind == workflows::StepKind::kAsk;
    return {execution->key(), execution->step, asks, execution->waiting};
  }
  v1::Waiting waiting;
  for (const auto choice : {kMoreRounds, kKeepRound, kFailRounds}) waiting.add_choices(std::string(choice));
  return {{state.slot_path(at), at.slot().attempt, 0, 0}, &definition(state, at), true, std::move(waiting)};
}

}  // namespace

std::vector<Command> Run::outstanding() const {
  std::vector<Command> commands;
  if (state_->ended || !state_->top) return commands;
  outstanding_in(*state_, *state_->top, commands);
  if (const auto& undo = state_->undo) {
    if (undo->execution) outstanding_in(*state_, *undo->execution, commands);
    if (undo->retry_due_us > 0) {
      const std::string path = state_->effects.next_undo()->undo_path();
      commands.push_back(StartTimer{{path, undo->attempt, 0, 0}, v1::TIMER_KIND_RETRY, undo->retry_due_us});
    }
  }
  if (state_->deadline_due_us > 0 && !state_->cancelling && !state_->top->failure && !state_->top->body_result) {
    commands.push_back(StartTimer{{"", 0, 0, 0}, v1::TIMER_KIND_DEADLINE, state_->deadline_due_us});
  }
  if (state_->cancelling && !state_->grace_over) {
    commands.push_back(StartTimer{{"", 0, 0, 0}, v1::TIMER_KIND_GRACE, state_->at_us + kCancelGraceUs});
  }
  return commands;
}

bool Run::expects(const v1::Event& event) const {
  if (state_->ended) return event.has_run_retried() && may_retry();
  if (state_->is_undo(event.path())) return state_->fits_undo(event);
  const auto place = event.path().empty() ? EventTarget{} : state_->locate(event.path());
  return place && state_->fits(event, *place);
}

bool Run::wants(const Command& command) const {
  const auto* model_call = std::get_if<ModelCall>(&command);
  const auto* tool_call = std::get_if<ToolCall>(&command);
  if (model_call == nullptr && tool_call == nullptr) return true;
  const CallKey& key = model_call != nullptr ? model_call->key : tool_call->key;
  const Execution* execution = state_->ended ? nullptr : state_->execution_of(key);
  if (execution == nullptr) return false;
  if (model_call != nullptr) return execution->wants_model(key.turn, key.call);
  const ToolCallState* call = execution->call_at(key.turn, key.call);
  return call != nullptr && execution->may_leave(*call);
}

bool Run::awaits_result(const CallKey& key) const {
  const Execution* execution = state_->ended ? nullptr : state_->execution_of(key);
  const ToolCallState* call = execution != nullptr ? execution->call_at(key.turn, key.call) : nullptr;
  return call != nullptr && execution->awaits_result(*call);
}

std::vector<Doubt> Run::doubts() const {
  std::vector<Doubt> doubts;
  if (!state_->top || state_->ended) return doubts;
  doubts_in(*state_->top, doubts);
  if (state_->undo && state_->undo->execution) doubts_in(*state_->undo->execution, doubts);
  return doubts;
}

bool Run::waits(const CallKey& attempt, const Queued& queued) const {
  if (state_->ended || state_->is_undo(attempt.path)) return false;
  const auto place = state_->locate(attempt.path);
  return place && place->execution != nullptr && place->execution->attempt == attempt.attempt &&
         (state_->paused || State::waits(*place->execution, queued));
}

bool Run::works(const CallKey& attempt) const {
  const auto place = state_->ended ? std::nullopt : state_->locate(attempt.path);
  return place && place->execution != nullptr && place->execution->attempt == attempt.attempt;
}

Status Run::may_retry() const {
  const std::string& id = state_->identity.run_id();
  if (!state_->ended) return failed_precondition(fmt::format("run {} has not ended", id));
  if (auto why = state_->refuse_retry()) return failed_precondition(fmt::format("run {}: {}", id, *why));
  return {};
}

std::vector<v1::KeyGeneration> Run::generations() const { return state_->effects.generations(); }

std::vector<OpenWait> Run::open_waits() const {
  std::vector<OpenWait> open;
  if (state_->ended || !state_->top) return open;
  each_wait_in(*state_->top, [&](const SlotRef& at, const Execution* execution) {
    open.push_back(open_wait(*state_, at, execution));
  });
  return open;
}

Rest Run::rest() const {
  Rest rest;
  if (state_->ended || !state_->top) return rest;
  each_wait_in(*state_->top, [&](const SlotRef& at, const Execution* execution) {
    const bool is_time = execution != nullptr && execution->waiting.due_us() > 0;
    const bool is_better = !rest.shown || (!is_time && rest.shown->waiting.due_us() > 0);
    if (is_better) rest.shown = open_wait(*state_, at, execution);
    ++rest.waits;
    rest.time_moves = rest.time_moves || is_time;
  });
  return rest;
}

bool Run::has_signal(const std::string& id) const { return state_->signal_ids.contains(id); }
std::size_t Run::signals_kept() const { return state_->signals.size(); }
bool Run::finishing() const { return state_->top && state_->top->body_result && !state_->cancelling; }
bool Run::paused() const { return state_->paused; }

std::uint64_t Run::slots_begun() const { return state_->slots_begun; }
std::uint64_t Run::state_bytes() const { return state_->held_bytes; }
bool Run::ended() const { return state_->ended; }
std::uint64_t Run::last_seq() const { return state_->seq; }
std::int64_t Run::last_at_us() const { return state_->at_us; }
const std::string& Run::digest() const { return state_->digest; }
const v1::RunIdentity& Run::identity() const { return state_->identity; }
const workflows::Workflow& Run::workflow() const { return *state_->workflow; }
std::shared_ptr<const workflows::Workflow> Run::shared_workflow() const { return state_->workflow; }

void stamp(v1::Event& event, std::uint64_t previous_seq, std::int64_t previous_at_us,
           const std::string& previous_digest, std::int64_t now_us, std::uint64_t epoch) {
  v1::RunIdentity identity;
  const bool first = event.has_run_submitted();
  if (first) identity.Swap(event.mutable_run_submitted()->mutable_identity());
  event.clear_seq();
  event.clear_at_us();
  event.clear_epoch();
  event.clear_digest();
  std::string bytes = previous_digest;
  bytes.reserve(bytes.size() + event.ByteSizeLong());
  // There is no map in an event, so that equal events are equal bytes.
  WEFT_CHECK(event.AppendToString(&bytes), "an event cannot be serialised");
  event.set_digest(std::string(view(sha256(bytes)).substr(0, 16)));
  if (first) identity.Swap(event.mutable_run_submitted()->mutable_identity());
  event.set_seq(previous_seq + 1);
  event.set_at_us(std::max(now_us, previous_at_us));
  event.set_epoch(epoch);
}

Result<std::shared_ptr<const Json>> Run::State::json(const v1::Content& content) {
  WEFT_TRY(const std::shared_ptr<const std::string> bytes, contents.bytes(content));
  WEFT_TRY(Json value, parse_untrusted(*bytes, {}, budget));
  return std::make_shared<const Json>(std::move(value));
}

Result<std::shared_ptr<const Json>> Run::State::value(const v1::StepResult& result) {
  if (result.has_output_json()) return json(result.output_json());
  WEFT_TRY(const std::shared_ptr<const std::string> text, contents.bytes(result.text()));
  return std::make_shared<const Json>(*text);
}

Result<v1::Content> Run::State::store(const Result<Json>& value) {
  return value ? contents.put(to_text(*value)) : Result<v1::Content>(value.error());
}

}  // namespace weft::run
