#include "runtime/run/run.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/check.h"
#include "runtime/run/state.h"

namespace weft::run {

Run::Run(std::shared_ptr<const workflows::Workflow> workflow, const ToolTable& tools, Contents& contents)
    : state_(std::make_unique<State>(std::move(workflow), tools, contents)) {
  state_->position.resize(state_->workflow->steps.size());
  for (const workflows::Scope& scope : state_->workflow->scopes) {
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) state_->position[scope.steps[i]] = i;
  }
}

Run::~Run() = default;

Status Run::apply(const v1::Event& event) { return state_->apply(event); }
std::optional<v1::Event> Run::decide() { return state_->decide(); }

std::optional<Command> Run::next() {
  if (state_->outbox.empty()) return std::nullopt;
  Command command = std::move(state_->outbox.front());
  state_->outbox.pop_front();
  return command;
}

namespace {

void outstanding_in(const Execution& execution, std::vector<Command>& commands);

void outstanding_in(const Run::State& state, const Scope& scope, std::vector<Command>& commands) {
  for (std::uint32_t at = 0; at < scope.steps.size(); ++at) {
    const StepState& step = scope.steps[at];
    if (step.phase == StepState::Phase::kEnded) continue;
    for (std::uint32_t i = 0; i < step.slots.size(); ++i) {
      const Slot& slot = step.slots[i];
      if (slot.phase == Slot::Phase::kBackoff && !step.closing) {
        commands.push_back(
            StartTimer{{state.slot_path(scope, at, i), slot.attempt, 0, 0}, v1::TIMER_KIND_RETRY, slot.retry_due_us});
      }
      if (!slot.execution) continue;
      outstanding_in(*slot.execution, commands);
      if (slot.execution->inner) outstanding_in(state, *slot.execution->inner, commands);
    }
  }
}

void outstanding_in(const Execution& execution, std::vector<Command>& commands) {
  using Phase = Execution::Phase;
  const CallKey key{execution.path, execution.attempt, execution.turn, execution.sending};
  const bool in_flight = execution.phase == Phase::kModelInFlight;
  if (in_flight || (execution.phase == Phase::kModelWanted && !execution.closing)) {
    commands.push_back(ModelCall{key, execution.step->id, in_flight});
  }
  for (std::uint32_t i = 0; i < execution.calls.size(); ++i) {
    const ToolCallState& call = execution.calls[i];
    if (!call.commanded || call.ended || call.in_doubt) continue;
    if (execution.closing && !call.open_effect()) continue;
    commands.push_back(ToolCall{{execution.path, execution.attempt, execution.turn, i + 1},
                                call.tool,
                                call.effect,
                                call.key,
                                call.arguments,
                                call.started});
  }
  if (execution.closing) return;
  if (execution.phase == Phase::kModelBackoff)
    commands.push_back(StartTimer{key, v1::TIMER_KIND_REPEAT_CALL, execution.repeat_due_us});
  if (execution.timeout_due_us > 0) {
    commands.push_back(
        StartTimer{{execution.path, execution.attempt, 0, 0}, v1::TIMER_KIND_TIMEOUT, execution.timeout_due_us});
  }
}

}  // namespace

std::vector<Command> Run::outstanding() const {
  std::vector<Command> commands;
  if (state_->ended || !state_->top) return commands;
  outstanding_in(*state_, *state_->top, commands);
  if (state_->cancelling && !state_->grace_over) {
    commands.push_back(StartTimer{{"", 0, 0, 0}, v1::TIMER_KIND_GRACE, state_->at_us + kCancelGraceUs});
  }
  return commands;
}

bool Run::live(const CallKey& key) const {
  if (state_->ended) return false;
  if (key.path.empty()) return true;
  const auto place = state_->locate(key.path);
  if (!place || place->slot == nullptr || place->slot->attempt != key.attempt) return false;
  return place->execution != nullptr || place->slot->phase == Slot::Phase::kBackoff;
}

bool Run::expects(const v1::Event& event) const {
  using Kind = v1::Event::KindCase;
  using Phase = Execution::Phase;
  if (state_->ended) return false;
  if (event.kind_case() == Kind::kCancelRequested) return !state_->cancelling;
  if (event.kind_case() == Kind::kTimerFired && event.timer_fired().timer() == v1::TIMER_KIND_GRACE) {
    return state_->cancelling && !state_->grace_over;
  }
  const auto place = state_->locate(event.path());
  if (!place || place->slot == nullptr) return false;
  if (event.has_timer_fired() && event.timer_fired().timer() == v1::TIMER_KIND_RETRY) {
    return place->slot->phase == Slot::Phase::kBackoff && place->slot->attempt == event.attempt() &&
           !place->step->closing;
  }
  const Execution* execution = place->execution;
  if (execution == nullptr || execution->attempt != event.attempt()) return false;
  switch (event.kind_case()) {
    case Kind::kTimerFired:
      if (execution->closing) return false;
      return event.timer_fired().timer() == v1::TIMER_KIND_TIMEOUT ||
             (execution->phase == Phase::kModelBackoff && execution->turn == event.turn() &&
              execution->sending == event.call());
    case Kind::kModelCallStarted:
      return !execution->closing && execution->phase == Phase::kModelWanted && execution->turn == event.turn() &&
             execution->sending == event.call();
    case Kind::kModelCallEnded:
    case Kind::kModelCallFailed:
      return execution->phase == Phase::kModelInFlight && execution->turn == event.turn() &&
             execution->sending == event.call();
    case Kind::kCallRefused:
      return !execution->closing;
    case Kind::kToolCallStarted:
    case Kind::kToolCallEnded:
    case Kind::kToolCallInDoubt: {
      if (execution->turn != event.turn() || event.call() == 0 || event.call() > execution->calls.size()) return false;
      const ToolCallState& call = execution->calls[event.call() - 1];
      return !call.ended && !call.in_doubt && (!execution->closing || call.open_effect());
    }
    default:
      return true;
  }
}

