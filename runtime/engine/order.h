// In which order work goes on where there is more of it than places: what the configuration says of gates and shares.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/engine/config.h"
#include "runtime/engine/places.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

// Immutable, thread-safe. `run` is as it was submitted: its workflow, labels and priority.
class Order {
 public:
  explicit Order(const Config& config);

  // The run's own place in line, and what it passes before it begins.
  Passenger passenger(const v1::Run& run) const;
  Gates gates_of_run(const v1::Run& run) const;
  // A call's: it waits from `now_us` on.
  Passenger passenger(const v1::Run& run, std::int64_t now_us) const;
  Gates gates_of_model_call(const v1::Run& run, const std::string& provider) const;
  // Whether calls to the provider, or of runs like this one, are limited by tokens.
  bool counts_tokens(const Gates& gates) const;
  // `limit` calls of the tool at a time where `key` is the same.
  Gates gates_of_tool_call(const std::string& key, std::uint32_t limit) const;
  Gates gates_of_pooled_call() const;

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

}  // namespace weft::engine
