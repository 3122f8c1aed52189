// Commands into effects: model calls, tool calls, timers, and how their answers become events.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "runtime/engine/prefixes.h"
#include "runtime/engine/shard.h"

namespace weft::engine {
namespace {

v1::Usage to_wire(const model::Usage& usage) {
  v1::Usage wire;
  if (usage.input_hit) wire.set_input_hit(*usage.input_hit);
  if (usage.input_miss) wire.set_input_miss(*usage.input_miss);
  if (usage.input_write) wire.set_input_write(*usage.input_write);
  if (usage.output) wire.set_output(*usage.output);
  if (usage.reasoning) wire.set_reasoning(*usage.reasoning);
  wire.set_estimated(usage.estimated);
  return wire;
}

std::uint64_t tokens_of(const model::Usage& usage) {
  return usage.input_hit.value_or(0) + usage.input_miss.value_or(0) + usage.input_write.value_or(0) +
         usage.output.value_or(0) + usage.reasoning.value_or(0);
}

// A token is about four bytes of English or code; an estimate, and marked as one wherever it is shown.
std::uint64_t tokens_of(std::uint64_t bytes) { return (bytes + 3) / 4; }

}  // namespace

v1::Event event_at(const run::CallKey& key) {
  v1::Event event;
  event.set_path(key.path);
  event.set_attempt(key.attempt);
  event.set_turn(key.turn);
  event.set_call(key.call);
  return event;
}

void Shard::carry_out(Active& active, const run::Command& command) {
  // A decision after the command may have closed what wanted it: nobody waits for the call then, and it does not leave.
  if (const auto* call = std::get_if<run::ModelCall>(&command)) {
    v1::Event wanted = event_at(call->key);
    wanted.mutable_model_call_started();
    if (active.run->expects(wanted)) call_model(active, *call);
    return;
  }
  if (const auto* call = std::get_if<run::ToolCall>(&command)) {
    v1::Event wanted = event_at(call->key);
    wanted.mutable_tool_call_started();
    if (active.run->expects(wanted)) call_tool(active, *call);
    return;
  }
  if (const auto* question = std::get_if<run::VerifyCall>(&command)) return verify(active, *question);
  if (const auto* timer = std::get_if<run::StartTimer>(&command)) return start_timer(active, *timer);
  drop(active, std::get<run::Drop>(command).key);
}

void Shard::when_durable(Active& active, const run::CallKey& key, Task leave) {
  active.gate.push_back({active.run->last_seq(), key, std::move(leave)});
}

Result<std::shared_ptr<const model::Prefix>> Shard::prefix(const Active& active, workflows::StepId step,
                                                           const Route& route) {
  const workflows::Workflow& workflow = active.run->workflow();
  const std::string key = fmt::format("{}:{}:{}:{}", workflow.hash, step, route.provider, route.wire);
  if (auto kept = prefixes_[key].lock()) return kept;
  WEFT_TRY(model::Prefix built, build_prefix(workflow, step, route, [this](const std::string& name) {
             const tools::Tool* tool = world_.tools.find(name);
             return tool == nullptr ? nullptr : &tool->spec();
           }));
  auto shared = std::make_shared<const model::Prefix>(std::move(built));
  std::erase_if(prefixes_, [](const auto& entry) { return entry.second.expired(); });
  prefixes_[key] = shared;
  return shared;
}

namespace {

v1::Event refusal_of(const run::CallKey& key, const Error& error) {
  v1::Event event = event_at(key);
  event.mutable_call_refused()->mutable_failure()->set_kind(v1::ERROR_KIND_REFUSED);
  event.mutable_call_refused()->mutable_failure()->set_message(error.message);
  return event;
}

}  // namespace

const std::string& Shard::model_of(const Active& active, workflows::StepId step) {
  if (!active.model.empty()) return active.model;
  return std::get<workflows::PromptBody>(active.run->workflow().step(step).body).agent.model;
}

void Shard::call_model(Active& active, const run::ModelCall& command) {
  const workflows::Agent& agent = std::get<workflows::PromptBody>(active.run->workflow().step(command.step).body).agent;
  auto route = world_.routes.find(model_of(active, command.step));
  if (!route) return admit(active, refusal_of(command.key, route.error()));
  if (active.summary.model_calls() > 0 && active.summary.simulated() != route->simulated) {
    // Made-up answers are not mixed with paid ones: the call is parked until a fitting server owns the store.
    const std::string waits_for =
        fmt::format("a server with {} model, as it was begun with; this one has {} one",
                    active.summary.simulated() ? "a simulated" : "a real", route->simulated ? "a simulated" : "a real");
    spdlog::warn("run {} waits for {}", active.id, waits_for);
    world_.parked.park(active.id, waits_for, Parked::Place::kAtWork);
    world_.hub.rests(active.id);
    active.turn = {};
    return;
  }
  Gates gates = world_.order.gates_of_model_call(active.summary, route->provider);
  std::uint64_t tokens = 0;
  if (world_.order.counts_tokens(gates)) {
    auto face = prefix(active, command.step, *route);
    if (!face) return admit(active, refusal_of(command.key, face.error()));
    const auto conversation = active.conversations.at(command.key.path, *face, contents_);
    if (!conversation) return admit(active, refusal_of(command.key, conversation.error()));
    tokens = tokens_of((*conversation)->size()) + agent.max_output;  // The worst case, until the answer tells.
  }
  auto turn = take_turn(active, command.key, command, std::move(gates), tokens);
  if (turn) begin_model(active, command, *std::move(route), *std::move(turn));
}

void Shard::begin_model(Active& active, const run::ModelCall& command, Route route, Places::Turn turn) {
  const auto refuse = [&](const Error& error) { admit(active, refusal_of(command.key, error)); };
  const workflows::Agent& agent = std::get<workflows::PromptBody>(active.run->workflow().step(command.step).body).agent;
  auto face = prefix(active, command.step, route);
  if (!face) return refuse(face.error());
  auto conversation = active.conversations.at(command.key.path, *face, contents_);
  if (!conversation) return refuse(conversation.error());

  ModelFlight flight;
  flight.turn = std::move(turn);
  flight.route = std::move(route);
  flight.price = world_.routes.price(flight.route, world_.clock.now());
  flight.request_bytes = (*conversation)->size();
  v1::Event event = event_at(command.key);
  v1::ModelCallStarted& started = *event.mutable_model_call_started();
  started.set_provider(flight.route.provider);
  started.set_model(model_of(active, command.step));
  started.set_wire_model(flight.route.wire);
  started.set_request_sha256(std::string(view((*conversation)->digest())));
  started.set_request_bytes(flight.request_bytes);
  started.set_prefix_sha256(std::string(view((*conversation)->prefix().digest())));
  started.set_prefix_bytes((*conversation)->prefix().bytes()->size());
  started.set_simulated(flight.route.simulated);
  if (flight.price) {
    started.set_price_row(flight.price->row);
    model::Usage worst;
    worst.input_hit = 0;
    worst.input_miss = tokens_of(flight.request_bytes);
    worst.output = agent.max_output;
    if (const auto reserved = cost(flight, worst)) *started.mutable_reserved() = *reserved;
  }
  model::Call call{flight.route.endpoint, (*conversation)->body()};
  active.models[command.key] = std::move(flight);
  admit(active, std::move(event));
  when_durable(active, command.key, [this, run_id = active.id, key = command.key, call = std::move(call)]() mutable {
    send(run_id, key, std::move(call));
  });
}

void Shard::send(const std::string& run_id, const run::CallKey& key, model::Call call) {
  Active* active = find(run_id);
  if (active == nullptr) return;
  const auto flight = active->models.find(key);
  if (flight == active->models.end()) return;
  flight->second.sent_us = world_.clock.now().time_since_epoch().count();
  auto on_progress = [this, run_id, key](model::Stream stream, std::string_view text) {
    if (Active* at_work = find(run_id)) {
      if (const auto open = at_work->models.find(key); open != at_work->models.end())
        open->second.streamed_bytes += text.size();
    }
    if (!world_.hub.watched()) return;
    v1::Progress progress;
    progress.set_path(key.path);
    progress.set_attempt(key.attempt);
    progress.set_turn(key.turn);
    (stream == model::Stream::kText ? *progress.mutable_text() : *progress.mutable_reasoning()) = text;
    world_.hub.progressed(run_id, progress);
  };
  flight->second.call =
      client_.start(std::move(call), std::move(on_progress),
                    [this, run_id, key](model::Outcome outcome) { model_outcome(run_id, key, std::move(outcome)); });
}

void Shard::give_back(ModelFlight& flight, const model::Outcome& outcome) {
  if (const auto* answered = std::get_if<model::Answer>(&outcome)) {
    flight.turn.settle(tokens_of(answered->usage));
  } else if (const auto& failure = std::get<model::Failure>(outcome); failure.usage || !failure.may_be_billed) {
    flight.turn.settle(failure.usage ? tokens_of(*failure.usage) : 0);
  }
  flight.turn = {};
}

std::optional<v1::Cost> Shard::cost(const ModelFlight& flight, const model::Usage& usage) const {
  if (!flight.price) return std::nullopt;
  const auto money = model::cost(usage, *flight.price);
  if (!money) return std::nullopt;
  v1::Cost cost;
  cost.set_pico_usd(*money);
  cost.set_simulated(flight.route.simulated);
  return cost;
}

v1::Event Shard::model_ended(const run::CallKey& key, const ModelFlight& flight, model::Answer answer,
                             const model::Prefix& prefix) {
  // An event holds up to 128 calls' arguments, so they go to blobs earlier than a lone content does.
  constexpr std::size_t kArgumentsInlineMax = std::size_t{2} << 10;
  v1::Event event = event_at(key);
  v1::ModelCallEnded& ended = *event.mutable_model_call_ended();
  Status stored;
  const auto store = [&](std::string bytes, std::size_t inline_max, v1::Content& into) {
    auto put = contents_.put(std::move(bytes), inline_max);
    if (put) into = *std::move(put);
    if (!put) stored = std::move(put).error();
  };
  store(std::move(answer.turn.text), run::kInlineBytesMax, *ended.mutable_text());
  if (answer.turn.reasoning) store(*std::move(answer.turn.reasoning), run::kInlineBytesMax, *ended.mutable_reasoning());
  for (model::ToolCall& call : answer.turn.tool_calls) {
    v1::RequestedCall& requested = *ended.add_calls();
    requested.set_id(call.id);
    requested.set_wire_name(call.name);
    requested.set_tool(prefix.tool_named(call.name).value_or(""));
    store(std::move(call.arguments), kArgumentsInlineMax, *requested.mutable_arguments());
  }
  ended.set_cut(answer.finish == model::Finish::kLength);
  ended.set_finish_reason(answer.finish_reason);
  *ended.mutable_usage() = to_wire(answer.usage);
  if (const auto paid = cost(flight, answer.usage)) *ended.mutable_cost() = *paid;
  ended.set_response_model(answer.model);
  ended.set_request_id(answer.request_id);
  ended.set_first_token_us(answer.first_token.count());
  ended.set_total_us(answer.total.count());
  if (!stored) return lost_call(key, flight, "too_large", stored.error().message);
  return event;
}

v1::Event Shard::lost_call(const run::CallKey& key, const ModelFlight& flight, std::string failure,
                           std::string message) const {
  v1::Event event = event_at(key);
  v1::ModelCallFailed& failed = *event.mutable_model_call_failed();
  failed.set_failure(std::move(failure));
  failed.set_message(std::move(message));
  // What the server counted is not known: all of the request as a miss, and what had streamed in.
  model::Usage usage;
  usage.input_hit = 0;
  usage.input_miss = tokens_of(flight.request_bytes);
  usage.output = tokens_of(flight.streamed_bytes);
  usage.estimated = true;
  *failed.mutable_usage() = to_wire(usage);
  if (const auto booked = cost(flight, usage)) *failed.mutable_cost() = *booked;
  return event;
}

void Shard::model_outcome(const std::string& run_id, const run::CallKey& key, model::Outcome outcome) {
  if (Active* active = find(run_id)) {
    const auto found = active->models.find(key);
    WEFT_CHECK(found != active->models.end(), "an answer came for a model call that is not in flight");
    ModelFlight flight = std::move(found->second);
    active->models.erase(found);
    // First: what follows from the answer goes in line behind those who wait.
    give_back(flight, outcome);
    if (auto* answered = std::get_if<model::Answer>(&outcome)) {
      const model::Conversation* conversation = active->conversations.find(key.path);
      WEFT_CHECK(conversation != nullptr, "an answer came for an agent that is not at work");
      answer(run_id, model_ended(key, flight, std::move(*answered), conversation->prefix()));
    } else {
      model::Failure& failure = std::get<model::Failure>(outcome);
      v1::Event event = event_at(key);
      v1::ModelCallFailed& failed = *event.mutable_model_call_failed();
      failed.set_failure(std::string(model::failure_name(failure.kind)));
      failed.set_message(std::move(failure.message));
      failed.set_http_status(failure.status);
      failed.set_retryable(model::is_retryable(failure.kind));
      if (failure.retry_after) failed.set_retry_after_us(failure.retry_after->count());
      failed.set_request_id(failure.request_id);
      failed.set_total_us(failure.total.count());
      if (failure.usage) {
        *failed.mutable_usage() = to_wire(*failure.usage);
        if (const auto paid = cost(flight, *failure.usage)) *failed.mutable_cost() = *paid;
      } else if (failure.may_be_billed) {
        // Nobody says what was counted, so it is booked: by estimate.
        flight.streamed_bytes = failure.answer_bytes;
        const v1::Event estimate = lost_call(key, flight, "", "");
        *failed.mutable_usage() = estimate.model_call_failed().usage();
        if (estimate.model_call_failed().has_cost()) *failed.mutable_cost() = estimate.model_call_failed().cost();
      }
      if (!failure.partial_text.empty()) {
        if (auto put = contents_.put(std::move(failure.partial_text))) *failed.mutable_partial_text() = *std::move(put);
      }
      answer(run_id, std::move(event));
    }
  }
}

void Shard::start_timer(Active& active, const run::StartTimer& command) {
  if (command.timer == v1::TIMER_KIND_TIMEOUT && active.frozen) {
    active.stilled_us[command.key] =
        std::max<std::int64_t>(0, command.due_us - world_.clock.now().time_since_epoch().count());
    return;
  }
  if (command.timer == v1::TIMER_KIND_TIMEOUT) active.timeouts_us[command.key] = command.due_us;
  look_later(active, command, due_at(active, command));
}

// Where the wall clock is set back, what was due in a second is due in a second all the same.
void Shard::look_later(Active& active, const run::StartTimer& command, Duration at) {
  const auto wait = [this, at](const Active& of, const run::StartTimer& timer) {
    return std::min(left(of, timer), at - world_.clock.monotonic());
  };
  const Duration first = std::clamp(wait(active, command), Duration(0), kLook);
  active.timers[{command.key, command.timer}] = loop_.after(first, [this, run_id = active.id, command, at, wait] {
    Active* due = find(run_id);
    if (due == nullptr) return;
    if (wait(*due, command) > Duration(0)) return look_later(*due, command, at);
    fire(run_id, command);
  });
}

Duration Shard::left(const Active& active, const run::StartTimer& timer) const {
  return time_at(timer.due_us) - std::max(world_.clock.now(), time_at(active.run->last_at_us()));
}

Duration Shard::due_at(const Active& active, const run::StartTimer& timer) const {
  return timer.of_the_clock ? Duration::max() : world_.clock.monotonic() + left(active, timer);
}

void Shard::fire(const std::string& run_id, const run::StartTimer& due) {
  Active* active = find(run_id);
  if (active == nullptr) return;
  if (auto timer = active->timers.extract({due.key, due.timer})) loop_.cancel(timer.mapped());
  if (due.timer == v1::TIMER_KIND_TIMEOUT) active->timeouts_us.erase(due.key);
  v1::Event event = event_at(due.key);
  event.mutable_timer_fired()->set_timer(due.timer);
  answer(run_id, std::move(event));
}

// Everything under the key's path and attempt; an empty path is the whole run.
void Shard::drop(Active& active, const run::CallKey& key) {
  const auto meant = [&](const run::CallKey& other) {
    return key.path.empty() || (other.path == key.path && other.attempt == key.attempt);
  };
  std::erase_if(active.timers, [&](const auto& entry) {
    if (!meant(entry.first.first)) return false;
    loop_.cancel(entry.second);
    return true;
  });
  std::erase_if(active.timeouts_us, [&](const auto& entry) { return meant(entry.first); });
  std::erase_if(active.stilled_us, [&](const auto& entry) { return meant(entry.first); });
  std::erase_if(active.queued, [&](const auto& entry) { return meant(entry.first); });
  std::vector<std::pair<run::CallKey, ModelFlight>> closed;
  for (auto next = active.models.begin(); next != active.models.end();) {
    if (!meant(next->first)) {
      ++next;
      continue;
    }
    closed.emplace_back(next->first, std::move(next->second));
    next = active.models.erase(next);
  }
  for (auto& [call, flight] : closed) model_closed(active, call, flight);
  drop_tools(active, key);
}

void Shard::model_closed(Active& active, const run::CallKey& key, ModelFlight& flight) {
  const bool sent = flight.call != 0;
  if (sent) client_.cancel(flight.call);
  if (!sent) std::erase_if(active.gate, [&](const Gated& gated) { return gated.key == key; });
  v1::Event event = lost_call(key, flight, "cancelled", sent ? "nobody waits for it any more" : "it had not left yet");
  event.mutable_model_call_failed()->set_total_us(sent ? world_.clock.now().time_since_epoch().count() - flight.sent_us
                                                       : 0);
  if (!sent) {
    flight.turn.settle(0);
    event.mutable_model_call_failed()->clear_usage();
    event.mutable_model_call_failed()->clear_cost();
  }
  if (!active.given_up && active.run->expects(event)) admit(active, std::move(event));
}

}  // namespace weft::engine
