#include "runtime/admission/policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::admission {
namespace {

std::shared_ptr<const Bounds> at_once(std::uint64_t max, std::string name) {
  Bounds bounds;
  bounds.places_max = max;
  bounds.places_name = std::move(name);
  return std::make_shared<const Bounds>(std::move(bounds));
}

}  // namespace

Policy::Policy(const Settings& settings)
    : fair_by_(settings.fair_by),
      runs_(at_once(settings.runs_at_work_max, "limits.runs_at_work_max")),
      model_calls_(at_once(settings.model_calls_max, "limits.model_calls_max")),
      pooled_calls_(at_once(settings.tool_calls_max, "tool_calls_max")) {
  for (const LabelLimits& limits : settings.by_label) {
    const std::string name = "limits.by_label." + limits.label;
    OfLabel of{limits.label, nullptr, nullptr};
    if (limits.runs_at_work_max > 0) of.runs = at_once(limits.runs_at_work_max, name + ".runs_at_work_max");
    const Bounds calls{limits.model_calls_max,           name + ".model_calls_max", limits.model_calls_per_minute,
                       name + ".model_calls_per_minute", limits.tokens_per_minute,  name + ".tokens_per_minute"};
    const bool limited = calls.places_max > 0 || calls.per_minute > 0 || calls.tokens_per_minute > 0;
    if (limited) of.model_calls = std::make_shared<const Bounds>(calls);
    by_label_.push_back(std::move(of));
  }
  for (const ProviderLimits& limits : settings.providers) {
    const std::string name = "providers." + limits.provider;
    providers_[limits.provider] = std::make_shared<const Bounds>(
        Bounds{limits.in_flight_max, name + ".in_flight_max", limits.requests_per_minute, name + ".requests_per_minute",
               limits.tokens_per_minute, name + ".tokens_per_minute"});
  }
}

namespace {

const std::string* value_of(const v1::Run& run, const std::string& label) {
  const auto found = std::ranges::find(run.labels(), label, &v1::Label::key);
  return found == run.labels().end() ? nullptr : &found->value();
}

}  // namespace

Waiter Policy::waiter(const v1::Run& run) const {
  Waiter waiter = this->waiter(run, run.submitted_at_us());
  waiter.kind = Waiter::Kind::kRun;
  return waiter;
}

Limits Policy::limits_of_run(const v1::Run& run) const {
  Limits limits;
  for (const OfLabel& of : by_label_) {
    const std::string* value = of.runs ? value_of(run, of.label) : nullptr;
    if (value != nullptr) limits.push_back({fmt::format("runs at work with {}={}", of.label, *value), of.runs});
  }
  limits.push_back({"runs at work", runs_});
  return limits;
}

Waiter Policy::waiter(const v1::Run& run, std::int64_t now_us) const {
  Waiter waiter;
  waiter.run_id = run.id();
  waiter.tenant = run.workflow();
  waiter.priority_time_us = priority_time(now_us, run.priority());
  if (fair_by_.empty()) return waiter;
  // Runs without the label are one tenant.
  const std::string* value = value_of(run, fair_by_);
  waiter.tenant = value == nullptr ? std::string() : *value;
  return waiter;
}

Limits Policy::limits_of_model_call(const v1::Run& run, const std::string& provider) const {
  Limits limits;
  for (const OfLabel& of : by_label_) {
    const std::string* value = of.model_calls ? value_of(run, of.label) : nullptr;
    if (value != nullptr) limits.push_back({fmt::format("model calls with {}={}", of.label, *value), of.model_calls});
  }
  if (const auto known = providers_.find(provider); known != providers_.end())
    limits.push_back({"calls to the provider " + provider, known->second});
  limits.push_back({kModelCalls, model_calls_});
  return limits;
}

bool Policy::counts_tokens(const Limits& limits) const {
  return std::ranges::any_of(limits, [](const Limit& limit) { return limit.bounds->tokens_per_minute > 0; });
}

Limits Policy::limits_of_tool_call(const std::string& key, std::uint32_t limit) const {
  return {{"calls of the tool " + key, at_once(limit, "concurrency.limit of the tool")}};
}

Limits Policy::limits_of_pooled_call() const { return {{"calls of tools that block", pooled_calls_}}; }

}  // namespace weft::admission
