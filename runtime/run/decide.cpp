// What follows from the state: which steps start, are skipped or cancelled, and how the run ends.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/run/environment.h"
#include "runtime/run/state.h"
#include "workflows/path.h"

namespace weft::run {
namespace {

using workflows::Step;
using workflows::StepId;
using workflows::StepKind;

constexpr std::uint64_t kKeyUnits = 100;  // Of the budget of a decision: a key, beside what is evaluated for it.

// Evaluates with what names mean in `environment`; a fault of a content counts as a fault of the expression.
template <class Evaluate>
auto evaluated(const StateEnvironment& environment, Evaluate evaluate) -> decltype(evaluate()) {
  auto value = evaluate();
  if (Status fault = environment.take_fault(); !fault) return Error(std::move(fault).error());
  return value;
}

// At a character's end.
std::string cut(std::string text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xC0U) == 0x80U) --bytes_max;
  text.resize(bytes_max);
  return text;
}

v1::Event skipped(std::string path, std::string reason, std::string cause) {
  v1::Event event = draft(std::move(path));
  v1::StepEnded& ended = *event.mutable_step_ended();
  ended.mutable_result()->set_status(v1::STEP_STATUS_SKIPPED);
  ended.mutable_result()->set_reason(std::move(reason));
  ended.set_cause(std::move(cause));
  return event;
}

const StepState* state_of(const Run::State& run, const Scope& from, StepId id) {
  const workflows::ScopeId wanted = run.workflow->step(id).scope;
  for (const Scope* scope = &from; scope != nullptr; scope = scope->parent) {
    if (scope->definition->id == wanted) return &scope->steps[run.position[id]];
  }
  return nullptr;
}

// The start rule of docs/language.md, (a) to (c): why the step is skipped, or nothing.
std::optional<v1::Event> skip_by_graph(const Run::State& run, const Scope& scope, const Step& step,
                                       const std::string& path) {
  if (!step.switches.empty()) {
    const bool chosen = std::ranges::any_of(step.switches, [&](StepId id) {
      const StepState* state = state_of(run, scope, id);
      return state->result.status() == v1::STEP_STATUS_SUCCEEDED &&
             std::ranges::find(state->targets, step.name) != state->targets.end();
    });
    if (!chosen) return skipped(path, "switch", run.workflow->step(step.switches.front()).name);
  }
  for (const workflows::StrictChain& chain : step.strict) {
    if (std::ranges::none_of(chain, [&](StepId id) { return has_result(*state_of(run, scope, id)); })) {
      return skipped(path, "no_result", run.workflow->step(chain.front()).name);
    }
  }
  if (!step.needs.empty()) {
    const bool none_ran = std::ranges::all_of(step.needs, [&](StepId id) {
      const v1::StepStatus status = state_of(run, scope, id)->result.status();
      return status == v1::STEP_STATUS_SKIPPED || status == v1::STEP_STATUS_CANCELLED;
    });
    if (none_ran) return skipped(path, "needs", run.workflow->step(step.needs.front()).name);
  }
  return std::nullopt;
}

}  // namespace

std::optional<v1::Event> Run::State::decide(Budget& given) {
  budget = within = &given;
  auto event = decide_next();
  budget = within = nullptr;
  // What was drafted when it was over says that the work was left off, and nothing about the run.
  if (given.over()) return std::nullopt;
  return event;
}

std::optional<v1::Event> Run::State::decide_next() {
  if (ended || !top || paused) return std::nullopt;
  if (auto event = decide_due()) return event;
  if (left_off()) return std::nullopt;
  if (!top->steps_ended()) return std::nullopt;
  if (top->body_result) return top->all_ended() ? std::optional(run_end()) : std::nullopt;
  v1::Event end = run_end();
  const bool takes_back =
      end.run_ended().status() == v1::RUN_STATUS_FAILED || end.run_ended().status() == v1::RUN_STATUS_CANCELLED;
  if (takes_back && effects.next_undo() != nullptr) {
    if (auto event = decide_undo()) return event;
    if (!killing) return std::nullopt;
  }
  if (auto event = decide_finally(*top, nullptr)) return event;
  return end;
}

