#include "runtime/engine/order.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::engine {
namespace {

std::shared_ptr<const Bounds> places(std::uint64_t max, std::string name) {
  Bounds bounds;
  bounds.places_max = max;
  bounds.places_name = std::move(name);
  return std::make_shared<const Bounds>(std::move(bounds));
}

}  // namespace

Order::Order(const Config& config)
    : fair_by_(config.fair_by),
      runs_(places(config.limits.runs_at_work_max, "limits.runs_at_work_max")),
      model_calls_(places(config.limits.model_calls_max, "limits.model_calls_max")),
      pooled_calls_(places(config.limits.tool_calls_max, "tool_calls_max")) {
  for (const LabelLimits& limits : config.by_label) {
    const std::string name = "limits.by_label." + limits.label;
    OfLabel of{limits.label, nullptr, nullptr};
    if (limits.runs_at_work_max > 0) of.runs = places(limits.runs_at_work_max, name + ".runs_at_work_max");
    const Bounds calls{limits.model_calls_max,           name + ".model_calls_max", limits.model_calls_per_minute,
                       name + ".model_calls_per_minute", limits.tokens_per_minute,  name + ".tokens_per_minute"};
    const bool limited = calls.places_max > 0 || calls.per_minute > 0 || calls.tokens_per_minute > 0;
    if (limited) of.model_calls = std::make_shared<const Bounds>(calls);
    by_label_.push_back(std::move(of));
  }
  // Where one server answers for every model, what the catalog says of others is no limit of it.
  if (!config.model_url.empty()) return;
  for (const model::Provider& provider : config.catalog.providers()) {
    const std::string name = "providers." + provider.name;
    providers_[provider.name] = std::make_shared<const Bounds>(
        Bounds{provider.in_flight_max, name + ".in_flight_max", provider.requests_per_minute,
               name + ".requests_per_minute", provider.tokens_per_minute, name + ".tokens_per_minute"});
  }
}

namespace {

const std::string* value_of(const v1::Run& run, const std::string& label) {
  const auto found = std::ranges::find(run.labels(), label, &v1::Label::key);
  return found == run.labels().end() ? nullptr : &found->value();
}

}  // namespace

Passenger Order::passenger(const v1::Run& run) const {
  Passenger passenger = this->passenger(run, run.submitted_at_us());
  passenger.kind = Passenger::Kind::kRun;
  return passenger;
}

Gates Order::gates_of_run(const v1::Run& run) const {
  Gates gates;
  for (const OfLabel& of : by_label_) {
    const std::string* value = of.runs ? value_of(run, of.label) : nullptr;
    if (value != nullptr) gates.push_back({fmt::format("runs at work with {}={}", of.label, *value), of.runs});
  }
  gates.push_back({"runs at work", runs_});
  return gates;
}

Passenger Order::passenger(const v1::Run& run, std::int64_t now_us) const {
  Passenger passenger;
  passenger.run_id = run.id();
  passenger.share = run.workflow();
  passenger.rank_us = rank_of(now_us, run.priority());
  if (fair_by_.empty()) return passenger;
  // Runs without the label share a turn.
  const std::string* value = value_of(run, fair_by_);
  passenger.share = value == nullptr ? std::string() : *value;
  return passenger;
}

Gates Order::gates_of_model_call(const v1::Run& run, const std::string& provider) const {
  Gates gates;
  for (const OfLabel& of : by_label_) {
    const std::string* value = of.model_calls ? value_of(run, of.label) : nullptr;
    if (value != nullptr) gates.push_back({fmt::format("model calls with {}={}", of.label, *value), of.model_calls});
  }
  if (const auto known = providers_.find(provider); known != providers_.end())
    gates.push_back({"calls to the provider " + provider, known->second});
  gates.push_back({kModelCalls, model_calls_});
  return gates;
}

bool Order::counts_tokens(const Gates& gates) const {
  return std::ranges::any_of(gates, [](const Gate& gate) { return gate.bounds->tokens_per_minute > 0; });
}

Gates Order::gates_of_tool_call(const std::string& key, std::uint32_t limit) const {
  return {{"calls of the tool " + key, places(limit, "concurrency.limit of the tool")}};
}

Gates Order::gates_of_pooled_call() const { return {{"calls of tools that block", pooled_calls_}}; }

}  // namespace weft::engine
