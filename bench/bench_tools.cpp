#include "bench/bench_tools.h"

#include <memory>
#include <nlohmann/json.hpp>

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

}  // namespace

void add_bench_tools(tools::Toolbox& toolbox) {
  toolbox.add(std::make_unique<Computed>(
      tools::ToolSpec{"bench.step", "One step of the chain.", kStepSchema, Effect::kWrite}, step));
  toolbox.add(
      std::make_unique<Computed>(tools::ToolSpec{"bench.add", "add two numbers", kPairSchema, Effect::kPure}, add));
  toolbox.add(
      std::make_unique<Computed>(tools::ToolSpec{"bench.mul", "mul two numbers", kPairSchema, Effect::kPure}, mul));
}

}  // namespace weft::bench
