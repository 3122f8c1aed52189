// The fold: what each event changes, and which commands become due by it. Records, and decides nothing.
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "runtime/run/state.h"
#include "runtime/run/tally.h"

namespace weft::run {
void Run::State::consider(Scope& scope, std::uint32_t at, std::uint32_t slot) {
  agenda.push_back({scope.weak_from_this(), at, slot});
}

void Run::State::open_scope(const std::shared_ptr<Scope>& scope, workflows::ScopeId id, std::string prefix) {
  scope->definition = &workflow->scopes[id];
  scope->prefix = std::move(prefix);
  scope->steps.resize(scope->definition->steps.size());
  for (std::uint32_t i = 0; i < scope->steps.size(); ++i) {
    if (definition(*this, *scope, i).waits_for.empty()) consider(*scope, i);
  }
}

// Reads `search[7]#2/draft~3`: steps by name, elements by key, rounds and attempts by number.
std::optional<Place> Run::State::locate(std::string_view path) const {
  Place place;
  Scope* scope = top.get();
  while (true) {
    const std::size_t slash = path.find('/');
    std::string_view segment = path.substr(0, slash);
    const auto number_after = [&](char mark) -> std::uint32_t {
      const std::size_t at = segment.find(mark, segment.find(']') == std::string_view::npos ? 0 : segment.find(']'));
      if (at == std::string_view::npos) return 0;
      std::uint32_t number = 0;
      std::from_chars(segment.data() + at + 1, segment.data() + segment.size(), number);
      return number;
    };
    const std::uint32_t round = number_after('#');
    const std::string_view name = segment.substr(0, segment.find_first_of("[#~"));
    if (scope == nullptr) return std::nullopt;
    place = Place{.scope = scope, .round = round};
    for (std::uint32_t i = 0; i < scope->steps.size(); ++i) {
      if (definition(*this, *scope, i).name == name) {
        place.step = &scope->steps[i];
        place.definition = &definition(*this, *scope, i);
        place.position = i;
        break;
      }
    }
    if (place.step == nullptr) return std::nullopt;
    const std::size_t open = segment.find('[');
    if (open != std::string_view::npos) {
      const std::string key(segment.substr(open + 1, segment.find(']') - open - 1));
      if (!place.step->slot_of_key.empty()) {
        const auto found = place.step->slot_of_key.find(key);
        if (found == place.step->slot_of_key.end()) return std::nullopt;
        place.slot_index = found->second;
      } else {
        std::from_chars(key.data(), key.data() + key.size(), place.slot_index);
      }
    }
    const bool whole = open == std::string_view::npos && place.definition->for_each;
    if (!whole && place.slot_index < place.step->slots.size()) {
      place.slot = &place.step->slots[place.slot_index];
      place.execution = place.slot->execution.get();
      if (place.round != 0 && place.round != place.slot->round) place.execution = nullptr;
    }
    if (slash == std::string_view::npos) return place;
    if (place.execution == nullptr || !place.execution->inner) return std::nullopt;
    const std::uint32_t attempt = number_after('~');
    if (place.execution->attempt != (attempt == 0 ? 1 : attempt)) return std::nullopt;
    scope = place.execution->inner.get();
    path.remove_prefix(slash + 1);
  }
}

bool Run::State::settled(const Execution& execution) {
  if (execution.phase == Execution::Phase::kModelInFlight) return false;
  for (const ToolCallState& call : execution.calls) {
    if (call.open_effect()) return false;
  }
  return !execution.inner || execution.inner->all_ended();
}

bool Run::State::settled(const StepState& step) {
  for (const Slot& slot : step.slots) {
    if (slot.execution && !settled(*slot.execution)) return false;
  }
  return true;
}

void Run::State::close_execution(Execution& execution) {
  if (execution.closing) return;
  execution.closing = true;
  outbox.push_back(Drop{{execution.path, execution.attempt, 0, 0}});
  if (execution.inner) close_scope(*execution.inner);
}

void Run::State::close_step(Scope& scope, std::uint32_t at) {
  StepState& step = scope.steps[at];
  if (step.phase == StepState::Phase::kEnded) return;
  step.closing = true;
  for (Slot& slot : step.slots) {
    if (slot.execution) close_execution(*slot.execution);
    if (slot.phase == Slot::Phase::kBackoff) {
      outbox.push_back(
          Drop{{slot_path(scope, at, static_cast<std::uint32_t>(&slot - step.slots.data())), slot.attempt, 0, 0}});
    }
  }
  consider(scope, at);
}

void Run::State::close_scope(Scope& scope) {
  if (scope.closing) return;
  scope.closing = true;
  for (std::uint32_t i = 0; i < scope.steps.size(); ++i) close_step(scope, i);
}

namespace {

Error misfit(const v1::Event& event, std::string_view why) {
  return data_loss(
      fmt::format("event {} (path \"{}\") does not fit the run's history: {}", event.seq(), event.path(), why));
}

}  // namespace

Status Run::State::apply(const v1::Event& event) {
  using Kind = v1::Event::KindCase;
  if (event.seq() != seq + 1) return misfit(event, fmt::format("its number should be {}", seq + 1));
  if (ended) return misfit(event, "the run has ended");
  if ((event.kind_case() == Kind::kRunSubmitted) != (seq == 0)) return misfit(event, "a run begins with run_submitted");
  seq = event.seq();
  at_us = event.at_us();
  digest = event.digest();
  tally(event, counts);

  switch (event.kind_case()) {
    case Kind::kRunSubmitted: {
      const v1::RunSubmitted& submitted = event.run_submitted();
      identity = submitted.identity();
      if (submitted.semantics() != kSemantics) {
        return failed_precondition(fmt::format("run {} was written under semantics {}, this weft reads {}",
                                               identity.run_id(), submitted.semantics(), kSemantics));
      }
      WEFT_TRY(input, json(submitted.input_json()));
      Json labels = Json::object();
      for (const v1::Label& label : submitted.labels()) labels[label.key()] = label.value();
      run_names = std::make_shared<const Json>(Json{{"id", identity.run_id()},
                                                    {"started", to_rfc3339(Time(Duration(event.at_us())))},
                                                    {"labels", std::move(labels)}});
      top = std::make_shared<Scope>();
      open_scope(top, 0, "");
      return {};
    }
    case Kind::kRunEnded:
      ended = true;
      agenda.clear();
      return {};
    case Kind::kCancelRequested:
      if (cancelling) return {};
      cancelling = true;
      close_scope(*top);
      if (!top->all_ended()) {
        // Calls with effect are waited for; models, reads and timers are dropped at once.
        outbox.push_back(StartTimer{{"", 0, 0, 0}, v1::TIMER_KIND_GRACE, at_us + kCancelGraceUs});
      }
      return {};
    case Kind::kTimerFired:
      if (event.timer_fired().timer() == v1::TIMER_KIND_GRACE) {
        grace_over = true;
        for (std::uint32_t i = 0; i < top->steps.size(); ++i) consider(*top, i);
        return {};
      }
      break;
    case Kind::KIND_NOT_SET:
      return failed_precondition(
          fmt::format("event {} is of a kind that this weft does not know; a newer one wrote it", event.seq()));
    default:
      break;
  }

  auto found = locate(event.path());
  if (!found) return misfit(event, "there is no such step instance");
  Place& place = *found;
  Scope& scope = *place.scope;
  StepState& step = *place.step;
  const auto consider_here = [&] { consider(scope, place.position, place.slot_index); };
  const auto need_execution = [&]() -> Execution* {
    return place.execution != nullptr && place.execution->attempt == event.attempt() ? place.execution : nullptr;
  };

  switch (event.kind_case()) {
    case Kind::kFanOutStarted: {
      const v1::FanOutStarted& fan_out = event.fan_out_started();
      step.phase = StepState::Phase::kRunning;
      step.items = fan_out.items_json();
      step.slots = std::vector<Slot>(fan_out.count());
      step.keys.assign(fan_out.keys().begin(), fan_out.keys().end());
      for (std::uint32_t i = 0; i < step.keys.size(); ++i) step.slot_of_key[step.keys[i]] = i;
      consider_here();
      break;
    }
    case Kind::kAttemptStarted: {
      const v1::AttemptStarted& started = event.attempt_started();
      if (step.phase == StepState::Phase::kPending) {
        step.phase = StepState::Phase::kRunning;
        step.slots = std::vector<Slot>(1);
        place.slot = step.slots.data();
      }
      if (place.slot == nullptr || place.slot->execution) return misfit(event, "an attempt is at work there");
      Slot& slot = *place.slot;
      if (slot.phase == Slot::Phase::kIdle) ++step.working;
      slot.phase = Slot::Phase::kWorking;
      slot.attempt = event.attempt();
      slot.execution = std::make_unique<Execution>();
      Execution& execution = *slot.execution;
      execution.step = place.definition;
      execution.path = event.path();
      execution.attempt = event.attempt();
      if (started.timeout_us() > 0) {
        execution.timeout_due_us = event.at_us() + started.timeout_us();
        outbox.push_back(
            StartTimer{{execution.path, execution.attempt, 0, 0}, v1::TIMER_KIND_TIMEOUT, execution.timeout_due_us});
      }
      if (started.kind() == v1::STEP_KIND_PROMPT) {
        want_model(execution);
      } else if (started.kind() == v1::STEP_KIND_TOOL) {
        execution.phase = Execution::Phase::kTools;
        const auto& body = std::get<workflows::ToolBody>(place.definition->body);
        execution.turn = 0;
        execution.calls.push_back(plan_call(execution, nullptr, body.tool, body.tool, started.input()));
        issue_tools(execution);
        consider_here();
      } else {
        execution.phase = Execution::Phase::kGroup;
        execution.inner = std::make_shared<Scope>();
        Scope& inner = *execution.inner;
        inner.parent = &scope;
        inner.owner_step = &step;
        inner.owner_position = place.position;
        inner.owner_slot = place.slot_index;
        const std::string attempt = execution.attempt > 1 ? fmt::format("~{}", execution.attempt) : "";
        open_scope(execution.inner, std::get<workflows::GroupBody>(place.definition->body).scope,
                   execution.path + attempt + "/");
      }
      break;
    }
    case Kind::kAttemptFailed: {
      if (place.slot == nullptr) return misfit(event, "no attempt was at work there");
      Slot& slot = *place.slot;
      if (slot.execution) outbox.push_back(Drop{{slot.execution->path, slot.execution->attempt, 0, 0}});
      slot.execution.reset();
      slot.phase = Slot::Phase::kBackoff;
      slot.attempt = event.attempt() + 1;
      ++slot.used;
      slot.retry_due_us = event.attempt_failed().retry_at_us();
      outbox.push_back(StartTimer{{event.path(), slot.attempt, 0, 0}, v1::TIMER_KIND_RETRY, slot.retry_due_us});
      break;
    }
    case Kind::kTimerFired: {
      const v1::TimerKind timer = event.timer_fired().timer();
      if (timer == v1::TIMER_KIND_RETRY) {
        if (place.slot == nullptr || place.slot->phase != Slot::Phase::kBackoff)
          return misfit(event, "nothing is due there");
        // The place among the working ones is kept, so that `max_parallel` counts it once.
        place.slot->phase = Slot::Phase::kIdle;
        --step.working;
        consider_here();
        break;
      }
      Execution* execution = need_execution();
      if (execution == nullptr) return misfit(event, "no such attempt is at work");
      if (timer == v1::TIMER_KIND_REPEAT_CALL) {
        want_model(*execution);
      } else {
        execution->failure.set_kind(v1::ERROR_KIND_TIMED_OUT);
        execution->failure.set_message(
            fmt::format("it worked for longer than its timeout of {}", to_text(*place.definition->timeout)));
        close_execution(*execution);
        consider_here();
      }
      break;
    }
    case Kind::kModelCallStarted: {
      Execution* execution = need_execution();
      if (execution == nullptr || execution->phase != Execution::Phase::kModelWanted)
        return misfit(event, "no model call is due");
      execution->phase = Execution::Phase::kModelInFlight;
      break;
    }
    case Kind::kModelCallEnded: {
      Execution* execution = need_execution();
      if (execution == nullptr || execution->phase != Execution::Phase::kModelInFlight)
        return misfit(event, "no model call is in flight");
      const v1::ModelCallEnded& answer = event.model_call_ended();
      take_answer(*execution, answer);
      consider_here();
      break;
    }
    case Kind::kModelCallFailed: {
      Execution* execution = need_execution();
      if (execution == nullptr || execution->phase != Execution::Phase::kModelInFlight)
        return misfit(event, "no model call is in flight");
      const v1::ModelCallFailed& failure = event.model_call_failed();
      execution->model_failure = failure;
      execution->phase = Execution::Phase::kModelFailed;
      consider_here();
      break;
    }
    case Kind::kModelCallRepeated: {
      Execution* execution = need_execution();
      if (execution == nullptr || execution->phase != Execution::Phase::kModelFailed)
        return misfit(event, "no model call has failed");
      if (execution->model_failure.failure() != "lost") ++place.slot->used;
      ++execution->sending;
      execution->repeat_due_us = event.model_call_repeated().at_us();
      if (execution->repeat_due_us <= event.at_us()) {
        want_model(*execution);
      } else {
        execution->phase = Execution::Phase::kModelBackoff;
        outbox.push_back(StartTimer{{execution->path, execution->attempt, execution->turn, execution->sending},
                                    v1::TIMER_KIND_REPEAT_CALL,
                                    execution->repeat_due_us});
      }
      break;
    }
    case Kind::kCallRefused: {
      Execution* execution = need_execution();
      if (execution == nullptr) return misfit(event, "no such attempt is at work");
      execution->failure = event.call_refused().failure();
      execution->phase = Execution::Phase::kFailed;
      consider_here();
      break;
    }
    case Kind::kToolCallStarted:
    case Kind::kToolCallEnded:
    case Kind::kToolCallInDoubt: {
      Execution* execution = need_execution();
      if (execution == nullptr || event.call() == 0 || event.call() > execution->calls.size() ||
          event.turn() != execution->turn) {
        return misfit(event, "no such tool call is due");
      }
      ToolCallState& call = execution->calls[event.call() - 1];
      if (event.has_tool_call_started()) {
        call.started = true;
        execution->effect_started = execution->effect_started || tools::changes_world(call.effect);
        break;
      }
      if (event.has_tool_call_in_doubt()) {
        call.in_doubt = true;
        execution->failure.set_kind(v1::ERROR_KIND_IN_DOUBT);
        execution->failure.set_message(event.tool_call_in_doubt().why());
        execution->phase = Execution::Phase::kFailed;
        consider_here();
        break;
      }
      if (call.ended) return misfit(event, "that tool call has ended");
      call.ended = true;
      call.outcome = event.tool_call_ended().outcome();
      const v1::Content& output = event.tool_call_ended().output();
      if (tools::changes_world(call.effect) && call.outcome == v1::TOOL_OUTCOME_DONE)
        execution->recorded[call.key] = output;
      if (place.definition->kind == workflows::StepKind::kTool) {
        execution->tool_output = output;
        execution->phase = Execution::Phase::kToolDone;
      } else {
        issue_tools(*execution);
      }
      consider_here();
      break;
    }
    case Kind::kRoundEnded: {
      if (step.phase == StepState::Phase::kPending) {
        step.phase = StepState::Phase::kRunning;
        step.slots = std::vector<Slot>(1);
        place.slot = step.slots.data();
      }
      if (place.slot == nullptr) return misfit(event, "no round was under way");
      Slot& slot = *place.slot;
      slot.result = event.round_ended().result();
      slot.verdict = event.round_ended().verdict();
      slot.inner_results.clear();
      if (slot.execution) {
        outbox.push_back(Drop{{slot.execution->path, slot.execution->attempt, 0, 0}});
        if (slot.execution->inner) {
          for (StepState& inner : slot.execution->inner->steps) slot.inner_results.push_back(std::move(inner.result));
        }
        slot.execution.reset();
      }
      if (slot.phase == Slot::Phase::kIdle) ++step.working;
      if (slot.verdict == v1::ROUND_VERDICT_AGAIN) {
        ++slot.round;
        slot.attempt = 1;
        slot.used = 1;
        slot.phase = Slot::Phase::kIdle;
        --step.working;
      } else {
        slot.phase = Slot::Phase::kRoundOver;
      }
      consider_here();
      break;
    }
    case Kind::kElementEnded: {
      if (place.slot == nullptr || place.slot->phase == Slot::Phase::kDone)
        return misfit(event, "no such element is at work");
      Slot& slot = *place.slot;
      if (slot.execution) outbox.push_back(Drop{{slot.execution->path, slot.execution->attempt, 0, 0}});
      slot.execution.reset();
      slot.inner_results.clear();
      if (slot.phase != Slot::Phase::kIdle) --step.working;
      slot.phase = Slot::Phase::kDone;
      slot.result = event.element_ended().result();
      ++step.done;
      if (slot.result.status() == v1::STEP_STATUS_FAILED &&
          place.definition->for_each->on_item_error == workflows::ForEach::OnError::kFail && !step.failing) {
        step.failing = slot.result.failure();
        close_step(scope, place.position);
      }
      consider_here();
      break;
    }
    case Kind::kStepEnded: {
      if (step.phase == StepState::Phase::kEnded) return misfit(event, "that step has ended");
      const v1::StepEnded& over = event.step_ended();
      for (Slot& slot : step.slots) {
        if (slot.execution) outbox.push_back(Drop{{slot.execution->path, slot.execution->attempt, 0, 0}});
        slot.execution.reset();
      }
      if (!place.definition->for_each) step.slots.clear();
      step.phase = StepState::Phase::kEnded;
      step.result = over.result();
      step.targets.assign(over.targets().begin(), over.targets().end());
      ++scope.ended;
      limited = limited || step.result.limited();
      const bool fails_scope = step.result.status() == v1::STEP_STATUS_FAILED &&
                               place.definition->on_error.kind == workflows::OnError::Kind::kFail;
      if (fails_scope && !scope.failure) {
        scope.failure = step.result.failure();
        if (scope.failure->path().empty()) scope.failure->set_path(event.path());
        close_scope(scope);
      }
      if (!scope.closing) {
        for (const workflows::StepId dependant : place.definition->dependants) consider(scope, position[dependant]);
      }
      if (scope.all_ended() && scope.parent != nullptr) consider(*scope.parent, scope.owner_position, scope.owner_slot);
      break;
    }
    default:
      return misfit(event, "its kind is not known");
  }
  return {};
}

}  // namespace weft::run
