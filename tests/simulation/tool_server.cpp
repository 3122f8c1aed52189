#include "tool_server.h"

#include <fmt/format.h>

#include "runtime/history/stored_workflow.h"

namespace weft::simulation {
namespace {

constexpr const char* kSchema =
    R"({"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],"additionalProperties":false})";

class ServedTool final : public tools::Tool {
 public:
  ServedTool(ToolServer& server, Life life, const tools::ToolSpec& spec) : server_(server), life_(life), spec_(spec) {}
  const tools::ToolSpec& spec() const override { return spec_; }
  bool is_instant() const override { return spec_.effect == tools::Effect::kPure; }
  tools::ToolReply run(const tools::ToolRequest& request, const tools::Cancelled&) override {
    return server_.call(life_, spec_, request);
  }

 private:
  ToolServer& server_;
  const Life life_;
  const tools::ToolSpec& spec_;
};

}  // namespace

const std::vector<tools::ToolSpec>& tool_specs() {
  static const std::vector<tools::ToolSpec> kSpecs = {
      {"t.idem", "Does a thing once a key.", kSchema, tools::Effect::kIdempotent},
      {"t.pure", "Computes.", kSchema, tools::Effect::kPure},
      {"t.read", "Looks.", kSchema, tools::Effect::kRead},
      {"t.write", "Does a thing.", kSchema, tools::Effect::kWrite},
  };
  return kSpecs;
}

std::unique_ptr<tools::Toolbox> toolbox(ToolServer& server, Life life) {
  auto box = std::make_unique<tools::Toolbox>();
  for (const tools::ToolSpec& spec : tool_specs()) box->add(std::make_unique<ServedTool>(server, life, spec));
  return box;
}

const run::ToolTable& known_tools() {
  static const run::ToolTable kTable = [] {
    std::vector<const tools::ToolSpec*> specs;
    for (const tools::ToolSpec& spec : tool_specs()) {
      specs.push_back(&spec);
    }
    return history::tool_table(specs);
  }();
  return kTable;
}

const workflows::World& known_world() {
  static const workflows::World kWorld = [] {
    workflows::World world;
    for (const tools::ToolSpec& spec : tool_specs()) world.tools.push_back({spec.name, spec.input_schema, spec.effect});
    return world;
  }();
  return kWorld;
}

tools::ToolReply ToolServer::call(Life life, const tools::ToolSpec& spec, const tools::ToolRequest& request) {
  Random& random = schedule_.random;
  books_.tool_called(life, request, spec.effect);
  schedule_.note(request.tool);
  const bool acts = tools::changes_world(spec.effect);
  // What is done once a key keeps saying so.
  const bool kept = kept_.contains(request.key);
  const bool fails = !kept && random.percent(faults_.failed);
  const bool unknown = acts && random.percent(faults_.unknown);
  const bool acted = !fails && !(unknown && random.one_in(2));
  if (say_)
    say_(fmt::format("  tool {} {} key {} in life {}: {}", request.tool, request.arguments, request.key.substr(0, 8),
                     life,
                     fails     ? "fails"
                     : unknown ? (acted ? "done, reply lost" : "not done, reply lost")
                               : "done"));
  if (fails) return {tools::ToolStatus::kFailed, "not today"};
  std::string result = fmt::format("{{\"n\":{}}}", ++calls_);
  if (random.percent(faults_.large))
    result = fmt::format("{{\"n\":{},\"long\":\"{}\"}}", calls_, std::string(17'000, 'l'));
  if (acts && acted) {
    if (kept) result = kept_[request.key];
    if (!kept) books_.tool_acted(life, request);
    if (spec.effect == tools::Effect::kIdempotent) kept_[request.key] = result;
  }
  if (unknown) return {tools::ToolStatus::kUnknown, "the connection broke after the request had left"};
  return {tools::ToolStatus::kDone, result};
}

}  // namespace weft::simulation
