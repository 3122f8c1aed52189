#include "runtime/engine/order.h"

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
      model_calls_(places(config.limits.model_calls_max, "model_calls_max")),
      pooled_calls_(places(config.limits.tool_calls_max, "tool_calls_max")) {}

Passenger Order::passenger(const v1::Run& run) const {
  Passenger passenger = this->passenger(run, run.submitted_at_us());
  passenger.kind = Passenger::Kind::kRun;
  return passenger;
}

Gates Order::gates_of_run() const { return {{"runs at work", runs_}}; }

Passenger Order::passenger(const v1::Run& run, std::int64_t now_us) const {
  Passenger passenger;
  passenger.run_id = run.id();
  passenger.share = run.workflow();
  passenger.rank_us = rank_of(now_us, run.priority());
  if (fair_by_.empty()) return passenger;
  // Runs without the label share a turn.
  const auto label = std::ranges::find(run.labels(), fair_by_, &v1::Label::key);
  passenger.share = label == run.labels().end() ? std::string() : label->value();
  return passenger;
}

Gates Order::gates_of_model_call() const { return {{"model calls under way", model_calls_}}; }

Gates Order::gates_of_tool_call(const std::string& key, std::uint32_t limit) const {
  return {{"calls of the tool " + key, places(limit, "concurrency.limit of the tool")}};
}

Gates Order::gates_of_pooled_call() const { return {{"tools that block under way", pooled_calls_}}; }

}  // namespace weft::engine
