#include "runtime/engine/effects/model_call_events.h"

#include "base/bytes.h"
#include "base/check.h"
#include "runtime/engine/event_at.h"

namespace weft::engine {
namespace {

v1::Usage usage_on_wire(const model::Usage& usage) {
  v1::Usage wire;
  if (usage.input_hit) wire.set_input_hit(*usage.input_hit);
  if (usage.input_miss) wire.set_input_miss(*usage.input_miss);
  if (usage.input_write) wire.set_input_write(*usage.input_write);
  if (usage.output) wire.set_output(*usage.output);
  if (usage.reasoning) wire.set_reasoning(*usage.reasoning);
  wire.set_estimated(usage.estimated);
  return wire;
}

std::optional<v1::Cost> cost_of(const ModelCallFacts& facts, const model::Usage& usage) {
  if (!facts.price) return std::nullopt;
  const auto money = model::cost(usage, *facts.price);
  if (!money) return std::nullopt;
  v1::Cost cost;
  cost.set_pico_usd(*money);
  cost.set_simulated(facts.route.simulated);
  return cost;
}

}  // namespace

std::uint64_t tokens_in(const model::Usage& usage) {
  return usage.input_hit.value_or(0) + usage.input_miss.value_or(0) + usage.input_write.value_or(0) +
         usage.output.value_or(0) + usage.reasoning.value_or(0);
}

std::uint64_t tokens_in(std::uint64_t bytes) { return (bytes + 3) / 4; }

v1::Event model_call_started(const run::CallKey& key, const ModelCallFacts& facts,
                             const model::Conversation& conversation, const std::string& model,
                             std::uint64_t output_max) {
  v1::Event event = event_at(key);
  v1::ModelCallStarted& started = *event.mutable_model_call_started();
  started.set_provider(facts.route.provider);
  started.set_model(model);
  started.set_wire_model(facts.route.wire);
  started.set_request_sha256(std::string(view(conversation.digest())));
  started.set_request_bytes(facts.request_bytes);
  started.set_prefix_sha256(std::string(view(conversation.prefix().digest())));
  started.set_prefix_bytes(conversation.prefix().bytes()->size());
  started.set_simulated(facts.route.simulated);
  if (!facts.price) return event;
  started.set_price_row(facts.price->row);
  model::Usage worst;
  worst.input_hit = 0;
  worst.input_miss = tokens_in(facts.request_bytes);
  worst.output = output_max;
  if (const auto reserved = cost_of(facts, worst)) *started.mutable_reserved() = *reserved;
  return event;
}

v1::Event model_call_ended(LoadedRun& loaded, const run::CallKey& key, const ModelCallFacts& facts,
                           model::Answer answer) {
  const model::Conversation* conversation = loaded.conversations.find(key.path);
  WEFT_CHECK(conversation != nullptr, "an answer came for an agent that is not at work");
  const model::Prefix& prefix = conversation->prefix();
  // An event holds up to 128 calls' arguments, so they go to blobs earlier than a lone content does.
  constexpr std::size_t kArgumentsInlineMax = std::size_t{2} << 10;
  v1::Event event = event_at(key);
  v1::ModelCallEnded& ended = *event.mutable_model_call_ended();
  Status stored;
  const auto store = [&](std::string bytes, std::size_t inline_max, v1::Content& into) {
    auto put = loaded.contents.put(std::move(bytes), inline_max);
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
  *ended.mutable_usage() = usage_on_wire(answer.usage);
  if (const auto paid = cost_of(facts, answer.usage)) *ended.mutable_cost() = *paid;
  ended.set_response_model(answer.model);
  ended.set_request_id(answer.request_id);
  ended.set_first_token_us(answer.first_token.count());
  ended.set_total_us(answer.total.count());
  if (!stored) return model_call_lost(key, facts, "too_large", stored.error().message);
  return event;
}

v1::Event model_call_failed(LoadedRun& loaded, const run::CallKey& key, const ModelCallFacts& facts,
                            model::Failure failure) {
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
    *failed.mutable_usage() = usage_on_wire(*failure.usage);
    if (const auto paid = cost_of(facts, *failure.usage)) *failed.mutable_cost() = *paid;
  } else if (failure.may_be_billed) {
    // Nobody says what was counted, so it is booked: by estimate.
    ModelCallFacts counted = facts;
    counted.streamed_bytes = failure.answer_bytes;
    const v1::Event estimate = model_call_lost(key, counted, "", "");
    *failed.mutable_usage() = estimate.model_call_failed().usage();
    if (estimate.model_call_failed().has_cost()) *failed.mutable_cost() = estimate.model_call_failed().cost();
  }
  if (!failure.partial_text.empty()) {
    if (auto put = loaded.contents.put(std::move(failure.partial_text)))
      *failed.mutable_partial_text() = *std::move(put);
  }
  return event;
}

v1::Event model_call_lost(const run::CallKey& key, const ModelCallFacts& facts, std::string failure,
                          std::string message) {
  v1::Event event = event_at(key);
  v1::ModelCallFailed& failed = *event.mutable_model_call_failed();
  failed.set_failure(std::move(failure));
  failed.set_message(std::move(message));
  // What the server counted is not known: all of the request as a miss, and what had streamed in.
  model::Usage usage;
  usage.input_hit = 0;
  usage.input_miss = tokens_in(facts.request_bytes);
  usage.output = tokens_in(facts.streamed_bytes);
  usage.estimated = true;
  *failed.mutable_usage() = usage_on_wire(usage);
  if (const auto booked = cost_of(facts, usage)) *failed.mutable_cost() = *booked;
  return event;
}

}  // namespace weft::engine
