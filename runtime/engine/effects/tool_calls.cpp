#include "runtime/engine/effects/tool_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "runtime/engine/effects/key_range.h"
#include "runtime/engine/event_at.h"
#include "workflows/path.h"

namespace weft::engine {
namespace {

constexpr int kGone[] = {404, 410};

// Null, false, no members, or no text but blanks: no body at all, too.
bool is_nothing(const Json& answer) {
  if (answer.is_string())
    return answer.get_ref<const std::string&>().find_first_not_of(" \t\r\n\v\f") == std::string::npos;
  return answer.empty() || answer == Json(false);
}

// What the answer of a `verify` tool says of the call: nothing in it, or "no such thing" is not done; {"done": BOOLEAN,
// "output": …} says it itself; anything else is the result of what was done.
v1::ToolCallVerified verdict_of(const tools::ToolReply& reply) {
  v1::ToolCallVerified verified;
  if (std::ranges::find(kGone, reply.http_status) != std::end(kGone)) {
    verified.set_verdict(v1::VERDICT_NOT_DONE);
    return verified;
  }
  const auto json = reply.status == tools::ToolStatus::kDone ? parse_untrusted(reply.output) : Result<Json>(Json());
  if (reply.status != tools::ToolStatus::kDone || !json) {
    verified.set_verdict(v1::VERDICT_UNKNOWN);
    verified.set_why(json ? reply.output : json.error().message);
    return verified;
  }
  const bool says_itself = json->is_object() && json->contains("done") && (*json)["done"].is_boolean();
  const bool done = says_itself ? (*json)["done"].get<bool>() : !is_nothing(*json);
  verified.set_verdict(done ? v1::VERDICT_DONE : v1::VERDICT_NOT_DONE);
  if (done) verified.mutable_output_json()->set_inline_(to_text(says_itself ? json->value("output", Json()) : *json));
  return verified;
}

}  // namespace

std::string ToolCalls::id_of(const run::CallKey& call) const {
  return port_.loaded().id + "/" + workflows::call_path(call.path, call.attempt, call.turn, call.call);
}

tools::Place ToolCalls::place_of(const std::string& tool) const {
  return executor_.place_of(tool, port_.loaded().run->workflow().tool(tool));
}

tools::ToolRequest ToolCalls::request_of(const run::CallKey& key, std::string tool, std::string arguments,
                                         std::string idempotency_key) const {
  tools::ToolRequest request{std::move(tool), std::move(arguments), std::move(idempotency_key), id_of(key)};
  const LoadedRun& loaded = port_.loaded();
  request.declared = loaded.run->workflow().tool(request.tool);
  request.may_leave = [&journal = world_.journal, partition = loaded.partition,
                       epoch = world_.claims.epoch(loaded.partition)] { return journal.may_send(partition, epoch); };
  return request;
}

// What limits the calls of the tool. An error: the arguments, by which they are limited, cannot be read.
Result<admission::Limits> ToolCalls::gates_of(const run::ToolCall& call) const {
  LoadedRun& loaded = port_.loaded();
  const workflows::Workflow& workflow = loaded.run->workflow();
  const workflows::Tool* own = workflow.tool(call.tool);
  if (own == nullptr) {
    return place_of(call.tool) == tools::Place::kThread ? world_.policy.limits_of_pooled_call() : admission::Limits();
  }
  if (own->concurrency.limit == 0) return admission::Limits();
  std::string key = fmt::format("{}/{}", workflow.name, own->name);
  if (own->concurrency.key) {
    WEFT_TRY(const auto arguments, loaded.contents.bytes(call.arguments));
    auto args = parse_untrusted(*arguments);
    auto text = args ? own->concurrency.key->evaluate_text(
                           workflows::call_names(*std::move(args), call.idempotency_key, id_of(call.key)))
                     : Result<std::string>(std::move(args).error());
    key += ":" + (text ? *text : std::string());
  }
  return world_.policy.limits_of_tool_call(key, own->concurrency.limit);
}

// The turn comes before the intent: what waits for one has not begun, and is not in doubt after a crash.
void ToolCalls::start(const run::ToolCall& call) {
  // The run was begun with it, and nobody else's tool takes its place.
  if (place_of(call.tool) == tools::Place::kNowhere)
    return port_.park(fmt::format("a server that offers the tool {}, as it was begun with", call.tool));
  auto limits = gates_of(call);
  if (!limits) return port_.cannot_carry_out(call, limits.error());
  auto permit = limits->empty() ? admission::Permit() : port_.take_permit(call.key, call, *std::move(limits), 0);
  if (permit) start_admitted(call, *std::move(permit));
}

void ToolCalls::start_admitted(const run::ToolCall& call, admission::Permit permit) {
  LoadedRun& loaded = port_.loaded();
  const auto arguments = loaded.contents.bytes(call.arguments);
  if (!arguments) return port_.cannot_carry_out(call, arguments.error());
  v1::Event event = event_at(call.key);
  v1::ToolCallStarted& started = *event.mutable_tool_call_started();
  started.set_tool(call.tool);
  started.set_effect(static_cast<v1::ToolEffect>(static_cast<int>(call.effect) + 1));
  started.set_key(call.idempotency_key);
  *started.mutable_arguments() = call.arguments;
  if (Status recorded = port_.try_record(std::move(event)); !recorded)
    return port_.cannot_carry_out(call, recorded.error());
  flights_[call.key] = {world_.now_us(), call.tool, call.effect, std::move(permit), 0, Counted(world_.tool_calls)};
  tools::ToolRequest request = request_of(call.key, call.tool, **arguments, call.idempotency_key);
  if (request.declared != nullptr && request.declared->concurrency.share)
    request.share = fmt::format("{}/{}:{}", loaded.run->workflow().hash, request.tool, request.arguments);
  Task leave = [this, key = call.key, request = std::move(request)]() mutable { this->leave(key, std::move(request)); };
  // A read changes nothing, so it need not wait for the disk; but a run that does not exist yet, or that stands still,
  // reads nothing either.
  const bool harmless = !tools::changes_world(call.effect) && port_.may_read_ahead();
  if (!harmless) return port_.when_durable(call.key, std::move(leave));
  if (place_of(call.tool) != tools::Place::kHere) {
    return port_.post([this, leave = std::move(leave)]() mutable {
      if (port_.owns()) leave();
    });
  }
  ++at_once_;
  port_.post([this, leave = std::move(leave)]() mutable { leave_at_once(std::move(leave)); });
}

// The result, and the intent of what follows from it, ride in the batch of the call that was asked for: one sync less.
void ToolCalls::leave_at_once(Task leave) {
  if (port_.is_away())
    return port_.when_here([this, leave = std::move(leave)]() mutable { leave_at_once(std::move(leave)); });
  --at_once_;
  leave();
  // Where nobody waited for the result any more, nothing advanced the run.
  if (!port_.is_away() && at_once_ == 0) port_.flush();
}

void ToolCalls::leave(const run::CallKey& key, tools::ToolRequest request) {
  const auto flight = flights_.find(key);
  if (flight == flights_.end()) return;
  const tools::Executor::Handle handle = executor_.start(
      std::move(request), while_alive(port_, [this, key](tools::ToolReply reply) { outcome(key, std::move(reply)); }));
  // Answered at once, the flight is over.
  if (handle != 0) flight->second.handle = handle;
}

void ToolCalls::outcome(const run::CallKey& key, tools::ToolReply reply) {
  const auto found = flights_.find(key);
  if (found == flights_.end()) return;
  if (port_.is_away()) {
    return port_.when_here([this, key, reply = std::move(reply)]() mutable { outcome(key, std::move(reply)); });
  }
  auto flight = flights_.extract(found);
  flight.mapped().permit = {};  // First: what follows from the result goes in line behind those who wait.
  flight.mapped().counted = {};
  const auto length = reply.output.size() > kLoopBytesMax ? RunPort::Length::kLong : RunPort::Length::kShort;
  port_.answer(length, [this, flight = std::move(flight), reply = std::move(reply)](LoadedRun& loaded) mutable {
    return ended(loaded, flight.key(), flight.mapped(), std::move(reply));
  });
}

v1::Event ToolCalls::ended(LoadedRun& loaded, const run::CallKey& key, const Flight& flight,
                           tools::ToolReply reply) const {
  v1::Event event = event_at(key);
  auto output = loaded.contents.put(std::move(reply.output));
  if (reply.status == tools::ToolStatus::kUnknown && tools::changes_world(flight.effect)) {
    event.mutable_tool_call_in_doubt()->set_tool(flight.tool);
    event.mutable_tool_call_in_doubt()->set_why(output && output->has_inline_() ? output->inline_()
                                                                                : "whether it was done is not known");
    return event;
  }
  v1::ToolCallEnded& ended = *event.mutable_tool_call_ended();
  ended.set_outcome(reply.status == tools::ToolStatus::kDone ? v1::TOOL_OUTCOME_DONE : v1::TOOL_OUTCOME_FAILED);
  ended.set_nothing_done(reply.status == tools::ToolStatus::kFailed);
  ended.set_total_us(world_.now_us() - flight.started_us);
  if (!output) {
    ended.set_outcome(v1::TOOL_OUTCOME_FAILED);
    ended.mutable_output()->set_inline_("its result is too large: " + output.error().message);
  } else {
    *ended.mutable_output() = *std::move(output);
  }
  return event;
}

v1::Event ToolCalls::lost(const run::ToolCall& call, std::string_view stopped) {
  v1::Event event = event_at(call.key);
  v1::ToolCallInDoubt& doubt = *event.mutable_tool_call_in_doubt();
  doubt.set_lost(true);
  doubt.set_tool(call.tool);
  doubt.set_why(
      fmt::format("{} between the intent of {} and its result; whether it was done is not known", stopped, call.tool));
  return event;
}

void ToolCalls::drop(const run::CallKey& attempt) {
  auto next = attempt.path.empty() ? flights_.begin() : flights_.lower_bound(first_of(attempt));
  while (next != flights_.end() && belongs_to(next->first, attempt)) {
    // One that may change the world.
    if (port_.loaded().run->awaits_result(next->first)) {
      ++next;
      continue;
    }
    executor_.cancel(next->second.handle);
    next = flights_.erase(next);
  }
}

void ToolCalls::verify(const run::VerifyCall& question) {
  ++asked_;
  // As timers are: where the wall clock was set back, what is due in a second is due in a second.
  const std::int64_t now_us = std::max(world_.now_us(), port_.loaded().run->last_at_us());
  const Duration wait(std::max<std::int64_t>(0, question.due_us - now_us));
  loop_.after(wait, while_alive(port_, [this, question] { ask(question); }));
}

void ToolCalls::ask(const run::VerifyCall& question) {
  if (port_.is_away()) return port_.when_here([this, question] { ask(question); });
  if (!port_.owns()) return;
  LoadedRun& loaded = port_.loaded();
  auto answered = while_alive(port_, [this, question, asked_us = world_.now_us()](tools::ToolReply reply) {
    verified(question, asked_us, std::move(reply));
  });
  const auto content = loaded.run->question(question.key);
  const auto arguments =
      content ? loaded.contents.bytes(*content) : Result<std::shared_ptr<const std::string>>(content.error());
  const bool unread = !arguments && (content || run::is_unread(content.error()));
  if (unread) {
    --asked_;
    return port_.cannot_carry_out(question, arguments.error());
  }
  if (!arguments) {
    return answered(
        tools::ToolReply{tools::ToolStatus::kFailed, "its question cannot be put: " + arguments.error().message});
  }
  (void)executor_.start(request_of(question.key, question.tool, **arguments, question.idempotency_key),
                        std::move(answered));
}

void ToolCalls::verified(const run::VerifyCall& question, std::int64_t asked_us, tools::ToolReply reply) {
  if (port_.is_away()) {
    return port_.when_here([this, question, asked_us, reply = std::move(reply)]() mutable {
      verified(question, asked_us, std::move(reply));
    });
  }
  --asked_;
  const std::int64_t total_us = world_.now_us() - asked_us;
  const bool large = reply.output.size() > kLoopBytesMax;
  const auto length = large ? RunPort::Length::kLong : RunPort::Length::kShort;
  port_.answer(length, [question, total_us, reply = std::move(reply)](LoadedRun& loaded) {
    v1::Event event = event_at(question.key);
    v1::ToolCallVerified& said = *event.mutable_tool_call_verified();
    said = verdict_of(reply);
    said.set_tool(question.tool);
    said.set_total_us(total_us);
    if (said.has_output_json()) {
      auto put = loaded.contents.put(said.output_json().inline_());
      if (put) *said.mutable_output_json() = *std::move(put);
    }
    return event;
  });
}

}  // namespace weft::engine
