// One call of a tool, from its plan to its end: what it is called with, its key, its intent and its result. What is
// done where it is not known whether it was done stands in doubt.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/run/state.h"
#include "workflows/path.h"

namespace weft::run {
namespace {

constexpr std::uint32_t kVerificationsMax = 3;

// The same arguments in another order are the same arguments.
Json sorted(const Json& value) {
  if (value.is_array()) {
    Json list = Json::array();
    for (const Json& item : value) list.push_back(sorted(item));
    return list;
  }
  if (!value.is_object()) return value;
  std::vector<const Json::object_t::value_type*> members;
  for (const auto& member : value.get_ref<const Json::object_t&>()) members.push_back(&member);
  std::ranges::sort(members, {}, [](const auto* member) -> const std::string& { return member->first; });
  Json object = Json::object();
  for (const auto* member : members) object[member->first] = sorted(member->second);
  return object;
}

EffectLedger::Where where_of(const Run::State& run, const Execution& execution) {
  return run.workflow->in_finally(execution.step->id) ? EffectLedger::Where::kFinally : EffectLedger::Where::kSteps;
}

// Of a call that left, what is recorded holds, whatever this server offers now and as what.
void take_recorded(Run::State& run, const Execution& execution, ToolCallState& call,
                   const v1::ToolCallStarted& started) {
  call.commanded = true;
  if (started.effect() != v1::TOOL_EFFECT_UNSPECIFIED)
    call.effect = static_cast<tools::Effect>(static_cast<int>(started.effect()) - 1);
  if (Run::State::is_planned(call, started)) return;
  // This server does not offer the tool, or not for these arguments.
  call.refusal.clear();
  call.tool = started.tool();
  if (call.policy == nullptr) call.policy = &unknown_policy();
  if (started.has_arguments()) call.arguments = started.arguments();
  if (const auto arguments = run.json(call.arguments)) run.identify(execution, call, **arguments);
}

void call_again(Run::State& run, Execution& execution, ToolCallState& call, std::int64_t due_us) {
  call.end_doubt();
  call.started = false;
  call.commanded = false;
  if (due_us <= run.at_us) return run.issue_tools(execution);
  call.commanded = true;
  call.resend_due_us = due_us;
  run.outbox.push_back(
      StartTimer{execution.key(execution.turn, execution.number_of(call)), v1::TIMER_KIND_RESEND, due_us});
}

// The intent is recorded: the call leaves, and may be done from now on.
void call_started(Run::State& run, Execution& execution, ToolCallState& call, const v1::Event& event) {
  const v1::ToolCallStarted& started = event.tool_call_started();
  take_recorded(run, execution, call, started);
  if (call.in_doubt) call.end_doubt();
  call.started = true;
  ++call.sendings;
  if (!tools::changes_world(call.effect)) return;
  execution.effect_started = true;
  if (!started.key().empty()) call.key = started.key();
  run.effects.record_intent(call.identity, event.at_us(), where_of(run, execution));
  if (call.policy != nullptr && call.policy->key) run.effects.take_key(call.key, call.payload);
}

void call_in_doubt(Run::State& run, const Execution& execution, ToolCallState& call,
                   const v1::ToolCallInDoubt& in_doubt) {
  call.in_doubt = true;
  call.lost = in_doubt.lost();
  call.doubt = in_doubt.why();
  call.asked = in_doubt.asked();
  call.verifying = call.policy != nullptr && call.policy->verify.has_value() && !run.killing && !call.asked;
  call.verifications = 0;
  if (call.verifying) run.outbox.push_back(run.verify_call(execution, call));
}

void call_verified(Run::State& run, const Execution& execution, ToolCallState& call,
                   const v1::ToolCallVerified& verified) {
  // It is asked a few times; then as where there is nobody to ask.
  call.verifying = verified.verdict() == v1::VERDICT_UNKNOWN && ++call.verifications < kVerificationsMax;
  if (call.verifying) run.outbox.push_back(run.verify_call(execution, call));
  if (verified.verdict() == v1::VERDICT_UNKNOWN) return;
  // Again, or failed where it has been sent often enough: a decision.
  call.resolution = v1::RESOLUTION_RETRY;
  if (verified.verdict() == v1::VERDICT_NOT_DONE && !execution.closing) return;
  const bool done = verified.verdict() == v1::VERDICT_DONE;
  call.resolution = done ? v1::RESOLUTION_DONE : v1::RESOLUTION_SKIP;
  call.nothing_done = !done;
  call.resolved = verified.output_json();
}

void call_resolved(Run::State& run, Execution& execution, ToolCallState& call, const v1::ToolCallResolved& resolved) {
  if (resolved.resolution() == v1::RESOLUTION_UNKNOWN) return;
  call.verifying = false;
  if (resolved.resolution() == v1::RESOLUTION_RETRY) {
    if (call.asked) run.effects.approve(call.identity);
    if (resolved.new_key()) run.effects.burn_key(call.identity);
    if (execution.closing) {
      execution.closing = false;
      execution.failure.Clear();
    }
    return call_again(run, execution, call, resolved.retry_at_us());
  }
  call.resolution = resolved.resolution();
  call.resolved = resolved.output_json();
  if (resolved.resolution() != v1::RESOLUTION_FAIL) return;
  run.effects.abandon(call.identity);
  call.ended = true;
  call.outcome = v1::TOOL_OUTCOME_FAILED;
  if (execution.closing) return;
  execution.failure.set_kind(v1::ERROR_KIND_IN_DOUBT);
  execution.failure.set_message(call.doubt);
  execution.phase = Execution::Phase::kFailed;
}

// What the call did to the world, for equal calls and for an undo.
void settle_effect(EffectLedger& effects, const Execution& execution, const ToolCallState& call,
                   const v1::Content& output, EffectLedger::Where where) {
  const bool done = call.outcome == v1::TOOL_OUTCOME_DONE;
  if (call.nothing_done) {
    effects.burn_key(call.identity);
  } else if (done && call.policy->repeatable) {
    effects.begin_next_generation(call.identity);
  } else if (done) {
    effects.record_result(call.identity, output);
  } else if (call.outcome == v1::TOOL_OUTCOME_SKIPPED) {
    effects.abandon(call.identity);
  }
  if (done && call.policy->undo && where == EffectLedger::Where::kSteps) {
    const std::uint32_t number = execution.number_of(call);
    effects.add_undoable({workflows::call_path(execution.path, execution.attempt, execution.turn, number), call.tool,
                          call.identity, call.key, call.arguments, output});
  }
}

void call_ended(Run::State& run, Execution& execution, ToolCallState& call, const v1::ToolCallEnded& end) {
  call.ended = true;
  call.in_doubt = false;
  call.verifying = false;
  call.outcome = end.outcome();
  call.nothing_done = end.nothing_done();
  if (tools::changes_world(call.effect) && call.policy != nullptr)
    settle_effect(run.effects, execution, call, end.output(), where_of(run, execution));
  if (execution.step->kind != workflows::StepKind::kTool) return run.issue_tools(execution);
  execution.tool_output = end.output();
  execution.phase = Execution::Phase::kToolDone;
}

}  // namespace

std::optional<Run::State::Facts> Run::State::facts_of(std::string_view tool) const {
  if (const workflows::Tool* own = workflow->tool(tool)) return Facts{own->policy, own->input};
  const auto offered = tools.find(tool);
  if (offered == tools.end()) return std::nullopt;
  return Facts{offered->second.policy, offered->second.input};
}

// Decides, from the call alone, whether it may run; a refusal is what the model reads.
ToolCallState Run::State::plan_call(const Execution& execution, const std::vector<std::string>* allowed,
                                    std::string_view tool, std::string_view wire_name, const v1::Content& arguments) {
  ToolCallState call;
  call.wire_name = wire_name;
  if (allowed != nullptr && (tool.empty() || std::ranges::find(*allowed, tool) == allowed->end())) {
    call.refusal = allowed->empty() ? fmt::format("there is no tool {}; you have no tools", printable(wire_name))
                                    : fmt::format("there is no tool {}; you have: {}", printable(wire_name),
                                                  fmt::join(*allowed, ", "));
    return call;
  }
  call.tool = tool;
  const auto facts = facts_of(tool);
  if (!facts) {
    call.refusal = fmt::format("the tool {} is not offered by this server", tool);
    return call;
  }
  call.effect = facts->policy.effect;
  auto bytes = contents.bytes(arguments);
  auto value = bytes ? parse_untrusted(**bytes) : Result<Json>(std::move(bytes).error());
  if (value) value = facts->input.validate(*std::move(value), "arguments");
  auto canonical = store(value);
  if (!canonical) {
    call.refusal = fmt::format("{}: {}", tool, canonical.error().message);
    return call;
  }
  call.policy = &facts->policy;
  call.arguments = *std::move(canonical);
  identify(execution, call, *value);
  return call;
}

void Run::State::identify(const Execution& execution, ToolCallState& call, const Json& arguments) const {
  const std::string text = to_text(sorted(arguments));
  call.identity = call_identity(identity.lineage(), workflows::without_attempts(execution.path), call.tool, text);
  call.key = call.identity;
  if (call.policy->key) call.payload = hash64(fmt::format("{}:{}{}", call.tool.size(), call.tool, text));
}

const workflows::ToolPolicy& unknown_policy() {
  static const workflows::ToolPolicy kPolicy;
  return kPolicy;
}

bool Run::State::is_planned(const ToolCallState& call, const v1::ToolCallStarted& started) {
  const v1::Content& recorded = started.arguments();
  const bool same = recorded.has_blob() == call.arguments.has_blob() &&
                    (recorded.has_blob() ? recorded.blob().sha256() == call.arguments.blob().sha256()
                                         : recorded.inline_() == call.arguments.inline_());
  return !call.identity.empty() && (same || !started.has_arguments());
}

const v1::Content* Run::State::recorded(const ToolCallState& call) const {
  if (call.policy == nullptr || call.policy->repeatable) return nullptr;
  return effects.result_of(call.identity);
}

bool Run::State::was_abandoned(const ToolCallState& call) const {
  return call.policy != nullptr && !call.policy->repeatable && effects.is_abandoned(call.identity);
}

bool Run::State::has_recorded(const Execution& execution) const {
  return std::ranges::any_of(execution.calls, [&](const ToolCallState& call) { return recorded(call) != nullptr; });
}

bool Run::State::is_held_back(const ToolCallState& call) const {
  return tools::changes_world(call.effect) && effects.is_held_back(call.identity);
}

// Gives the call the key under which it leaves now. A key that a workflow forms itself stands for one payload.
void Run::State::command_tool(Execution& execution, ToolCallState& call) {
  if (tools::changes_world(call.effect)) {
    call.key = effects.key_of(call.identity);
    if (call.policy->key) {
      auto args = json(call.arguments);
      auto key = args ? call.policy->key->evaluate_text(workflows::call_names(**args, call.key, "")) : args.error();
      if (!key || key->empty()) {
        call.refusal = fmt::format("{}: its idempotency_key {}", call.tool,
                                   key ? "is an empty text" : "cannot be formed: " + key.error().message);
        return;
      }
      if (effects.is_key_of_another(*key, call.payload)) {
        call.refusal = fmt::format("{}: the key \"{}\" was used in this run for other arguments", call.tool, *key);
        return;
      }
      call.key = *std::move(key);
    }
  }
  call.commanded = true;
  outbox.push_back(ToolCall{execution.key(execution.turn, execution.number_of(call)), call.tool, call.effect, call.key,
                            call.arguments});
}

bool Run::State::fits_call(const v1::Event& event, const Execution& execution) const {
  using Kind = v1::Event::KindCase;
  const ToolCallState* found = execution.call_at(event.turn(), event.call());
  if (found == nullptr || found->ended) return false;
  const ToolCallState& call = *found;
  switch (event.kind_case()) {
    case Kind::kToolCallStarted: return execution.may_leave(call);
    case Kind::kToolCallEnded: return execution.awaits_result(call);
    case Kind::kToolCallInDoubt: {
      const bool asks = event.tool_call_in_doubt().asked() && is_held_back(call) && !call.commanded;
      return (call.open_effect() || asks) && !call.in_doubt;
    }
    case Kind::kToolCallVerified: return call.verifying;
    case Kind::kToolCallResolved:
      return call.in_doubt && !is_settled(call) &&
             (!execution.closing || event.tool_call_resolved().resolution() != v1::RESOLUTION_RETRY ||
              execution.may_reopen());
    default: return call.resend_due_us > 0 && !execution.closing;  // TimerFired
  }
}

void Run::State::apply_to_call(Execution& execution, ToolCallState& call, const v1::Event& event) {
  switch (event.kind_case()) {
    case v1::Event::kToolCallStarted: return call_started(*this, execution, call, event);
    case v1::Event::kToolCallInDoubt: return call_in_doubt(*this, execution, call, event.tool_call_in_doubt());
    case v1::Event::kToolCallVerified: return call_verified(*this, execution, call, event.tool_call_verified());
    case v1::Event::kToolCallResolved: return call_resolved(*this, execution, call, event.tool_call_resolved());
    case v1::Event::kTimerFired:
      call.resend_due_us = 0;
      call.commanded = false;
      return issue_tools(execution);
    default: return call_ended(*this, execution, call, event.tool_call_ended());
  }
}

}  // namespace weft::run
