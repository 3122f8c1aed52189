#include "runtime/cli/render/json_view.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/time.h"
#include "runtime/model/catalog.h"

namespace weft::cli {
namespace {

Json text_json(const std::string& bytes) {
  if (is_utf8(bytes)) return bytes;
  Json hex = Json::object();
  hex["hex"] = to_hex(bytes);
  return hex;
}

Json count(bool known, std::uint64_t value) { return known ? Json(value) : Json(nullptr); }

void indent(const Json& value, std::size_t depth, std::string& text) {
  if (!value.is_structured() || value.empty()) {
    text += to_text(value);
    return;
  }
  text += value.is_object() ? "{\n" : "[\n";
  bool first = true;
  for (const auto& item : value.items()) {
    if (!first) text += ",\n";
    first = false;
    text.append(2 * (depth + 1), ' ');
    if (value.is_object()) text += to_text(Json(item.key())) + ": ";
    indent(item.value(), depth + 1, text);
  }
  text += '\n';
  text.append(2 * depth, ' ');
  text += value.is_object() ? '}' : ']';
}

Json failure_json(const v1::Failure& failure) {
  Json json = Json::object();
  json["kind"] = failure_name(failure.kind());
  json["message"] = failure.message();
  json["attempts"] = failure.attempts();
  json["path"] = failure.path();
  return json;
}

// Of the input tokens, what came from the provider's cache.
Json cache_hit_rate(const v1::Usage& usage) {
  if (!usage.has_input_hit() || !usage.has_input_miss()) return nullptr;
  const std::uint64_t all = usage.input_hit() + usage.input_miss() + usage.input_write();
  if (all == 0) return nullptr;
  return static_cast<double>(usage.input_hit()) / static_cast<double>(all);
}

void add_figures(const v1::Run& run, Json& json) {
  json["usage"] = usage_json(run.usage());
  json["cost_usd"] = cost_usd_json(run.has_cost() ? &run.cost() : nullptr);
  json["cost_partial"] = run.cost().partial();
  json["cache_hit_rate"] = cache_hit_rate(run.usage());
  json["duration_ms"] =
      run.ended_at_us() == 0 ? Json(nullptr) : Json((run.ended_at_us() - run.submitted_at_us()) / 1000);
  json["steps"] = run.steps_ended();
  json["simulated"] = run.simulated();
  json["doubts"] = Json::array();
  for (const v1::Doubt& doubt : run.doubts()) {
    json["doubts"].push_back(Json{
        {"path", doubt.path()}, {"tool", doubt.tool()}, {"why", doubt.why()}, {"since", time_text(doubt.since_us())}});
  }
  json["undos_failed"] = run.undos_failed();
}

}  // namespace

std::string short_name(const google::protobuf::EnumDescriptor& type, int number) {
  const auto* value = type.FindValueByNumber(number);
  if (value == nullptr || number == 0) return "";
  std::string prefix;
  for (const char c : type.name()) {
    if (c >= 'A' && c <= 'Z' && !prefix.empty()) prefix += '_';
    prefix += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  prefix += '_';
  std::string name = value->name();
  if (name.starts_with(prefix)) name.erase(0, prefix.size());
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

Json bytes_json(const std::string& bytes, Holds holds) {
  if (holds == Holds::kJson) {
    if (auto value = parse_untrusted(bytes)) return *std::move(value);
  }
  return text_json(bytes);
}

Result<std::string> content_bytes(const v1::Content& content, const FetchContent& fetch) {
  if (!content.has_blob()) return content.inline_();
  WEFT_TRY(const auto bytes, fetch(content.blob()));
  return *bytes;
}

std::string status_name(v1::RunStatus status) { return short_name(*v1::RunStatus_descriptor(), status); }
std::string status_name(v1::StepStatus status) { return short_name(*v1::StepStatus_descriptor(), status); }
std::string kind_name(v1::StepKind kind) { return short_name(*v1::StepKind_descriptor(), kind); }
std::string failure_name(v1::ErrorKind kind) { return short_name(*v1::ErrorKind_descriptor(), kind); }
std::string outcome_name(v1::ToolOutcome outcome) { return short_name(*v1::ToolOutcome_descriptor(), outcome); }

std::optional<v1::RunStatus> status_named(std::string_view name) {
  for (int number = 1; v1::RunStatus_IsValid(number); ++number) {
    const auto status = static_cast<v1::RunStatus>(number);
    if (status_name(status) == name) return status;
  }
  return std::nullopt;
}

Json error_json(const Error& error) {
  Json inner = Json::object();
  inner["code"] = code_name(error.code);
  inner["message"] = error.message;
  inner["details"] = Json::object();
  for (const Detail& detail : error.details) inner["details"][detail.key] = detail.value;
  Json json = Json::object();
  json["error"] = std::move(inner);
  return json;
}

Json usage_json(const v1::Usage& usage) {
  Json json = Json::object();
  json["input_hit"] = count(usage.has_input_hit(), usage.input_hit());
  json["input_miss"] = count(usage.has_input_miss(), usage.input_miss());
  json["input_write"] = count(usage.has_input_write(), usage.input_write());
  json["output"] = count(usage.has_output(), usage.output());
  json["reasoning"] = count(usage.has_reasoning(), usage.reasoning());
  json["estimated"] = usage.estimated();
  return json;
}

Json cost_usd_json(const v1::Cost* cost) {
  if (cost == nullptr) return nullptr;
  return model::to_usd(cost->pico_usd());
}

Result<Json> run_json(const v1::Run& run, const FetchContent& fetch) {
  Json json = Json::object();
  json["run_id"] = run.id();
  json["workflow"] = run.workflow();
  json["status"] = status_name(run.status());
  json["output"] = nullptr;
  if (run.has_output_json()) {
    WEFT_TRY(const std::string bytes, content_bytes(run.output_json(), fetch));
    json["output"] = bytes_json(bytes, Holds::kJson);
  }
  json["error"] = run.has_failure() ? failure_json(run.failure()) : Json(nullptr);
  add_figures(run, json);
  return json;
}

Json run_row_json(const v1::Run& run) {
  Json json = Json::object();
  json["run_id"] = run.id();
  json["workflow"] = run.workflow();
  json["workflow_hash"] = run.workflow_hash();
  json["status"] = status_name(run.status());
  json["submitted_at"] = time_text(run.submitted_at_us());
  json["ended_at"] = run.ended_at_us() == 0 ? Json(nullptr) : Json(time_text(run.ended_at_us()));
  json["labels"] = Json::object();
  for (const auto& label : run.labels()) json["labels"][label.key()] = label.value();
  json["by"] = run.by().empty() ? Json(nullptr) : Json(run.by());
  json["by_token"] = run.by_token();
  json["request_id"] = run.request_id().empty() ? Json(nullptr) : Json(run.request_id());
  json["priority"] = run.priority();
  json["waits_for"] = run.waits_for().empty() ? Json(nullptr) : Json(run.waits_for());
  json["error"] = run.has_failure() ? failure_json(run.failure()) : Json(nullptr);
  add_figures(run, json);
  json["model_calls"] = run.model_calls();
  json["model_calls_lost"] = run.model_calls_lost();
  json["tool_calls"] = run.tool_calls();
  json["forked_from"] = run.forked_from().empty() ? Json(nullptr) : Json(run.forked_from());
  return json;
}

Json workflow_json(const v1::Workflow& workflow) {
  Json json = Json::object();
  json["name"] = workflow.name();
  json["hash"] = workflow.hash();
  json["version"] = workflow.version();
  json["applied_at"] = workflow.applied_at_us() == 0 ? Json(nullptr) : Json(time_text(workflow.applied_at_us()));
  json["description"] = workflow.description();
  json["steps"] = workflow.steps();
  json["schedule"] = workflow.has_schedule() ? Json(workflow.schedule().schedule()) : Json(nullptr);
  json["inputs"] = Json::array();
  for (const auto& input : workflow.inputs()) {
    Json item = Json::object();
    item["name"] = input.name();
    item["type"] = input.type();
    item["description"] = input.description();
    item["required"] = input.required();
    json["inputs"].push_back(std::move(item));
  }
  return json;
}

Json diagnostic_json(const v1::Diagnostic& diagnostic) {
  Json json = Json::object();
  json["file"] = diagnostic.file();
  json["line"] = diagnostic.line();
  json["column"] = diagnostic.column();
  json["code"] = diagnostic.code();
  json["severity"] = diagnostic.severity() == v1::SEVERITY_WARNING ? "warning" : "error";
  json["message"] = diagnostic.message();
  json["suggestion"] = diagnostic.suggestion();
  if (!diagnostic.witness().empty()) json["witness"] = diagnostic.witness();
  return json;
}

std::string time_text(std::int64_t at_us) { return to_rfc3339(Time(Duration(at_us))); }

std::string pretty(const Json& value) {
  std::string text;
  indent(value, 0, text);
  return text;
}

}  // namespace weft::cli
