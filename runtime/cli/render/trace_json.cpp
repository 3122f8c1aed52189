#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/cli/render/trace_text.h"

namespace weft::cli {
namespace {

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json content_or_hash(const v1::Content& content, const FetchContent& fetch, Holds holds) {
  if (!content.has_inline_() && !content.has_blob()) return nullptr;
  auto bytes = content_bytes(content, fetch);
  if (!bytes) return nullptr;
  return bytes_json(*bytes, holds);
}

Json failure_json_of(const v1::Failure& failure) {
  Json json = Json::object();
  json["kind"] = failure_name(failure.kind());
  json["message"] = failure.message();
  return json;
}

Json model_call_json(const TraceModelCall& call, const FetchContent& fetch) {
  const bool ended = call.ended.has_value();
  const bool failed = call.failed.has_value();
  Json json = Json::object();
  json["turn"] = call.turn;
  json["sending"] = call.sending;
  json["provider"] = call.started.provider();
  json["model"] = call.started.model();
  json["status"] = ended ? "ended" : call.lost() ? "lost" : failed ? "failed" : "in_flight";
  json["started_at"] = time_text(call.started_at_us);
  json["duration_ms"] = ended    ? Json(call.ended->total_us() / 1000)
                        : failed ? Json(call.failed->total_us() / 1000)
                                 : Json(nullptr);
  json["first_token_ms"] =
      ended && call.ended->first_token_us() > 0 ? Json(call.ended->first_token_us() / 1000) : Json(nullptr);
  json["usage"] = usage_json(ended ? call.ended->usage() : failed ? call.failed->usage() : v1::Usage());
  const v1::Cost* cost = nullptr;
  if (ended && call.ended->has_cost()) cost = &call.ended->cost();
  if (failed && call.failed->has_cost()) cost = &call.failed->cost();
  json["cost_usd"] = cost_usd_json(cost);
  json["simulated"] = call.started.simulated();
  json["shared"] = call.shared;
  json["finish_reason"] = ended ? text_or_null(call.ended->finish_reason()) : Json(nullptr);
  json["text"] = ended ? content_or_hash(call.ended->text(), fetch, Holds::kText) : Json(nullptr);
  json["error"] = nullptr;
  if (failed) {
    json["error"] = Json::object();
    json["error"]["kind"] = call.failed->failure();
    json["error"]["message"] = call.failed->message();
    json["error"]["http_status"] = call.failed->http_status() == 0 ? Json(nullptr) : Json(call.failed->http_status());
  }
  return json;
}

Json tool_call_json(const TraceToolCall& call, const FetchContent& fetch) {
  const bool done = call.ended && (call.ended->outcome() == v1::TOOL_OUTCOME_DONE ||
                                   call.ended->outcome() == v1::TOOL_OUTCOME_REUSED);
  Json json = Json::object();
  json["turn"] = call.turn;
  json["call"] = call.call;
  json["tool"] = call.tool;
  json["arguments"] = content_or_hash(call.arguments, fetch, Holds::kJson);
  json["status"] = call.in_doubt             ? "in_doubt"
                   : call.ended              ? outcome_name(call.ended->outcome())
                   : call.started_at_us == 0 ? "not_started"
                                             : "in_flight";
  json["duration_ms"] = call.ended ? Json(call.ended->total_us() / 1000) : Json(nullptr);
  json["output"] =
      call.ended ? content_or_hash(call.ended->output(), fetch, done ? Holds::kJson : Holds::kText) : Json(nullptr);
  json["sendings"] = call.sendings;
  json["shared"] = call.shared;
  json["settled"] = call.settled;
  json["in_doubt"] = call.in_doubt ? Json(*call.in_doubt) : Json(nullptr);
  return json;
}

Json attempt_json(const TraceAttempt& attempt, const FetchContent& fetch) {
  Json json = Json::object();
  json["attempt"] = attempt.number;
  json["label"] = text_or_null(attempt.label);
  json["started_at"] = time_text(attempt.started_at_us);
  json["error"] = nullptr;
  if (attempt.failed) json["error"] = failure_json_of(attempt.failed->failure());
  if (attempt.refused) json["error"] = failure_json_of(*attempt.refused);
  json["model_calls"] = Json::array();
  for (const auto& call : attempt.model_calls) json["model_calls"].push_back(model_call_json(call, fetch));
  json["tool_calls"] = Json::array();
  for (const auto& call : attempt.tool_calls) json["tool_calls"].push_back(tool_call_json(call, fetch));
  return json;
}

Json node_json(const TraceNode& node, const FetchContent& fetch) {
  Json json = Json::object();
  json["path"] = node.path;
  json["kind"] = text_or_null(kind_name(node.kind()));
  json["finally"] = node.is_finally;
  json["status"] = node.result ? Json(status_name(node.result->status())) : Json(nullptr);
  json["started_at"] = time_text(node.first_at_us);
  json["ended_at"] = node.result ? Json(time_text(node.ended_at_us)) : Json(nullptr);
  json["duration_ms"] = node.result ? Json((node.ended_at_us - node.first_at_us) / 1000) : Json(nullptr);
  json["reason"] = node.result ? text_or_null(node.result->reason()) : Json(nullptr);
  json["skip"] = node.result ? text_or_null(skip_letter(node.result->reason())) : Json(nullptr);
  json["cause"] = text_or_null(node.cause);
  json["chosen"] = text_or_null(node.chosen);
  json["limited"] = node.result && node.result->limited();
  json["error"] = node.result && node.result->has_failure() ? failure_json_of(node.result->failure()) : Json(nullptr);
  json["attempts"] = Json::array();
  for (const auto& attempt : node.attempts) json["attempts"].push_back(attempt_json(attempt, fetch));
  json["steps"] = Json::array();
  for (const auto& child : node.children) json["steps"].push_back(node_json(child, fetch));
  return json;
}

}  // namespace

Result<Json> trace_json(const TraceTree& tree, const v1::Run& run, const std::string& step, const FetchContent& fetch) {
  const TraceNode* from = step.empty() ? &tree.root : tree.find(step);
  if (from == nullptr) return not_found(fmt::format("run {} has no step \"{}\", or several", run.id(), step));
  Json json = Json::object();
  WEFT_TRY(json["run"], run_json(run, fetch));
  json["steps"] = Json::array();
  if (from != &tree.root) {
    json["steps"].push_back(node_json(*from, fetch));
  } else {
    for (const auto& child : tree.root.children) json["steps"].push_back(node_json(child, fetch));
  }
  return json;
}

}  // namespace weft::cli
