// Admission policy: which limits a run or a call has to pass, and which tenant it belongs to, as the configuration
// says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/admission/admission.h"
#include "weft/v1/runs.pb.h"

namespace weft::admission {

// What the runs with one value of a label may have together; 0: not limited.
struct LabelLimits {
  std::string label;
  std::uint64_t runs_at_work_max = 0;
  std::uint64_t model_calls_max = 0;
  std::uint64_t model_calls_per_minute = 0;
  std::uint64_t tokens_per_minute = 0;
};

// What the calls to one provider may have together; 0: not limited.
struct ProviderLimits {
  std::string provider;
  std::uint64_t in_flight_max = 0;
  std::uint64_t requests_per_minute = 0;
  std::uint64_t tokens_per_minute = 0;
};

// The part of the configuration that admission needs.
struct Settings {
  std::uint64_t runs_at_work_max = 0;
  std::uint64_t model_calls_max = 0;
  std::uint64_t tool_calls_max = 0;  // On the pool of threads.
  std::string fair_by;               // The label whose values are the tenants; empty: each workflow is a tenant.
  std::vector<LabelLimits> by_label;
  std::vector<ProviderLimits> providers;
};

// Immutable, thread-safe. `run` is as it was submitted: its workflow, labels and priority.
class Policy {
 public:
  explicit Policy(const Settings& settings);

  // The run itself, and the limits that it passes before it begins.
  Waiter waiter(const v1::Run& run) const;
  Limits limits_of_run(const v1::Run& run) const;
  // A call of the run that waits from `now_us` on.
  Waiter waiter(const v1::Run& run, std::int64_t now_us) const;
  Limits limits_of_model_call(const v1::Run& run, const std::string& provider) const;
  // Whether one of the limits is on tokens.
  bool counts_tokens(const Limits& limits) const;
  // At most `limit` calls of the tool at once with the same `key`.
  Limits limits_of_tool_call(const std::string& key, std::uint32_t limit) const;
  Limits limits_of_pooled_call() const;

 private:
  struct OfLabel {
    std::string label;
    std::shared_ptr<const Bounds> runs;  // Null: not limited.
    std::shared_ptr<const Bounds> model_calls;
  };
  const std::string fair_by_;
  std::vector<OfLabel> by_label_;
  std::map<std::string, std::shared_ptr<const Bounds>> providers_;
  std::shared_ptr<const Bounds> runs_;
  std::shared_ptr<const Bounds> model_calls_;
  std::shared_ptr<const Bounds> pooled_calls_;
};

}  // namespace weft::admission
