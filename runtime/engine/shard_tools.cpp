// Calls of tools: on this thread, on the pool or over HTTP, behind the gate and within the places that they share; and
// the questions about those that are in doubt.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json.h"
#include "runtime/engine/shard.h"
#include "workflows/path.h"

namespace weft::engine {
namespace {

std::string id_of(const std::string& run_id, const run::CallKey& key) {
  return run_id + "/" + workflows::call_path(key.path, key.attempt, key.turn, key.call);
}

constexpr int kGone[] = {404, 410};

// What the answer of a `verify` tool says of the call: null, false, nothing in it, or "no such thing" is not done;
// {"done": BOOLEAN, "output": …} says it itself; anything else is the result of what was done.
v1::ToolCallVerified verdict_of(const tools::HttpToolReply& answer) {
  v1::ToolCallVerified verified;
  const tools::ToolReply& reply = answer.reply;
  if (std::ranges::find(kGone, answer.status) != std::end(kGone)) {
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
  const bool done = says_itself ? (*json)["done"].get<bool>() : !json->empty() && *json != Json(false);
  verified.set_verdict(done ? v1::VERDICT_DONE : v1::VERDICT_NOT_DONE);
  if (done) verified.mutable_output_json()->set_inline_(to_text(says_itself ? json->value("output", Json()) : *json));
  return verified;
}

}  // namespace

// The turn comes before the intent: what waits for one has not begun, and is not in doubt after a crash.
void Shard::call_tool(Active& active, const run::ToolCall& command) {
  const workflows::Tool* own = active.run->workflow().tool(command.tool);
  Gates gates;
  if (own != nullptr && own->concurrency.limit > 0) {
    std::string key = fmt::format("{}/{}", active.run->workflow().name, own->name);
    if (own->concurrency.key) {
      const auto arguments = contents_.bytes(command.arguments);
      auto args = arguments ? parse_untrusted(**arguments) : Result<Json>(arguments.error());
      auto text = args ? own->concurrency.key->evaluate_text(workflows::call_names(
                             *std::move(args), command.idempotency_key, id_of(active.id, command.key)))
                       : Result<std::string>(std::move(args).error());
      key += ":" + (text ? *text : std::string());
    }
    gates = world_.order.gates_of_tool_call(key, own->concurrency.limit);
  }
  const tools::Tool* offered = own == nullptr ? world_.tools.find(command.tool) : nullptr;
  if (offered != nullptr && !offered->is_instant()) gates = world_.order.gates_of_pooled_call();
  auto turn = gates.empty() ? Places::Turn() : take_turn(active, command.key, command, std::move(gates));
  if (turn) begin_tool(active, command, *std::move(turn));
}

void Shard::begin_tool(Active& active, const run::ToolCall& command, Places::Turn turn) {
  v1::Event event = event_at(command.key);
  v1::ToolCallStarted& started = *event.mutable_tool_call_started();
  started.set_tool(command.tool);
  started.set_effect(static_cast<v1::ToolEffect>(static_cast<int>(command.effect) + 1));
  started.set_key(command.idempotency_key);
  *started.mutable_arguments() = command.arguments;
  admit(active, std::move(event));
  auto arguments = contents_.bytes(command.arguments);
  if (!arguments) die(fmt::format("run {}: {}", active.id, arguments.error().message));
  active.tools[command.key] = {std::make_shared<tools::Cancelled>(false),
                               world_.clock.now().time_since_epoch().count(),
                               command.tool,
                               command.effect,
                               std::move(turn),
                               0,
                               Counted(world_.tool_calls)};
  tools::ToolRequest request{command.tool, **arguments, command.idempotency_key};
  Task leave = [this, run_id = active.id, key = command.key, request = std::move(request)]() mutable {
    run_tool(run_id, key, std::move(request));
  };
  // A read changes nothing, so it need not wait for the disk; but a run that does not exist yet, or that stands still,
  // reads nothing either.
  const bool harmless = !tools::changes_world(command.effect) && active.durable_seq > 0 && !active.frozen;
  if (!harmless) return when_durable(active, command.key, std::move(leave));
  const tools::Tool* tool = world_.tools.find(command.tool);
  if (tool == nullptr || !tool->is_instant()) {
    return loop_.post([this, run_id = active.id, leave = std::move(leave)]() mutable {
      if (Active* reading = find(run_id); reading != nullptr && owns(*reading)) leave();
    });
  }
  ++active.at_once;
  loop_.post([this, run_id = active.id, leave = std::move(leave)]() mutable { run_at_once(run_id, std::move(leave)); });
}

// The result, and the intent of what follows from it, ride in the batch of the call that was asked for: one sync less.
void Shard::run_at_once(const std::string& run_id, Task tool) {
  Active* active = find(run_id);
  if (active == nullptr) return;
  --active->at_once;
  tool();
  // Where nobody waited for the result any more, nothing advanced the run.
  active = find(run_id);
  if (active != nullptr && active->at_once == 0) flush(*active);
}

void Shard::run_tool(const std::string& run_id, const run::CallKey& key, tools::ToolRequest request) {
  Active* active = find(run_id);
  if (active == nullptr) return;
  const auto flight = active->tools.find(key);
  if (flight == active->tools.end()) return;
  const auto answered = [this, run_id, key](tools::HttpToolReply reply) {
    tool_outcome(run_id, key, std::move(reply.reply));
  };
  if (const workflows::Tool* own = active->run->workflow().tool(request.tool)) {
    if (own->concurrency.share) return share_request(*active, *own, key, request);
    const HttpClient::CallId call = this->request(*own, request, id_of(run_id, key), answered);
    // Answered at once, the flight is over.
    if (call != 0) flight->second.request = call;
    return;
  }
  tools::Tool* tool = world_.tools.find(request.tool);
  WEFT_CHECK(tool != nullptr, "a tool is called that is not there");
  if (tool->is_instant()) return tool_outcome(run_id, key, tool->run(request, *flight->second.cancelled));
  run_pooled(*tool, flight->second.cancelled, std::move(request), answered);
}

void Shard::run_pooled(tools::Tool& tool, std::shared_ptr<tools::Cancelled> cancelled, tools::ToolRequest request,
                       OnReply on_reply) {
  auto reply = std::make_shared<tools::ToolReply>();
  // A thread may be free only after a while, so it asks again.
  loop_.work(
      [&tool, reply, cancelled = std::move(cancelled), request = std::move(request), &journal = world_.journal,
       epoch = world_.epoch] {
        *reply = journal.owns(epoch) ? tool.run(request, *cancelled)
                                     : tools::ToolReply{tools::ToolStatus::kFailed, "the store has another owner"};
      },
      [reply, on_reply = std::move(on_reply)]() mutable { on_reply({std::move(*reply), 0}); });
}

HttpClient::CallId Shard::request(const workflows::Tool& tool, const tools::ToolRequest& request, const std::string& id,
                                  OnReply on_reply) {
  auto call = tools::make_http_call(tool, request, id, world_.secrets);
  if (!call) {
    on_reply({{tools::ToolStatus::kFailed, call.error().message}, 0});
    return 0;
  }
  // Two ways lead to an answer, and one of them only where the request could not even be begun.
  auto shared = std::make_shared<OnReply>(std::move(on_reply));
  auto sink = tools::make_http_sink(*call, [shared](tools::HttpToolReply reply) { (*shared)(std::move(reply)); });
  const auto started = http_.start(std::move(call->request), std::move(sink));
  if (started) return *started;
  (*shared)({{tools::ToolStatus::kFailed, started.error().message}, 0});
  return 0;
}

void Shard::share_request(Active& active, const workflows::Tool& tool, const run::CallKey& key,
                          const tools::ToolRequest& request) {
  const std::string name = fmt::format("{}/{}:{}", active.run->workflow().hash, tool.name, request.arguments);
  SharedFlight& shared = shared_[name];
  shared.waiting.emplace_back(active.id, key);
  if (shared.waiting.size() > 1) return;
  // It goes on where the first that asked is gone: others may have joined. What nobody waits for is small and harmless.
  this->request(tool, request, id_of(active.id, key), [this, name](tools::HttpToolReply reply) {
    const auto flight = shared_.extract(name);
    for (const auto& [run_id, waiting] : flight.mapped().waiting) tool_outcome(run_id, waiting, reply.reply);
  });
}

void Shard::tool_outcome(const std::string& run_id, const run::CallKey& key, tools::ToolReply reply) {
  Active* active = find(run_id);
  if (active == nullptr) return;
  const auto found = active->tools.find(key);
  if (found == active->tools.end()) return;
  ToolFlight flight = std::move(found->second);
  active->tools.erase(found);
  flight.turn = {};  // First: what follows from the result goes in line behind those who wait.
  v1::Event event = event_at(key);
  auto output = contents_.put(std::move(reply.output));
  if (reply.status == tools::ToolStatus::kUnknown && tools::changes_world(flight.effect)) {
    event.mutable_tool_call_in_doubt()->set_tool(flight.tool);
    event.mutable_tool_call_in_doubt()->set_why(output && output->has_inline_() ? output->inline_()
                                                                                : "whether it was done is not known");
    return answer(run_id, std::move(event));
  }
  v1::ToolCallEnded& ended = *event.mutable_tool_call_ended();
  ended.set_outcome(reply.status == tools::ToolStatus::kDone ? v1::TOOL_OUTCOME_DONE : v1::TOOL_OUTCOME_FAILED);
  ended.set_nothing_done(reply.status == tools::ToolStatus::kFailed);
  ended.set_total_us(world_.clock.now().time_since_epoch().count() - flight.started_us);
  if (!output) {
    ended.set_outcome(v1::TOOL_OUTCOME_FAILED);
    ended.mutable_output()->set_inline_("its result is too large: " + output.error().message);
  } else {
    *ended.mutable_output() = *std::move(output);
  }
  answer(run_id, std::move(event));
}

void Shard::drop_tools(Active& active, const run::CallKey& key) {
  std::erase_if(active.tools, [&](const auto& entry) {
    const auto& [call, flight] = entry;
    if (!key.path.empty() && (call.path != key.path || call.attempt != key.attempt)) return false;
    v1::Event wanted = event_at(call);
    wanted.mutable_tool_call_ended();
    if (active.run->expects(wanted)) return false;  // It may change the world: its result is waited for.
    *flight.cancelled = true;
    if (flight.request != 0) http_.cancel(flight.request);
    return true;
  });
}

void Shard::verify(Active& active, const run::VerifyCall& command) {
  ++active.asked;
  // As timers are: where the wall clock was set back, what is due in a second is due in a second.
  const std::int64_t now_us = std::max(world_.clock.now().time_since_epoch().count(), active.run->last_at_us());
  const Duration wait(std::max<std::int64_t>(0, command.due_us - now_us));
  loop_.after(wait, [this, run_id = active.id, command] { verify_now(run_id, command); });
}

void Shard::verify_now(const std::string& run_id, const run::VerifyCall& command) {
  Active* active = find(run_id);
  if (active == nullptr || !owns(*active)) return;
  const std::int64_t asked_us = world_.clock.now().time_since_epoch().count();
  auto answered = [this, run_id, command, asked_us](tools::HttpToolReply reply) {
    Active* asking = find(run_id);
    if (asking == nullptr) return;
    --asking->asked;
    v1::Event event = event_at(command.key);
    v1::ToolCallVerified& verified = *event.mutable_tool_call_verified();
    verified = verdict_of(reply);
    verified.set_tool(command.tool);
    verified.set_total_us(world_.clock.now().time_since_epoch().count() - asked_us);
    if (verified.has_output_json()) {
      auto put = contents_.put(verified.output_json().inline_());
      if (put) *verified.mutable_output_json() = *std::move(put);
    }
    answer(run_id, std::move(event));
  };
  const auto arguments = contents_.bytes(command.arguments);
  if (!arguments || (*arguments)->empty()) {
    return answered({{tools::ToolStatus::kFailed, "its arguments cannot be formed"}, 0});
  }
  tools::ToolRequest request{command.tool, **arguments, command.idempotency_key};
  if (const workflows::Tool* own = active->run->workflow().tool(command.tool)) {
    this->request(*own, request, id_of(run_id, command.key), std::move(answered));
    return;
  }
  tools::Tool* tool = world_.tools.find(command.tool);
  if (tool == nullptr) return answered({{tools::ToolStatus::kFailed, "this server does not offer it"}, 0});
  run_pooled(*tool, std::make_shared<tools::Cancelled>(false), std::move(request), std::move(answered));
}

}  // namespace weft::engine