std::optional<v1::Event> Run::State::decide_finally(Scope& scope, const Execution* group) {
  if (!scope.definition->has_finally() || !scope.steps_ended() || scope.body_result || killing) return std::nullopt;
  v1::Event event = group != nullptr ? draft(group->path, group->attempt) : draft("");
  v1::StepResult& result = *event.mutable_finally_started()->mutable_result();
  if (group != nullptr && group->closing && group->failure.kind() != v1::ERROR_KIND_UNSPECIFIED) {
    result.set_status(v1::STEP_STATUS_FAILED);
    *result.mutable_failure() = group->failure;
  } else if (group != nullptr ? group->closing : cancelling) {
    result.set_status(v1::STEP_STATUS_CANCELLED);
  } else {
    result = scope_result(scope);
    if (group == nullptr) result.set_limited(limited || result.limited());
  }
  return event;
}

std::optional<v1::Event> Run::State::decide_step(const SlotRef& at) {
  Budget decision(kDecisionCostMax, nullptr, within, "decision_cost_max");
  budget = &decision;
  auto event = decide_at(at);
  budget = within;
  return event;
}

std::optional<v1::Event> Run::State::decide_at(const SlotRef& at) {
  StepState& step = at.step();
  if (step.phase == StepState::Phase::kEnded) return std::nullopt;
  if (step.closing) {
    for (const Slot& open : step.slots) {
      if (!open.execution) continue;
      if (auto event = decide_doubts(*open.execution, Next::kNone)) return event;
      if (open.execution->inner) {
        if (auto event = decide_finally(*open.execution->inner, open.execution.get())) return event;
      }
      if (!grace_over) continue;
      if (auto event = give_up_waiting(*open.execution)) return event;
    }
    if (!settled(step)) return std::nullopt;
    v1::StepResult result;
    if (step.failing) {
      result.set_status(v1::STEP_STATUS_FAILED);
      *result.mutable_failure() = *step.failing;
    } else {
      result.set_status(v1::STEP_STATUS_CANCELLED);
      result.set_reason(cancelling ? "cancel" : at.scope.closing ? "scope_failed" : "join");
    }
    return end_step(at, std::move(result));
  }
  if (step.phase == StepState::Phase::kPending) return decide_start(at);
  if (at.index < step.slots.size()) {
    if (auto event = decide_slot(at)) return event;
  }
  const auto& for_each = definition(*this, at).for_each;
  if (!for_each) return std::nullopt;
  while (step.next_slot < step.slots.size() && step.working < for_each->max_parallel) {
    // A slot that a decision has already moved on is passed over; the next one begins.
    if (step.slots[step.next_slot].phase == Slot::Phase::kIdle) {
      if (auto event = decide_slot({at.scope, at.position, step.next_slot})) return event;
      if (contents.failed()) return std::nullopt;
    }
    ++step.next_slot;
  }
  if (step.done == step.slots.size()) return end_fan_out(at);
  return std::nullopt;
}

std::optional<v1::Event> Run::State::decide_start(const SlotRef& at) {
  const Step& step = definition(*this, at);
  const auto fail = [&](const std::string& message, v1::ErrorKind kind = v1::ERROR_KIND_EXPRESSION) {
    return end_step(at, failed(kind, message));
  };
  std::optional<v1::Event> join;
  if (!is_ready(at, join)) return join;
  const std::string path = at.scope.prefix + step.name;
  if (auto event = skip_by_graph(*this, at.scope, step, path)) return event;

  StateEnvironment environment(*this, at.scope, at.position);
  if (step.when) {
    const auto holds = evaluated(environment, [&] { return step.when->evaluate_bool(environment); });
    if (!holds) return fail(holds.error().message);
    if (!*holds) return skipped(path, "when", step.when->text());
  }
  if (step.kind == StepKind::kSwitch) {
    const auto& body = std::get<workflows::SwitchBody>(step.body);
    const auto value = evaluated(environment, [&] { return body.value.evaluate(environment); });
    if (!value) return fail(value.error().message);
    const std::string match = value->is_string() ? value->get<std::string>() : to_text(*value);
    const std::vector<StepId>* targets = body.otherwise ? &*body.otherwise : nullptr;
    for (const workflows::SwitchCase& one : body.cases) {
      if (one.match == match) targets = &one.targets;
    }
    if (targets == nullptr)
      return fail(fmt::format("no case fits {} and there is no default", to_text(*value)), v1::ERROR_KIND_INPUT);
    v1::Event event = end_step(at, outcome(store(value)));
    event.mutable_step_ended()->set_chosen(match);
    for (const StepId id : *targets) event.mutable_step_ended()->add_targets(workflow->step(id).name);
    return event;
  }
  if (!step.for_each) return begin(at);

  auto items = evaluated(environment, [&] { return step.for_each->in.evaluate(environment); });
  if (!items) return fail(items.error().message);
  if (!items->is_array()) return fail(fmt::format("for_each: `{}` gave no list", step.for_each->in.text()));
  if (items->size() > kElementsMax)
    return fail(fmt::format("for_each: {} elements; the limit is {}", items->size(), kElementsMax));
  if (auto why = refuse_more(items->size())) return fail(fmt::format("for_each of `{}`: {}", step.name, *why));
  if (auto why = refuse_growth(items->size() * sizeof(Slot)))
    return fail(fmt::format("for_each of `{}`: {}", step.name, *why));
  v1::Event event = draft(path);
  v1::FanOutStarted& fan_out = *event.mutable_fan_out_started();
  fan_out.set_count(static_cast<std::uint32_t>(items->size()));
  auto put = contents.put(to_text(*items));
  if (!put) return fail(put.error().message);
  *fan_out.mutable_items_json() = *std::move(put);
  if (step.for_each->key) {
    if (auto fault = element_keys(at, *items, fan_out)) return end_step(at, *std::move(fault));
  }
  return event;
}

