#include "bench/bench_tools.h"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>

#include "base/json.h"

namespace weft::bench {
namespace {

using tools::Effect;
using tools::ToolReply;
using tools::ToolStatus;

constexpr std::int64_t kModulus = 1'000'003;
constexpr const char* kStepSchema =
    R"({"type":"object","properties":{"v":{"type":"integer"},"i":{"type":"integer"}},"required":["v","i"],)"
    R"("additionalProperties":false})";
constexpr const char* kPairSchema =
    R"({"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"],)"
    R"("additionalProperties":false})";

Json step(const Json& arguments) {
  return (arguments.at("v").get<std::int64_t>() * 31 + arguments.at("i").get<std::int64_t>()) % kModulus;
}
Json add(const Json& arguments) { return arguments.at("a").get<double>() + arguments.at("b").get<double>(); }
Json mul(const Json& arguments) { return arguments.at("a").get<double>() * arguments.at("b").get<double>(); }

class Computed final : public tools::Tool {
 public:
  using Compute = Json (*)(const Json& arguments);
  Computed(tools::ToolSpec spec, Compute compute) : spec_(std::move(spec)), compute_(compute) {}

  const tools::ToolSpec& spec() const override { return spec_; }
  bool is_instant() const override { return true; }
  ToolReply run(const tools::ToolRequest& request, const tools::Cancelled&) override {
    const Result<Json> arguments = parse_untrusted(request.arguments);
    if (!arguments) return {ToolStatus::kFailed, arguments.error().message};
    return {ToolStatus::kDone, to_text(compute_(*arguments))};
  }

 private:
  const tools::ToolSpec spec_;
  const Compute compute_;
};

// Takes its time, as tools do that work over a network: on a thread of the pool, which it holds meanwhile.
class Slow final : public tools::Tool {
 public:
  Slow(std::string name, tools::Effect effect, std::chrono::milliseconds takes)
      : spec_{std::move(name), "One step of the chain, slowly.", kStepSchema, effect}, takes_(takes) {}

  const tools::ToolSpec& spec() const override { return spec_; }
  ToolReply run(const tools::ToolRequest& request, const tools::Cancelled&) override {
    const Result<Json> arguments = parse_untrusted(request.arguments);
    if (!arguments) return {ToolStatus::kFailed, arguments.error().message};
    std::this_thread::sleep_for(takes_);
    return {ToolStatus::kDone, to_text(step(*arguments))};
  }

 private:
  const tools::ToolSpec spec_;
  const std::chrono::milliseconds takes_;
};

// bench.step with an effect outside of this process: a line with its key, once for each key. The line is what an
// idempotent service keeps: read again by the next process, so that the same key does nothing a second time.
class Effecting final : public tools::Tool {
 public:
  explicit Effecting(std::string path) : path_(std::move(path)) {
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) known_.insert(line);
    out_.open(path_, std::ios::app);
    again_.open(path_ + ".again", std::ios::app);
  }
  const tools::ToolSpec& spec() const override { return spec_; }
  bool is_instant() const override { return true; }
  ToolReply run(const tools::ToolRequest& request, const tools::Cancelled&) override {
    const Result<Json> arguments = parse_untrusted(request.arguments);
    if (!arguments) return {ToolStatus::kFailed, arguments.error().message};
    (known_.insert(request.key).second ? out_ : again_) << request.key + "\n" << std::flush;
    return {ToolStatus::kDone, to_text(step(*arguments))};
  }

 private:
  const tools::ToolSpec spec_{"bench.effect", "One step of the chain, outside.", kStepSchema, Effect::kIdempotent};
  const std::string path_;
  std::set<std::string> known_;
  std::ofstream out_;
  std::ofstream again_;  // Keys that came again, and did nothing.
};

}  // namespace

void add_bench_tools(tools::Toolbox& toolbox) {
  toolbox.add(std::make_unique<Computed>(
      tools::ToolSpec{"bench.step", "One step of the chain.", kStepSchema, Effect::kWrite}, step));
  toolbox.add(std::make_unique<Slow>("bench.slow", Effect::kWrite, kSlow));
  if (const char* effects = std::getenv("WEFT_BENCH_EFFECTS")) toolbox.add(std::make_unique<Effecting>(effects));
  toolbox.add(
      std::make_unique<Computed>(tools::ToolSpec{"bench.add", "add two numbers", kPairSchema, Effect::kPure}, add));
  toolbox.add(
      std::make_unique<Computed>(tools::ToolSpec{"bench.mul", "mul two numbers", kPairSchema, Effect::kPure}, mul));
}

}  // namespace weft::bench
