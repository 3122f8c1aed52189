// A call in doubt: its intent is recorded and its result is not, so nobody knows whether it was done. Its effect
// decides, then `verify`, then `on_doubt`, then somebody.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/run/state.h"
#include "workflows/path.h"

namespace weft::run {
namespace {

using workflows::OnDoubt;

// How often a call is sent that may be sent again, where its step does not say more.
constexpr std::uint32_t kSendingsMax = 3;
constexpr std::int64_t kVerifyAgainUs = 2'000'000;  // Before the second time; twice as long before the third.

}  // namespace

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
  return VerifyCall{execution.key(execution.turn, execution.number_of(call)), call.policy->verify->tool, call.key,
                    at_us + wait};
}

Result<v1::Content> Run::State::question(const CallKey& key) {
  const Execution* execution = execution_of(key);
  const ToolCallState* call = execution != nullptr ? execution->call_at(key.turn, key.call) : nullptr;
  if (call == nullptr || !call->verifying)
    return not_found(fmt::format("nothing is asked about a call at {}", key.path));
  const std::string path = workflows::call_path(execution->path, execution->attempt, execution->turn, key.call);
  return counterpart_args(*call->policy->verify, call->arguments, call->key, path, nullptr);
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
      const bool open = !execution.closing || (next == Next::kAttempt && execution.may_reopen());
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
