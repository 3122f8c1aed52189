// From how an attempt, a round or a fan-out went to the one event that says so: again, or over.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "base/bytes.h"
#include "runtime/run/environment.h"
#include "runtime/run/state.h"

namespace weft::run {

using workflows::Step;

constexpr std::size_t kBytesPerUnit = 2;  // Of the budget of a decision: what is written as JSON and hashed.

v1::Event Run::State::finish(const SlotRef& at, v1::StepResult result, Again again) {
  const Step& step = definition(*this, at);
  const Slot& slot = at.slot();
  if (result.status() == v1::STEP_STATUS_FAILED) {
    result.mutable_failure()->set_attempts(slot.used);
    const bool more =
        again == Again::kMay && slot.used < step.retry.attempts && retries(step.retry, result.failure().kind());
    if (more) {
      const std::string path = slot_path(at);
      v1::Event event = draft(path, slot.attempt);
      *event.mutable_attempt_failed()->mutable_failure() = result.failure();
      event.mutable_attempt_failed()->set_retry_at_us(
          at_us + workflows::backoff(step.retry, slot.used, identity.run_id() + path).count());
      return event;
    }
  }
  return step.repeat ? end_round(at, std::move(result)) : end_slot(at, std::move(result));
}

v1::Event Run::State::end_round(const SlotRef& at, v1::StepResult result) {
  const Step& step = definition(*this, at);
  const Slot& slot = at.slot();
  result.set_iteration(slot.round);
  v1::Event event = draft(slot_path(at), slot.attempt);
  v1::RoundVerdict verdict = v1::ROUND_VERDICT_STOPPED;
  if (result.status() == v1::STEP_STATUS_SUCCEEDED) {
    StateEnvironment environment(*this, at);
    environment.show_round(result);
    const bool readable =
        std::ranges::none_of(step.repeat->until.mentions(), [&](const workflows::MentionChain& chain) {
          return std::ranges::any_of(chain.mentions, [&](const workflows::Mention& mention) {
            if (mention.previous) return false;
            const v1::StepStatus status = environment.status_of(mention.step);
            return status == v1::STEP_STATUS_SKIPPED || status == v1::STEP_STATUS_ABSTAINED ||
                   status == v1::STEP_STATUS_CANCELLED;
          });
        });
    if (readable) {
      auto met = step.repeat->until.evaluate_bool(environment);
      if (Status fault = environment.take_fault(); !fault) met = std::move(fault).error();
      if (!met) {
        result = failed(v1::ERROR_KIND_EXPRESSION, met.error().message, slot.used);
        result.set_iteration(slot.round);
      } else if (*met) {
        verdict = v1::ROUND_VERDICT_MET;
      } else {
        const workflows::Repeat& repeat = *step.repeat;
        const bool may_ask =
            repeat.otherwise == workflows::Repeat::Else::kAsk && (slot.allowances + 1) * repeat.at_most <= kRoundsMax;
        verdict = slot.round < slot.allowances * repeat.at_most ? v1::ROUND_VERDICT_AGAIN
                  : may_ask                                     ? v1::ROUND_VERDICT_ASK
                                                                : v1::ROUND_VERDICT_EXHAUSTED;
      }
      const auto full = verdict == v1::ROUND_VERDICT_AGAIN ? refuse_more(1) : std::nullopt;
      if (full) {
        verdict = v1::ROUND_VERDICT_STOPPED;
        result = failed(v1::ERROR_KIND_EXPRESSION, fmt::format("repeat of `{}`: {}", step.name, *full), slot.used);
        result.set_iteration(slot.round);
      }
    }
  }
  event.mutable_round_ended()->set_verdict(verdict);
  *event.mutable_round_ended()->mutable_result() = std::move(result);
  return event;
}

v1::Event Run::State::end_slot(const SlotRef& at, v1::StepResult result) {
  const Step& step = definition(*this, at);
  if (!step.for_each) return end_step(at, std::move(result));
  v1::Event event = draft(slot_path(at), at.slot().attempt);
  event.mutable_element_ended()->set_index(at.index);
  *event.mutable_element_ended()->mutable_result() = std::move(result);
  return event;
}

v1::Event Run::State::end_step(const SlotRef& at, v1::StepResult result) {
  const Step& step = definition(*this, at);
  if (result.status() == v1::STEP_STATUS_FAILED && step.on_error.kind == workflows::OnError::Kind::kUse) {
    StateEnvironment environment(*this, at.scope, at.position);
    auto value = step.on_error.use->evaluate(environment);
    if (Status fault = environment.take_fault(); !fault) value = std::move(fault).error();
    const auto put = store(value);
    if (put) *result.mutable_output_json() = *put;
    if (!put) result = failed(v1::ERROR_KIND_EXPRESSION, put.error().message);
  }
  v1::Event event = draft(at.scope.prefix + step.name);
  *event.mutable_step_ended()->mutable_result() = std::move(result);
  return event;
}

v1::Event Run::State::end_fan_out(const SlotRef& at) {
  const Step& step = definition(*this, at);
  const StepState& state = at.step();
  v1::StepResult result;
  std::string list = "[";
  for (const Slot& slot : state.slots) {
    const v1::StepResult& element = slot.result;
    result.set_limited(result.limited() || element.limited());
    const bool lost = element.status() == v1::STEP_STATUS_FAILED && !has_output(element);
    if (lost && step.for_each->on_item_error == workflows::ForEach::OnError::kDrop) continue;
    if (list.size() > 1) list += ',';
    if (!has_output(element)) {
      list += "null";
      continue;
    }
    auto output = value(element);
    if (!output) return end_step(at, failed(v1::ERROR_KIND_INTERNAL, output.error().message));
    const std::size_t before = list.size();
    list += to_text(**output);
    if (!budget->spend((list.size() - before) / kBytesPerUnit))
      return end_step(at, failed(v1::ERROR_KIND_EXPRESSION, budget->error().message));
  }
  const bool limited_element = result.limited();
  result = outcome(contents.put(list + "]"));
  result.set_limited(limited_element);
  return end_step(at, std::move(result));
}

// What a scope comes to once all its steps have ended.
v1::StepResult Run::State::scope_result(Scope& scope) {
  v1::StepResult result;
  if (scope.body_result) {
    result = *scope.body_result;
    if (!scope.finally_failure || result.status() == v1::STEP_STATUS_FAILED) return result;
    result.Clear();
    result.set_status(v1::STEP_STATUS_FAILED);
    *result.mutable_failure() = *scope.finally_failure;
    return result;
  }
  if (scope.failure) {
    result.set_status(v1::STEP_STATUS_FAILED);
    *result.mutable_failure() = *scope.failure;
    return result;
  }
  const std::span<const StepState> steps(scope.steps.data(), scope.definition->finally_from);
  for (const StepState& step : steps) result.set_limited(result.limited() || step.result.limited());
  const bool all_skipped =
      std::ranges::all_of(steps, [](const StepState& step) { return step.result.status() == v1::STEP_STATUS_SKIPPED; });
  const StepState& last = steps.back();
  if (scope.parent != nullptr && all_skipped) {
    result.set_status(v1::STEP_STATUS_SKIPPED);
    result.set_reason(last.result.reason());
    return result;
  }
  if (!scope.definition->returns) {
    const v1::StepStatus status = last.result.status();
    const bool passed_on =
        status == v1::STEP_STATUS_ABSTAINED || (status == v1::STEP_STATUS_SKIPPED && scope.parent != nullptr);
    result.set_status(passed_on ? status : v1::STEP_STATUS_SUCCEEDED);
    result.set_reason(last.result.reason());
    if (last.result.has_output_json()) *result.mutable_output_json() = last.result.output_json();
    if (last.result.has_text()) *result.mutable_text() = last.result.text();
    return result;
  }
  StateEnvironment environment(*this, scope);
  for (const workflows::MentionChain& chain : scope.definition->returns->mentions()) {
    const workflows::Mention& mention = chain.mentions.front();
    if (chain.mentions.size() > 1 || mention.in_condition || mention.tolerant || mention.previous) continue;
    if (environment.status_of(mention.step) == v1::STEP_STATUS_ABSTAINED) {
      result.set_status(v1::STEP_STATUS_ABSTAINED);
      result.set_reason(mention.step);
      return result;
    }
  }
  auto value = scope.definition->returns->evaluate(environment);
  if (Status fault = environment.take_fault(); !fault) value = std::move(fault).error();
  const bool limited_step = result.limited();
  result = outcome(store(value));
  result.set_limited(limited_step);
  return result;
}

}  // namespace weft::run
