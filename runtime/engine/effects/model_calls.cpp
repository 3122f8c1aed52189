#include "runtime/engine/effects/model_calls.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/check.h"
#include "runtime/engine/effects/key_range.h"
#include "runtime/engine/event_at.h"

namespace weft::engine {
namespace {

// Contents of an answer.
std::size_t bytes_of(const model::Outcome& outcome) {
  const auto* answer = std::get_if<model::Answer>(&outcome);
  if (answer == nullptr) return 0;
  std::size_t bytes = answer->turn.text.size() + (answer->turn.reasoning ? answer->turn.reasoning->size() : 0);
  for (const model::ToolCall& call : answer->turn.tool_calls) bytes += call.arguments.size();
  return bytes;
}

}  // namespace

const workflows::Agent& ModelCalls::agent_of(workflows::StepId step) const {
  return std::get<workflows::PromptBody>(port_.loaded().run->workflow().step(step).body).agent;
}

const std::string& ModelCalls::model_of(workflows::StepId step) const {
  const LoadedRun& loaded = port_.loaded();
  if (!loaded.model.empty()) return loaded.model;
  return agent_of(step).model;
}

Result<Route> ModelCalls::route_of(workflows::StepId step) const {
  return world_.router.route({model_of(step), agent_of(step), port_.loaded().summary});
}

Result<std::shared_ptr<const model::Prefix>> ModelCalls::prefix_of(workflows::StepId step, const Route& route) {
  return prefixes_.find(port_.loaded().run->workflow(), step, route, *port_.loaded().tools);
}

std::shared_ptr<const model::Prefix> ModelCalls::reads_first(const run::ModelCall& call) {
  const auto route = route_of(call.step);
  if (!route) return nullptr;  // It is refused.
  auto prefix = prefix_of(call.step, *route);
  if (!prefix) return nullptr;
  const LoadedRun& loaded = port_.loaded();
  const auto bytes = loaded.conversations.unread_bytes(call.key.path, **prefix, loaded.contents);
  return bytes && *bytes <= kLoopBytesMax ? nullptr : *std::move(prefix);
}

void ModelCalls::start(const run::ModelCall& call) {
  LoadedRun& loaded = port_.loaded();
  auto route = route_of(call.step);
  if (!route) return refuse(call.key, route.error());
  if (mixes_simulated(*route)) return;
  admission::Limits limits = world_.policy.limits_of_model_call(loaded.summary, route->provider);
  std::uint64_t tokens = 0;
  if (world_.policy.counts_tokens(limits)) {
    auto prefix = prefix_of(call.step, *route);
    if (!prefix) return refuse(call.key, prefix.error());
    const auto conversation = loaded.conversations.at(call.key.path, *prefix, loaded.contents);
    if (!conversation) return without_conversation(call, conversation.error());
    // The worst case, until the answer tells.
    tokens = tokens_in((*conversation)->size()) + agent_of(call.step).max_output;
  }
  auto permit = port_.take_permit(call.key, call, std::move(limits), tokens);
  if (permit) begin(call, *std::move(route), *std::move(permit));
}

void ModelCalls::start_admitted(const run::ModelCall& call, admission::Permit permit) {
  auto route = route_of(call.step);
  // Without a way now, it is said as for any other call.
  if (route) return begin(call, *std::move(route), std::move(permit));
  start(call);
}

// Made-up answers are not mixed with paid ones: the call is parked until a fitting server owns the store.
bool ModelCalls::mixes_simulated(const Route& route) {
  const v1::Run& summary = port_.loaded().summary;
  if (summary.model_calls() == 0 || summary.simulated() == route.simulated) return false;
  port_.park(fmt::format("a server with {} model, as it was begun with; this one has {} one",
                         summary.simulated() ? "a simulated" : "a real", route.simulated ? "a simulated" : "a real"));
  return true;
}

void ModelCalls::refuse(const run::CallKey& key, const Error& error) {
  v1::Event event = event_at(key);
  event.mutable_call_refused()->mutable_failure()->set_kind(v1::ERROR_KIND_REFUSED);
  event.mutable_call_refused()->mutable_failure()->set_message(error.message);
  port_.record(std::move(event));
}

// What cannot be said is refused; what cannot be read now is said later.
void ModelCalls::without_conversation(const run::ModelCall& call, const Error& error) {
  if (error.code == Code::kUnavailable || error.code == Code::kDataLoss) return port_.cannot_carry_out(call, error);
  refuse(call.key, error);
}

void ModelCalls::begin(const run::ModelCall& call, Route route, admission::Permit permit) {
  LoadedRun& loaded = port_.loaded();
  auto prefix = prefix_of(call.step, route);
  if (!prefix) return refuse(call.key, prefix.error());
  auto conversation = loaded.conversations.at(call.key.path, *prefix, loaded.contents);
  if (!conversation) return without_conversation(call, conversation.error());

  Flight flight;
  flight.permit = std::move(permit);
  flight.facts.route = std::move(route);
  flight.facts.price = world_.router.price(flight.facts.route, world_.clock.now());
  flight.facts.request_bytes = (*conversation)->size();
  v1::Event intent =
      model_call_started(call.key, flight.facts, **conversation, model_of(call.step), agent_of(call.step).max_output);
  model::Call request{&(*conversation)->prefix().dialect(), flight.facts.route.endpoint, (*conversation)->body(),
                      world_.known_secrets.mask()};
  const FlightId id{call.key, ++last_number_};
  flights_[id] = std::move(flight);
  port_.record(std::move(intent));
  port_.when_durable(call.key, [this, id, request = std::move(request)]() mutable { send(id, std::move(request)); });
}

void ModelCalls::send(const FlightId& id, model::Call call) {
  const auto flight = flights_.find(id);
  if (flight == flights_.end()) return;
  flight->second.sent_us = world_.now_us();
  auto on_progress =
      while_alive(port_, [this, id](model::Stream stream, std::string_view text) { progress(id, stream, text); });
  auto on_outcome = while_alive(port_, [this, id](model::Outcome outcome) { this->outcome(id, std::move(outcome)); });
  flight->second.call = client_.start(std::move(call), std::move(on_progress), std::move(on_outcome));
}

void ModelCalls::progress(const FlightId& id, model::Stream stream, std::string_view text) {
  if (const auto open = flights_.find(id); open != flights_.end()) open->second.facts.streamed_bytes += text.size();
  if (!world_.subscriptions.watched()) return;
  v1::Progress progress;
  progress.set_path(id.call.path);
  progress.set_attempt(id.call.attempt);
  progress.set_turn(id.call.turn);
  (stream == model::Stream::kText ? *progress.mutable_text() : *progress.mutable_reasoning()) = text;
  world_.subscriptions.progressed(port_.loaded().id, progress);
}

void ModelCalls::outcome(const FlightId& id, model::Outcome outcome) {
  if (port_.is_away()) {
    return port_.when_here([this, id, outcome = std::move(outcome)]() mutable {
      // What nobody waited for any more by then was booked when it was dropped.
      if (flights_.contains(id)) this->outcome(id, std::move(outcome));
    });
  }
  const auto found = flights_.find(id);
  WEFT_CHECK(found != flights_.end(), "an answer came for a model call that is not in flight");
  auto flight = flights_.extract(found);
  // First: what follows from the answer goes in line behind those who wait.
  give_back(flight.mapped(), outcome);
  const auto length = bytes_of(outcome) > kLoopBytesMax ? RunPort::Length::kLong : RunPort::Length::kShort;
  port_.answer(length, [flight = std::move(flight), outcome = std::move(outcome)](LoadedRun& loaded) mutable {
    const run::CallKey& key = flight.key().call;
    const ModelCallFacts& facts = flight.mapped().facts;
    if (auto* answer = std::get_if<model::Answer>(&outcome))
      return model_call_ended(loaded, key, facts, std::move(*answer));
    return model_call_failed(loaded, key, facts, std::move(std::get<model::Failure>(outcome)));
  });
}

void ModelCalls::give_back(Flight& flight, const model::Outcome& outcome) {
  if (const auto* answered = std::get_if<model::Answer>(&outcome)) {
    flight.permit.settle(tokens_in(answered->usage));
  } else if (const auto& failure = std::get<model::Failure>(outcome); failure.usage || !failure.may_be_billed) {
    flight.permit.settle(failure.usage ? tokens_in(*failure.usage) : 0);
  }
  flight.permit = {};
}

void ModelCalls::drop(const run::CallKey& attempt) {
  std::vector<decltype(flights_)::node_type> closed;
  auto next = flights_.lower_bound({first_of(attempt), 0});
  if (attempt.path.empty()) next = flights_.begin();
  while (next != flights_.end() && belongs_to(next->first.call, attempt)) closed.push_back(flights_.extract(next++));
  for (auto& flight : closed) close(flight.key(), flight.mapped());
}

void ModelCalls::close(const FlightId& id, Flight& flight) {
  const bool sent = flight.call != 0;
  if (sent) client_.cancel(flight.call);
  if (!sent) port_.revoke(id.call);
  v1::Event event = model_call_lost(id.call, flight.facts, "cancelled",
                                    sent ? "nobody waits for it any more" : "it had not left yet");
  event.mutable_model_call_failed()->set_total_us(sent ? world_.now_us() - flight.sent_us : 0);
  if (!sent) {
    flight.permit.settle(0);
    event.mutable_model_call_failed()->clear_usage();
    event.mutable_model_call_failed()->clear_cost();
  }
  port_.book(std::move(event));
}

v1::Event ModelCalls::lost(const run::ModelCall& call, std::string_view stopped) {
  ModelCallFacts facts;
  if (const auto* started = port_.loaded().conversations.started(call.key.path)) {
    // Priced as it was when it left, whatever this server's own routes are and whatever the time is now.
    facts.request_bytes = started->call.request_bytes();
    facts.route.simulated = started->call.simulated();
    if (!started->call.price_row().empty()) facts.price = world_.router.list_price(started->call.model(), started->at);
  }
  return model_call_lost(call.key, facts, "lost", fmt::format("{} before the answer came", stopped));
}

}  // namespace weft::engine