bool Run::ended() const { return state_->ended; }
bool Run::cancelling() const { return state_->cancelling; }
std::uint64_t Run::last_seq() const { return state_->seq; }
std::int64_t Run::last_at_us() const { return state_->at_us; }
const std::string& Run::digest() const { return state_->digest; }
const workflows::Workflow& Run::workflow() const { return *state_->workflow; }

const v1::Run& Run::summary() const { return state_->counts; }

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
  {
    google::protobuf::io::StringOutputStream raw(&bytes);
    google::protobuf::io::CodedOutputStream coded(&raw);
    coded.SetSerializationDeterministic(true);  // NOLINT: a library's two-valued argument.
    // StringOutputStream appends to what the string holds.
    WEFT_CHECK(event.SerializeToCodedStream(&coded), "an event cannot be serialised");
  }
  event.set_digest(std::string(view(sha256(bytes)).substr(0, 16)));
  if (first) identity.Swap(event.mutable_run_submitted()->mutable_identity());
  event.set_seq(previous_seq + 1);
  event.set_at_us(std::max(now_us, previous_at_us));
  event.set_epoch(epoch);
}

std::string Run::State::step_path(const Scope& scope, const workflows::Step& step) const {
  return scope.prefix + step.name;
}

std::string Run::State::slot_path(const Scope& scope, std::uint32_t at, std::uint32_t index) const {
  const workflows::Step& step = definition(*this, scope, at);
  const StepState& state = scope.steps[at];
  std::string path = scope.prefix + step.name;
  if (step.for_each) {
    path += '[';
    path += state.keys.empty() ? std::to_string(index) : state.keys[index];
    path += ']';
  }
  if (step.repeat) {
    path += '#';
    path += std::to_string(index < state.slots.size() ? state.slots[index].round : 1);
  }
  return path;
}

Result<std::shared_ptr<const Json>> Run::State::json(const v1::Content& content) {
  WEFT_TRY(const std::shared_ptr<const std::string> bytes, contents.bytes(content));
  WEFT_TRY(Json value, parse_untrusted(*bytes));
  return std::make_shared<const Json>(std::move(value));
}

Result<std::shared_ptr<const Json>> Run::State::value(const v1::StepResult& result) {
  if (result.has_output_json()) return json(result.output_json());
  WEFT_TRY(const std::shared_ptr<const std::string> text, contents.bytes(result.text()));
  return std::make_shared<const Json>(*text);
}

v1::Event draft(std::string path, std::uint32_t attempt, std::uint32_t turn, std::uint32_t call) {
  v1::Event event;
  event.set_path(std::move(path));
  event.set_attempt(attempt);
  event.set_turn(turn);
  event.set_call(call);
  return event;
}

v1::StepResult failed(v1::ErrorKind kind, std::string message, std::uint32_t attempts) {
  v1::StepResult result;
  result.set_status(v1::STEP_STATUS_FAILED);
  result.mutable_failure()->set_kind(kind);
  result.mutable_failure()->set_message(std::move(message));
  result.mutable_failure()->set_attempts(attempts);
  return result;
}

bool has_output(const v1::StepResult& result) { return result.has_output_json() || result.has_text(); }

bool has_result(const StepState& step) {
  return step.result.status() == v1::STEP_STATUS_SUCCEEDED ||
         (step.result.status() == v1::STEP_STATUS_FAILED && step.result.has_output_json());
}

std::string_view status_name(v1::StepStatus status) {
  switch (status) {
    case v1::STEP_STATUS_SUCCEEDED:
      return "succeeded";
    case v1::STEP_STATUS_ABSTAINED:
      return "abstained";
    case v1::STEP_STATUS_FAILED:
      return "failed";
    case v1::STEP_STATUS_SKIPPED:
      return "skipped";
    default:
      return "cancelled";
  }
}

std::string_view error_name(v1::ErrorKind kind) {
  static constexpr std::string_view kNames[] = {
      "internal", "invalid_output", "tool_failed", "model_failed", "timed_out", "deadline",
      "budget",   "exhausted",      "turns",       "refused",      "denied",    "expression",
      "join",     "input",          "child",       "in_doubt",     "internal"};
  const auto index = static_cast<std::size_t>(kind);
  return index < std::size(kNames) ? kNames[index] : "internal";
}

std::string encode_key(std::string_view key) {
  std::string out;
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || std::string_view("/[]#~:%").find(c) != std::string_view::npos) {
      out += fmt::format("%{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace weft::run