std::optional<v1::StepResult> Run::State::element_keys(const SlotRef& at, const Json& items,
                                                       v1::FanOutStarted& fan_out) {
  // The keys are read while the elements are not slots yet, so the step is dressed as a fan-out for the evaluation.
  const Step& step = definition(*this, at);
  StepState& state = at.step();
  state.items_json = std::shared_ptr<const Json>(std::shared_ptr<const Json>(), &items);  // Borrowed.
  std::unordered_map<std::string, std::uint32_t> seen;
  std::optional<v1::StepResult> fault;
  std::size_t bytes = 0;
  for (std::uint32_t i = 0; i < items.size() && !fault; ++i) {
    StateEnvironment environment(*this, {at.scope, at.position, i});
    const auto key = evaluated(environment, [&] { return step.for_each->key->evaluate(environment); });
    if (!key) {
      fault = failed(v1::ERROR_KIND_EXPRESSION, key.error().message);
      break;
    }
    if (!budget->spend(kKeyUnits)) fault = failed(v1::ERROR_KIND_EXPRESSION, budget->error().message);
    std::string text = workflows::encode_key(key->is_string() ? key->get<std::string>() : to_text(*key));
    const auto [found, fresh] = seen.emplace(text, i);
    if (!fresh) {
      fault = failed(v1::ERROR_KIND_EXPRESSION,
                     fmt::format("for_each: elements {} and {} have the same key \"{}\"", found->second, i, text));
    }
    bytes += text.size();
    if (bytes > kElementKeyBytesMax)
      fault = failed(v1::ERROR_KIND_EXPRESSION,
                     fmt::format("for_each: the keys of its elements have more than {} bytes", kElementKeyBytesMax));
    fan_out.add_keys(std::move(text));
  }
  state.items_json.reset();
  return fault;
}

std::optional<v1::Event> Run::State::decide_slot(const SlotRef& at) {
  Slot& slot = at.slot();
  switch (slot.phase) {
    case Slot::Phase::kIdle: return begin(at);
    case Slot::Phase::kWorking: return decide_execution(at);
    case Slot::Phase::kRoundOver: {
      v1::StepResult result = slot.result;
      const auto& repeat = *definition(*this, at).repeat;
      if (slot.verdict == v1::ROUND_VERDICT_EXHAUSTED) {
        using Else = workflows::Repeat::Else;
        if (repeat.otherwise == Else::kFail || (repeat.otherwise == Else::kAsk && slot.told_to_fail)) {
          result =
              failed(v1::ERROR_KIND_EXHAUSTED,
                     fmt::format("`{}` was not reached within {} rounds", repeat.until.text(), slot.round), slot.round);
        }
        result.set_exhausted(true);
        result.set_limited(true);
      }
      result.set_iteration(slot.round);
      return end_slot(at, std::move(result));
    }
    case Slot::Phase::kBackoff:
    case Slot::Phase::kAsking:
    case Slot::Phase::kDone: return std::nullopt;
  }
  return std::nullopt;
}

