// An agent at work: model turns and tool calls, until it answers.
//
// Calls of one turn: `pure` and `read` run together; calls that change the world run one after another after them and
// stop at the first failure or refusal; results enter the conversation in the order of the calls.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/run/state.h"
#include "workflows/path.h"

namespace weft::run {

using workflows::Step;
using Phase = Execution::Phase;

namespace {

bool stopped(const ToolCallState& call) {
  return call.ended && call.outcome != v1::TOOL_OUTCOME_DONE && call.outcome != v1::TOOL_OUTCOME_REUSED;
}

// The call with effect whose turn it is: all reads have ended, and all effects before it went well.
ToolCallState* next_effect(Execution& execution) {
  for (const ToolCallState& call : execution.calls) {
    if (!tools::changes_world(call.effect) && !call.ended) return nullptr;
  }
  for (ToolCallState& call : execution.calls) {
    if (!tools::changes_world(call.effect)) continue;
    if (!call.ended) return &call;
    if (stopped(call)) return nullptr;
  }
  return nullptr;
}

}  // namespace

void Run::State::want_model(Execution& execution) {
  execution.phase = Phase::kModelWanted;
  outbox.push_back(ModelCall{execution.key(execution.turn, execution.sending), execution.step->id});
}

void Run::State::take_answer(Execution& execution, const v1::ModelCallEnded& answer) {
  execution.text = answer.text();
  execution.cut = answer.cut();
  execution.calls.clear();
  if (answer.calls().empty()) {
    execution.phase = Phase::kAnswered;
    return;
  }
  execution.phase = Phase::kTools;
  const std::vector<std::string>& allowed = std::get<workflows::PromptBody>(execution.step->body).agent.tools;
  for (const v1::RequestedCall& call : answer.calls()) {
    execution.calls.push_back(plan_call(execution, &allowed, call.tool(), call.wire_name(), call.arguments()));
  }
  issue_tools(execution);
}

// Puts the calls that may run now into the outbox, or the next turn where all have ended.
void Run::State::issue_tools(Execution& execution) {
  if (execution.closing) return;
  for (ToolCallState& call : execution.calls) {
    if (!tools::changes_world(call.effect) && call.refusal.empty() && !call.commanded) command_tool(execution, call);
  }
  if (ToolCallState* effect = next_effect(execution)) {
    const bool stays = recorded(*effect) != nullptr || was_abandoned(*effect) || is_held_back(*effect);
    if (effect->refusal.empty() && !effect->commanded && !stays) command_tool(execution, *effect);
  }
  if (execution.step->kind != workflows::StepKind::kPrompt) return;
  if (!std::ranges::all_of(execution.calls, [](const ToolCallState& call) { return call.ended; })) return;
  if (execution.turn >= std::get<workflows::PromptBody>(execution.step->body).agent.turns) {
    execution.phase = Phase::kTurnsSpent;
    return;
  }
  ++execution.turn;
  execution.sending = 1;
  execution.calls.clear();
  want_model(execution);
}

std::optional<v1::Event> Run::State::decide_execution(const SlotRef& at) {
  Execution& execution = *at.slot().execution;
  const Step& step = *execution.step;
  const auto give_up = [&](v1::Failure failure, Again again) {
    v1::StepResult result;
    result.set_status(v1::STEP_STATUS_FAILED);
    *result.mutable_failure() = std::move(failure);
    // What an agent has begun to do to the world is not begun afresh, nor what a tool has done.
    const bool fresh = step.kind == workflows::StepKind::kPrompt ? !execution.effect_started : !has_recorded(execution);
    return finish(at, std::move(result), fresh ? again : Again::kNever);
  };
  const bool attempts_left = at.slot().used < step.retry.attempts && !cancelling;
  if (auto event = decide_doubts(execution, attempts_left ? Next::kAttempt : Next::kNone)) return event;
  if (execution.inner) {
    if (auto event = decide_finally(*execution.inner, &execution)) return event;
  }
  const bool done = execution.phase == Phase::kToolDone && has_recorded(execution);
  if (execution.closing && !(done && execution.failure.kind() == v1::ERROR_KIND_TIMED_OUT)) {  // Late is done.
    if (!settled(execution)) return std::nullopt;
    return give_up(execution.failure, Again::kMay);
  }
  switch (execution.phase) {
    case Phase::kModelFailed: return decide_model_failure(at);
    case Phase::kFailed: return give_up(execution.failure, Again::kNever);
    case Phase::kTurnsSpent: {
      const auto turns = std::get<workflows::PromptBody>(step.body).agent.turns;
      return give_up(
          failed(v1::ERROR_KIND_TURNS, fmt::format("the agent did not answer within {} turns", turns)).failure(),
          Again::kMay);
    }
    case Phase::kTools: return decide_tools(execution);
    case Phase::kAnswered: {
      v1::StepResult result = answer_result(execution);
      const Again again = execution.effect_started ? Again::kNever : Again::kMay;
      return finish(at, std::move(result), again);
    }
    case Phase::kToolDone: {
      const ToolCallState& call = execution.calls.front();
      if (call.outcome == v1::TOOL_OUTCOME_SKIPPED) {
        v1::StepResult result;
        result.set_status(v1::STEP_STATUS_SKIPPED);
        result.set_reason("in_doubt");
        return finish(at, std::move(result), Again::kNever);
      }
      if (call.outcome != v1::TOOL_OUTCOME_DONE && call.outcome != v1::TOOL_OUTCOME_REUSED) {
        auto why = contents.bytes(execution.tool_output);
        const bool refused = call.outcome == v1::TOOL_OUTCOME_REFUSED;
        return give_up(
            failed(refused ? v1::ERROR_KIND_INPUT : v1::ERROR_KIND_TOOL_FAILED, why ? **why : why.error().message)
                .failure(),
            refused || call.resolution == v1::RESOLUTION_RETRY ? Again::kNever : Again::kMay);
      }
      if (step.output.is_any()) return finish(at, outcome(execution.tool_output), Again::kNever);
      const auto value = json(execution.tool_output);
      auto valid = value ? step.output.validate(**value, "output", budget) : Result<Json>(value.error());
      return finish(at, outcome(store(valid), v1::ERROR_KIND_INVALID_OUTPUT), Again::kNever);
    }
    case Phase::kWaiting:
    case Phase::kMet:
    case Phase::kExpired: return decide_waiting(at);
    case Phase::kGroup:
      if (!execution.inner->all_ended()) return std::nullopt;
      return finish(at, scope_result(*execution.inner), Again::kMay);
    case Phase::kModelWanted:
    case Phase::kModelInFlight:
    case Phase::kModelBackoff: return std::nullopt;
  }
  return std::nullopt;
}

std::optional<v1::Event> Run::State::decide_model_failure(const SlotRef& at) {
  const Slot& slot = at.slot();
  const Execution& execution = *slot.execution;
  const Step& step = *execution.step;
  const v1::ModelCallFailed& failure = execution.model_failure;
  const bool lost = failure.failure() == "lost";
  if (lost ||
      (failure.retryable() && slot.used < step.retry.attempts && retries(step.retry, v1::ERROR_KIND_MODEL_FAILED))) {
    v1::Event event = draft(execution.path, execution.attempt, execution.turn, execution.sending);
    v1::ModelCallRepeated& again = *event.mutable_model_call_repeated();
    const std::int64_t wait =
        lost ? 0 : workflows::backoff(step.retry, slot.used, identity.run_id() + execution.path).count();
    again.set_at_us(at_us + std::max(wait, std::min(failure.retry_after_us(), kRetryAfterUsMax)));
    again.set_because(failure.failure());
    return event;
  }
  v1::StepResult result =
      failed(v1::ERROR_KIND_MODEL_FAILED, fmt::format("{}: {}", failure.failure(), failure.message()), slot.used);
  return finish(at, std::move(result), Again::kNever);
}

// Calls that end without leaving: refused ones, and those whose result is recorded.
std::optional<v1::Event> Run::State::decide_tools(Execution& execution) {
  const ToolCallState* effect = next_effect(execution);
  const bool stop = std::ranges::any_of(
      execution.calls, [](const ToolCallState& call) { return tools::changes_world(call.effect) && stopped(call); });
  for (std::uint32_t i = 0; i < execution.calls.size(); ++i) {
    const ToolCallState& call = execution.calls[i];
    if (call.ended || call.commanded || call.started || call.in_doubt) continue;
    const bool changes = tools::changes_world(call.effect);
    std::string sentence = call.refusal;
    const bool abandoned = changes && recorded(call) == nullptr && was_abandoned(call);
    if (abandoned) sentence = "not run again: an identical call of this step is in doubt, and may have been done";
    if (changes && stop) sentence = "not run: an earlier call of this turn that changes the world did not succeed";
    if (changes && !stop && &call != effect) continue;
    v1::Event event = draft(execution.path, execution.attempt, execution.turn, i + 1);
    v1::ToolCallEnded& over = *event.mutable_tool_call_ended();
    over.set_tool(call.tool);
    if (sentence.empty()) {
      if (const v1::Content* known = changes ? recorded(call) : nullptr) {
        over.set_outcome(v1::TOOL_OUTCOME_REUSED);
        *over.mutable_output() = *known;
        return event;
      }
      if (!changes || !is_held_back(call)) continue;
      if (effects.asks_before_effects()) {
        v1::ToolCallInDoubt& asks = *event.mutable_tool_call_in_doubt();
        asks.set_tool(call.tool);
        asks.set_asked(true);
        asks.set_why(fmt::format("this run is a fork: {} may have been done by its source already", call.tool));
        return event;
      }
      sentence = fmt::format("{}: not run, since this fork refuses calls that change the world", call.tool);
    }
    const bool skipped = abandoned && !stop && call.policy->on_doubt != workflows::OnDoubt::kFail;
    over.set_outcome(skipped ? v1::TOOL_OUTCOME_SKIPPED : v1::TOOL_OUTCOME_REFUSED);
    auto put = contents.put(std::move(sentence));
    if (put) *over.mutable_output() = *std::move(put);
    return event;
  }
  return std::nullopt;
}

v1::StepResult Run::State::answer_result(const Execution& execution) {
  const Step& step = *execution.step;
  v1::StepResult result;
  *result.mutable_text() = execution.text;
  result.set_limited(execution.cut);
  result.set_status(v1::STEP_STATUS_SUCCEEDED);
  if (step.output.is_any()) return result;
  auto text = contents.bytes(execution.text);
  if (!text) return failed(v1::ERROR_KIND_INTERNAL, text.error().message, execution.attempt);
  auto value = step.asks_for_json() ? parse_fenced(**text, budget) : Result<Json>(Json(**text));
  if (value) value = step.output.validate(*std::move(value), "output", budget);
  if (value) {
    auto put = store(value);
    if (put) *result.mutable_output_json() = *std::move(put);
    if (put) return result;
    value = std::move(put).error();
  }
  const std::string_view cut = execution.cut ? " (the answer was cut off by its limit on tokens)" : "";
  return failed(v1::ERROR_KIND_INVALID_OUTPUT,
                fmt::format("the answer does not fit its shape: {}{}", value.error().message, cut));
}

}  // namespace weft::run
