// One call of a tool, from its intent to its end: its key, what its instance did before, and the doubt where it is not
// known whether it was done.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/run/state.h"
#include "workflows/path.h"

namespace weft::run {
namespace {

using workflows::OnDoubt;

// How often a call is sent that may be sent again, where its step does not say more.
constexpr std::uint32_t kSendingsMax = 3;
constexpr std::uint32_t kVerificationsMax = 3;
constexpr std::int64_t kVerifyAgainUs = 2'000'000;  // Before the second time; twice as long before the third.

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

// A tool step whose time is over is not given up while it can be told what it did: the call leaves again.
bool may_reopen(const Execution& execution) {
  return execution.step->kind == workflows::StepKind::kTool && execution.failure.kind() == v1::ERROR_KIND_TIMED_OUT;
}

EffectLedger::Where where_of(const Run::State& run, const Execution& execution) {
  return run.workflow->in_finally(execution.step->id) ? EffectLedger::Where::kFinally : EffectLedger::Where::kSteps;
}

std::uint32_t number_of(const Execution& execution, const ToolCallState& call) {
  return static_cast<std::uint32_t>(&call - execution.calls.data()) + 1;
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

void Run::State::take_recorded(const Execution& execution, ToolCallState& call, const v1::ToolCallStarted& started) {
  call.commanded = true;
  if (started.effect() != v1::TOOL_EFFECT_UNSPECIFIED)
    call.effect = static_cast<tools::Effect>(static_cast<int>(started.effect()) - 1);
  if (is_planned(call, started)) return;
  // This server does not offer the tool, or not for these arguments.
  call.refusal.clear();
  call.tool = started.tool();
  if (call.policy == nullptr) call.policy = &unknown_policy();
  if (started.has_arguments()) call.arguments = started.arguments();
  if (const auto arguments = json(call.arguments)) identify(execution, call, **arguments);
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
  outbox.push_back(ToolCall{execution.key(execution.turn, number_of(execution, call)), call.tool, call.effect, call.key,
                            call.arguments});
}

bool Run::State::fits_call(const v1::Event& event, const Execution& execution) const {
  using Kind = v1::Event::KindCase;
  if (execution.turn != event.turn() || event.call() == 0 || event.call() > execution.calls.size()) return false;
  const ToolCallState& call = execution.calls[event.call() - 1];
  if (call.ended) return false;
  switch (event.kind_case()) {
    case Kind::kToolCallStarted:
      // Runs of older versions sent what was verified as not done again without a decision.
      return (!call.in_doubt || call.resolution == v1::RESOLUTION_RETRY) && (!call.open_effect() || call.in_doubt) &&
             !execution.closing;
    case Kind::kToolCallEnded:
      // A late answer settles a doubt, and what a fork asks may be answered when nobody waits for it any more.
      return !execution.closing || call.open_effect() || (call.in_doubt && call.asked);
    case Kind::kToolCallInDoubt: {
      const bool asks = event.tool_call_in_doubt().asked() && is_held_back(call) && !call.commanded;
      return (call.open_effect() || asks) && !call.in_doubt;
    }
    case Kind::kToolCallVerified: return call.verifying;
    case Kind::kToolCallResolved:
      return call.in_doubt && !is_settled(call) &&
             (!execution.closing || event.tool_call_resolved().resolution() != v1::RESOLUTION_RETRY ||
              may_reopen(execution));
    default: return call.resend_due_us > 0 && !execution.closing;  // TimerFired
  }
}

void Run::State::apply_to_call(Execution& execution, ToolCallState& call, const v1::Event& event) {
  switch (event.kind_case()) {
    case v1::Event::kToolCallStarted: {
      take_recorded(execution, call, event.tool_call_started());
      if (call.in_doubt) end_doubt(call);
      call.started = true;
      ++call.sendings;
      if (!tools::changes_world(call.effect)) return;
      execution.effect_started = true;
      if (!event.tool_call_started().key().empty()) call.key = event.tool_call_started().key();
      effects.record_intent(call.identity, event.at_us(), where_of(*this, execution));
      if (call.policy != nullptr && call.policy->key) effects.take_key(call.key, call.payload);
      return;
    }
    case v1::Event::kToolCallInDoubt:
      call.in_doubt = true;
      call.lost = event.tool_call_in_doubt().lost();
      call.doubt = event.tool_call_in_doubt().why();
      call.asked = event.tool_call_in_doubt().asked();
      call.verifying = call.policy != nullptr && call.policy->verify.has_value() && !killing && !call.asked;
      call.verifications = 0;
      if (call.verifying) outbox.push_back(verify_call(execution, call));
      return;
    case v1::Event::kToolCallVerified: {
      const v1::ToolCallVerified& verified = event.tool_call_verified();
      // It is asked a few times; then as where there is nobody to ask.
      call.verifying = verified.verdict() == v1::VERDICT_UNKNOWN && ++call.verifications < kVerificationsMax;
      if (call.verifying) outbox.push_back(verify_call(execution, call));
      if (verified.verdict() == v1::VERDICT_UNKNOWN) return;
      // Again, or failed where it has been sent often enough: a decision.
      call.resolution = v1::RESOLUTION_RETRY;
      if (verified.verdict() == v1::VERDICT_NOT_DONE && !execution.closing) return;
      const bool done = verified.verdict() == v1::VERDICT_DONE;
      call.resolution = done ? v1::RESOLUTION_DONE : v1::RESOLUTION_SKIP;
      call.nothing_done = !done;
      call.resolved = verified.output_json();
      return;
    }
    case v1::Event::kToolCallResolved: {
      const v1::ToolCallResolved& resolved = event.tool_call_resolved();
      if (resolved.resolution() == v1::RESOLUTION_UNKNOWN) return;
      call.verifying = false;
      if (resolved.resolution() == v1::RESOLUTION_RETRY) {
        if (call.asked) effects.approve(call.identity);
        if (resolved.new_key()) effects.burn_key(call.identity);
        if (execution.closing) {
          execution.closing = false;
          execution.failure.Clear();
        }
        return call_again(execution, call, resolved.retry_at_us());
      }
      call.resolution = resolved.resolution();
      call.resolved = resolved.output_json();
      if (resolved.resolution() != v1::RESOLUTION_FAIL) return;
      effects.abandon(call.identity);
      call.ended = true;
      call.outcome = v1::TOOL_OUTCOME_FAILED;
      if (execution.closing) return;
      execution.failure.set_kind(v1::ERROR_KIND_IN_DOUBT);
      execution.failure.set_message(call.doubt);
      execution.phase = Execution::Phase::kFailed;
      return;
    }
    case v1::Event::kTimerFired:
      call.resend_due_us = 0;
      call.commanded = false;
      return issue_tools(execution);
    default: break;
  }
  const v1::ToolCallEnded& end = event.tool_call_ended();
  call.ended = true;
  call.in_doubt = false;
  call.verifying = false;
  call.outcome = end.outcome();
  call.nothing_done = end.nothing_done();
  if (tools::changes_world(call.effect) && call.policy != nullptr) {
    const bool done = call.outcome == v1::TOOL_OUTCOME_DONE;
    if (call.nothing_done) {
      effects.burn_key(call.identity);
    } else if (done && call.policy->repeatable) {
      effects.begin_next_generation(call.identity);
    } else if (done) {
      effects.record_result(call.identity, end.output());
    } else if (call.outcome == v1::TOOL_OUTCOME_SKIPPED) {
      effects.abandon(call.identity);
    }
    if (done && call.policy->undo && where_of(*this, execution) == EffectLedger::Where::kSteps) {
      effects.add_undoable({workflows::call_path(execution.path, execution.attempt, execution.turn, event.call()),
                            call.tool, call.identity, call.key, call.arguments, end.output()});
    }
  }
  if (execution.step->kind != workflows::StepKind::kTool) return issue_tools(execution);
  execution.tool_output = end.output();
  execution.phase = Execution::Phase::kToolDone;
}

void Run::State::end_doubt(ToolCallState& call) {
  call.in_doubt = false;
  call.lost = false;
  call.asked = false;
  call.resolution = v1::RESOLUTION_UNSPECIFIED;
}

void Run::State::call_again(Execution& execution, ToolCallState& call, std::int64_t due_us) {
  end_doubt(call);
  call.started = false;
  call.commanded = false;
  if (due_us <= at_us) return issue_tools(execution);
  call.commanded = true;
  call.resend_due_us = due_us;
  outbox.push_back(
      StartTimer{execution.key(execution.turn, number_of(execution, call)), v1::TIMER_KIND_RESEND, due_us});
}

Result<v1::Content> Run::State::counterpart_args(const workflows::Counterpart& counterpart,
                                                 const v1::Content& arguments, const std::string& key,
                                                 const std::string& path, const v1::Content* output) {
  const auto facts = facts_of(counterpart.tool);
  if (!facts) return not_found(fmt::format("the tool {} is not offered by this server", counterpart.tool));
  WEFT_TRY(const std::shared_ptr<const Json> args, json(arguments));
  Json given = *args;
  if (counterpart.args) {
    workflows::NamedValues names = workflows::call_names(*args, key, path);
    if (output != nullptr) {
      WEFT_TRY(const std::shared_ptr<const Json> result, json(*output));
      names.set("output", *result);
    }
    names.spend_out_of(budget);
    WEFT_TRY(given, counterpart.args->evaluate(names));
  }
  return store(facts->input.validate(std::move(given), "arguments", budget));
}

Command Run::State::verify_call(const Execution& execution, const ToolCallState& call) const {
  const std::int64_t wait = call.verifications == 0 ? 0 : kVerifyAgainUs * call.verifications;
  return VerifyCall{execution.key(execution.turn, number_of(execution, call)), call.policy->verify->tool, call.key,
                    at_us + wait};
}

Result<v1::Content> Run::State::question(const CallKey& key) {
  const auto place = is_undo(key.path) ? std::nullopt : locate(key.path);
  const Execution* execution = is_undo(key.path) && undo ? undo->execution.get() : place ? place->execution : nullptr;
  const bool is_there = execution != nullptr && execution->attempt == key.attempt && execution->turn == key.turn &&
                        key.call > 0 && key.call <= execution->calls.size() && execution->calls[key.call - 1].verifying;
  if (!is_there) return not_found(fmt::format("nothing is asked about a call at {}", key.path));
  const ToolCallState& call = execution->calls[key.call - 1];
  const std::string path = workflows::call_path(execution->path, execution->attempt, execution->turn, key.call);
  return counterpart_args(*call.policy->verify, call.arguments, call.key, path, nullptr);
}

std::optional<v1::Event> Run::State::decide_doubts(const Execution& execution, Next next) const {
  for (std::uint32_t i = 0; i < execution.calls.size(); ++i) {
    const ToolCallState& call = execution.calls[i];
    if (!call.in_doubt || call.ended || call.policy == nullptr) continue;
    v1::Event event = draft(execution.path, execution.attempt, execution.turn, i + 1);
    const std::uint32_t sendings_max = std::max(kSendingsMax, execution.step->retry.attempts);
    const auto again = [&](v1::ResolvedBy by) {
      v1::ToolCallResolved& resolved = *event.mutable_tool_call_resolved();
      resolved.set_by(by);
      resolved.set_resolution(v1::RESOLUTION_RETRY);
      resolved.set_reason(call.doubt);
      const Duration wait =
          call.lost ? Duration(0)
                    : workflows::backoff(execution.step->retry, call.sendings, identity.run_id() + execution.path);
      resolved.set_retry_at_us(at_us + wait.count());
    };
    if (is_undone(call)) {
      if (!execution.closing && (call.lost || call.sendings < sendings_max)) {
        again(v1::RESOLVED_BY_VERIFY);
        return event;
      }
      v1::ToolCallEnded& over = *event.mutable_tool_call_ended();
      over.set_tool(call.tool);
      over.set_outcome(execution.closing ? v1::TOOL_OUTCOME_SKIPPED : v1::TOOL_OUTCOME_FAILED);
      over.set_nothing_done(true);
      const std::string who = call.policy->verify ? call.policy->verify->tool : "verify";
      over.mutable_output()->set_inline_(fmt::format("{} says that {} was not done, after {} sendings: {}", who,
                                                     call.tool, call.sendings, call.doubt));
      return event;
    }
    if (call.resolution != v1::RESOLUTION_UNSPECIFIED) {
      v1::ToolCallEnded& over = *event.mutable_tool_call_ended();
      over.set_tool(call.tool);
      if (call.resolution == v1::RESOLUTION_DONE) {
        over.set_outcome(v1::TOOL_OUTCOME_DONE);
        *over.mutable_output() = call.resolved;
      } else {
        over.set_outcome(v1::TOOL_OUTCOME_SKIPPED);
        over.set_nothing_done(call.nothing_done);
        over.mutable_output()->set_inline_("it goes on without this call: " + call.doubt);
      }
      return event;
    }
    if (call.verifying || call.asked) continue;
    const workflows::ToolPolicy& policy = *call.policy;
    const bool idempotent = call.effect == workflows::Effect::kIdempotent;
    const bool known_there = effects.is_key_known(call.identity, at_us, policy.key_ttl);
    if ((idempotent || policy.on_doubt == OnDoubt::kRetry) && known_there) {
      const bool open = !execution.closing || (next == Next::kAttempt && may_reopen(execution));
      if (open && (call.lost || call.sendings < sendings_max)) {
        again(idempotent ? v1::RESOLVED_BY_EFFECT : v1::RESOLVED_BY_ON_DOUBT);
        return event;
      }
    }
    if (policy.on_doubt != OnDoubt::kSkip && policy.on_doubt != OnDoubt::kFail) continue;
    v1::ToolCallResolved& resolved = *event.mutable_tool_call_resolved();
    resolved.set_by(v1::RESOLVED_BY_ON_DOUBT);
    resolved.set_resolution(policy.on_doubt == OnDoubt::kSkip ? v1::RESOLUTION_SKIP : v1::RESOLUTION_FAIL);
    resolved.set_reason(call.doubt);
    return event;
  }
  return std::nullopt;
}

std::optional<v1::Event> Run::State::give_up_waiting(const Execution& execution) const {
  for (std::uint32_t i = 0; i < execution.calls.size(); ++i) {
    const ToolCallState& call = execution.calls[i];
    if (!call.open_effect() || call.in_doubt) continue;
    v1::Event event = draft(execution.path, execution.attempt, execution.turn, i + 1);
    event.mutable_tool_call_in_doubt()->set_tool(call.tool);
    event.mutable_tool_call_in_doubt()->set_why(
        fmt::format("the run was {} while {} was under way, and it did not answer in time",
                    killing ? "killed" : "cancelled", call.tool));
    return event;
  }
  return std::nullopt;
}

}  // namespace weft::run