// Starts an attempt; a `set` step is over as soon as it begins.
std::optional<v1::Event> Run::State::begin(const SlotRef& at) {
  const Step& step = definition(*this, at);
  StepState& state = at.step();
  const bool fresh = state.slots.empty();
  if (fresh) state.slots = std::vector<Slot>(1);  // So that names find their round; undone below.
  if (fresh) state.slots[0].attempt = state.first_attempt;
  const Slot& slot = state.slots[at.index];
  const std::string path = slot_path(at);
  const std::uint32_t attempt = slot.attempt;

  v1::Event event = [&]() -> v1::Event {
    // What `finally` does has to be done.
    const std::size_t more = step.kind == StepKind::kGroup
                                 ? workflow->scopes[std::get<workflows::GroupBody>(step.body).scope].steps.size()
                                 : 0;
    const auto full = step.is_finally ? std::nullopt : refuse_growth(sizeof(Execution) + more * sizeof(StepState));
    if (full)
      return finish(at, failed(v1::ERROR_KIND_EXPRESSION, fmt::format("`{}`: {}", step.name, *full)), Again::kNever);
    StateEnvironment environment(*this, at);
    v1::Event begun = draft(path, attempt);
    v1::AttemptStarted& started = *begun.mutable_attempt_started();
    started.set_kind(kind_on_wire(step.kind));
    if (step.timeout && !workflows::is_waiting(step.kind)) started.set_timeout_us(step.timeout->count());
    if (step.deadline) started.set_deadline_us(step.deadline->count());
    if (step.label) {
      // What cannot be worded says why, and fails nothing.
      const auto label = evaluated(environment, [&] { return step.label->evaluate_text(environment); });
      started.set_label(cut(label ? *label : label.error().message, kLabelBytesMax));
    }
    if (step.kind == StepKind::kGroup) return begun;
    if (workflows::is_waiting(step.kind)) {
      auto waiting = begin_waiting(at, *started.mutable_input());
      if (!waiting) return finish(at, failed(v1::ERROR_KIND_EXPRESSION, waiting.error().message), Again::kNever);
      *started.mutable_waiting() = *std::move(waiting);
      return begun;
    }

    Result<v1::Content> given;
    if (step.kind == StepKind::kPrompt) {
      const auto& prompt = std::get<workflows::PromptBody>(step.body).prompt;
      auto text = evaluated(environment, [&] { return prompt.evaluate_text(environment); });
      if (text && step.asks_for_json()) {
        *text += "\n\nAnswer with one JSON value that fits this JSON Schema: " + to_text(step.output.schema());
      }
      given = text ? contents.put(*std::move(text)) : Result<v1::Content>(std::move(text).error());
    } else {
      const bool set = step.kind == StepKind::kSet;
      const auto& source =
          set ? std::get<workflows::SetBody>(step.body).value : std::get<workflows::ToolBody>(step.body).args;
      auto json = evaluated(environment, [&] { return source.evaluate(environment); });
      if (json && set) json = step.output.validate(*std::move(json), "output", budget);
      given = store(json);
      if (set) return finish(at, outcome(std::move(given)), Again::kNever);
    }
    if (!given) return finish(at, outcome(std::move(given)), Again::kNever);
    *started.mutable_input() = *std::move(given);
    return begun;
  }();
  if (fresh) state.slots.clear();
  return event;
}

v1::Event Run::State::run_end() {
  v1::Event event = draft("");
  v1::RunEnded& over = *event.mutable_run_ended();
  const v1::StepResult result = scope_result(*top);
  // What succeeds behind a retry takes nothing back, whatever could not be taken back before.
  const v1::StepStatus body_result = top->body_result ? top->body_result->status() : result.status();
  if (cancelling || body_result == v1::STEP_STATUS_FAILED || body_result == v1::STEP_STATUS_CANCELLED)
    over.set_undos_failed(effects.undos_failed());
  if (cancelling) {
    over.set_status(v1::RUN_STATUS_CANCELLED);
    return event;
  }
  switch (result.status()) {
    case v1::STEP_STATUS_FAILED:
      over.set_status(v1::RUN_STATUS_FAILED);
      *over.mutable_failure() = result.failure();
      return event;
    case v1::STEP_STATUS_ABSTAINED: over.set_status(v1::RUN_STATUS_ABSTAINED); return event;
    default: over.set_status(limited || result.limited() ? v1::RUN_STATUS_LIMITED : v1::RUN_STATUS_SUCCEEDED);
  }
  if (!has_output(result)) return event;
  const auto output = value(result);
  v1::StepResult stored = outcome(output ? contents.put(to_text(**output)) : Result<v1::Content>(output.error()));
  if (stored.has_failure()) over.set_status(v1::RUN_STATUS_FAILED);
  if (stored.has_failure()) over.mutable_failure()->Swap(stored.mutable_failure());
  if (stored.has_output_json()) over.mutable_output_json()->Swap(stored.mutable_output_json());
  return event;
}

}  // namespace weft::run
