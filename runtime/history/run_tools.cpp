#include "runtime/history/run_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/history/content_store.h"
#include "runtime/history/event_codec.h"
#include "runtime/history/stored_workflow.h"

namespace weft::history {
namespace {

// Few servers see so many different sets; beyond that they are formed again where they are wanted.
constexpr std::size_t kKeptMax = 256;

std::vector<const tools::ToolSpec*> pointers_to(const std::vector<tools::ToolSpec>& specs) {
  std::vector<const tools::ToolSpec*> pointers;
  for (const tools::ToolSpec& spec : specs) pointers.push_back(&spec);
  return pointers;
}

std::string to_json(const std::vector<tools::ToolSpec>& specs) {
  Json list = Json::array();
  for (const tools::ToolSpec& spec : specs) {
    list.push_back({{"name", spec.name},
                    {"description", spec.description},
                    {"input_schema", spec.input_schema},
                    {"effect", tools::effect_name(spec.effect)}});
  }
  return to_text(list);
}

std::optional<tools::Effect> effect_named(std::string_view name) {
  using tools::Effect;
  for (const Effect effect : {Effect::kPure, Effect::kRead, Effect::kIdempotent, Effect::kWrite}) {
    if (tools::effect_name(effect) == name) return effect;
  }
  return std::nullopt;
}

Result<std::vector<tools::ToolSpec>> from_json(const std::string& text) {
  const auto broken = [] { return data_loss("the tools that the run was begun with cannot be read"); };
  const auto list = parse_untrusted(text);
  if (!list || !list->is_array()) return broken();
  std::vector<tools::ToolSpec> specs;
  for (const Json& entry : *list) {
    if (!entry.is_object()) return broken();
    for (const char* key : {"name", "description", "input_schema", "effect"}) {
      if (!entry.contains(key) || !entry[key].is_string()) return broken();
    }
    const auto effect = effect_named(entry["effect"].get<std::string>());
    tools::ToolSpec spec{entry["name"], entry["description"], entry["input_schema"],
                         effect.value_or(tools::Effect::kWrite)};
    if (!effect || !shape_of(spec)) return broken();
    if (!specs.empty() && specs.back().name >= spec.name) return broken();
    specs.push_back(std::move(spec));
  }
  return specs;
}

// The tools that it names and that are not its own.
std::set<std::string> names_in(const workflows::Workflow& workflow) {
  std::set<std::string> names;
  for (const workflows::Step& step : workflow.steps) {
    if (const auto* prompt = std::get_if<workflows::PromptBody>(&step.body))
      names.insert(prompt->agent.tools.begin(), prompt->agent.tools.end());
    if (const auto* call = std::get_if<workflows::ToolBody>(&step.body)) names.insert(call->tool);
  }
  for (const workflows::Tool& tool : workflow.tools) {
    if (tool.policy.verify) names.insert(tool.policy.verify->tool);
    if (tool.policy.undo) names.insert(tool.policy.undo->tool);
  }
  std::erase_if(names, [&](const std::string& name) { return workflow.tool(name) != nullptr; });
  return names;
}

std::vector<tools::ToolSpec> copies_of(const std::vector<const tools::ToolSpec*>& specs) {
  std::vector<tools::ToolSpec> copies;
  for (const tools::ToolSpec* spec : specs) copies.push_back(*spec);
  std::ranges::sort(copies, {}, &tools::ToolSpec::name);
  return copies;
}

}  // namespace

RunTools::RunTools(std::vector<tools::ToolSpec> specs)
    : specs_(std::move(specs)),
      table_(tool_table(pointers_to(specs_))),
      json_(to_json(specs_)),
      digest_(to_hex(view(sha256(json_)))) {}

const tools::ToolSpec* RunTools::find(std::string_view name) const {
  const auto found = std::ranges::find(specs_, name, &tools::ToolSpec::name);
  return found == specs_.end() ? nullptr : &*found;
}

bool names_server_tools(const workflows::Workflow& workflow) { return !names_in(workflow).empty(); }

ToolPins::ToolPins(const std::vector<const tools::ToolSpec*>& offered)
    : offered_(std::make_shared<const RunTools>(copies_of(offered))) {}

bool ToolPins::are_offered(const RunTools& tools) const {
  return std::ranges::all_of(tools.specs(), [this](const tools::ToolSpec& spec) {
    const tools::ToolSpec* now = offered_->find(spec.name);
    return now != nullptr && *now == spec;
  });
}

std::shared_ptr<const RunTools> ToolPins::named_in(const workflows::Workflow& workflow) {
  std::vector<tools::ToolSpec> specs;
  for (const std::string& name : names_in(workflow)) {
    if (const tools::ToolSpec* spec = offered_->find(name)) specs.push_back(*spec);
  }
  return kept(std::move(specs));
}

Result<std::shared_ptr<const RunTools>> ToolPins::recorded(const memory::Reader& reader, const std::string& run_id) {
  const auto batches = reader.events(run_id, 1, /*bytes_max=*/1);
  if (!batches) return not_read(batches.error());
  if (batches->empty()) return offered_;
  WEFT_TRY(const std::vector<v1::Event> events, read_batch(batches->front().events));
  if (events.empty() || !events.front().run_submitted().has_tools_json()) return offered_;
  WEFT_TRY(const auto json, read_content(events.front().run_submitted().tools_json(), reader));
  WEFT_TRY(std::vector<tools::ToolSpec> specs, from_json(*json));
  return kept(std::move(specs));
}

std::shared_ptr<const RunTools> ToolPins::kept(std::vector<tools::ToolSpec> specs) {
  const std::string json = to_json(specs);
  const std::lock_guard lock(mutex_);
  if (const auto found = kept_.find(json); found != kept_.end()) return found->second;
  if (kept_.size() >= kKeptMax) kept_.clear();
  return kept_[json] = std::make_shared<const RunTools>(std::move(specs));
}

}  // namespace weft::history
