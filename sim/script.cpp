#include "sim/script.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "sim/example_value.h"
#include "sim/reply.h"
#include "sim/rule.h"
#include "sim/tally.h"

namespace weft::sim {
namespace {

using workflows::Expression;
using workflows::Template;

constexpr std::size_t kEchoedCodePoints = 60;    // In the texts of a made-up JSON value.
constexpr std::size_t kEchoBytesMax = 16 << 10;  // Of a text that is repeated.
constexpr std::string_view kReasoning = "The simulated model has nothing to think about.";

Json plain(const Message& message) {
  constexpr std::string_view roles[] = {"system", "user", "assistant", "tool"};
  return {{"role", roles[static_cast<std::size_t>(message.role)]}, {"text", message.text}};
}

// A text as JSON where it is JSON, else as text.
Json parsed(const std::string& text) {
  auto value = parse_untrusted(text);
  return value ? *std::move(value) : Json(text);
}

// The values of the names that a script's expressions may use, made when first asked for.
class Values final : public workflows::Environment {
 public:
  explicit Values(const Request& request) : request_(request) {}

  void set(std::string_view root, Json value) { values_.insert_or_assign(std::string(root), std::move(value)); }

  const Json* name(std::string_view root) const override {
    auto known = values_.find(root);
    if (known == values_.end()) known = values_.emplace(root, make(root)).first;
    return &known->second;
  }
  const Json* step(std::string_view, std::string_view) const override { return nullptr; }

 private:
  Json make(std::string_view root) const {
    const Message* user = request_.first_user();
    if (root == "last") return request_.messages.back().text;
    if (root == "user") return user == nullptr ? "" : user->text;
    if (root == "system") return request_.system();
    if (root == "turn") return request_.turn();
    if (root == "results") return results();
    if (root == "request") return asked();
    return nullptr;
  }

  Json results() const {
    Json results = Json::array();
    for (const Message& message : request_.messages) {
      if (message.role != Role::kTool) continue;
      const Call* call = request_.call_of(message);
      if (call == nullptr) continue;
      results.push_back({{"tool", weft_tool_name(call->tool)},
                         {"args", parsed(call->arguments)},
                         {"output", parsed(message.text)},
                         {"text", message.text}});
    }
    return results;
  }

  Json asked() const {
    Json tools = Json::array();
    for (const std::string& tool : request_.tools) tools.push_back(weft_tool_name(tool));
    Json messages = Json::array();
    for (const Message& message : request_.messages) messages.push_back(plain(message));
    return {{"model", request_.model}, {"tools", std::move(tools)}, {"messages", std::move(messages)}};
  }

  const Request& request_;
  mutable std::map<std::string, Json, std::less<>> values_;
};

// The groups that a rule's patterns caught: the named ones by name, all by number from 1, over all of its patterns.
struct Captures {
  Json groups = Json::object();
  std::size_t count = 0;
};

bool search(const Pattern& pattern, std::string_view text, Captures& captures) {
  if (pattern == nullptr) return true;
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(pattern->NumberOfCapturingGroups()) + 1);
  re2::StringPiece whole(text.data(), text.size());
  if (!pattern->Match(whole, 0, whole.size(), re2::RE2::UNANCHORED, groups.data(), static_cast<int>(groups.size()))) {
    return false;
  }
  const auto& names = pattern->CapturingGroupNames();
  for (std::size_t i = 1; i < groups.size(); ++i) {
    std::string value = groups[i].ToString();
    captures.groups[std::to_string(++captures.count)] = value;
    if (auto name = names.find(static_cast<int>(i)); name != names.end()) captures.groups[name->second] = value;
  }
  return true;
}

// One of the results that the model has not seen yet.
bool has_result(const Request& request, const std::string& tool, const Pattern& pattern, Captures& captures) {
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    if (message->role != Role::kTool) return false;
    const Call* call = request.call_of(*message);
    if (call == nullptr || weft_tool_name(call->tool) != tool) continue;
    if (search(pattern, message->text, captures)) return true;
  }
  return false;
}

bool matches_texts(const When& when, const Request& request, Captures& captures) {
  if (when.model && *when.model != request.model) return false;
  if (when.turn && *when.turn != request.turn()) return false;
  const Message* first = request.first_user();
  const Message* last = request.last_user();
  std::string_view step = last == nullptr ? std::string_view() : std::string_view(last->text);
  step = step.substr(0, step.find('\n'));
  if (when.system != nullptr && !search(when.system, request.system(), captures)) return false;
  return search(when.user, first == nullptr ? std::string_view() : std::string_view(first->text), captures) &&
         search(when.step, step, captures) && search(when.last, request.messages.back().text, captures) &&
         (!when.tool_result || has_result(request, when.tool_result->first, when.tool_result->second, captures));
}

std::string error_body(std::string_view message, int status) {
  std::string_view type = status == 429 ? "rate_limit_error" : status < 500 ? "invalid_request_error" : "server_error";
  return to_text(Json{{"error", {{"message", message}, {"type", type}, {"param", nullptr}, {"code", type}}}});
}

Reply echo_of(const Request& request, const Pace& pace) {
  Reply reply;
  reply.rule = "echo";
  reply.pace = pace;
  reply.reasoning = kReasoning;
  const Message* user = request.last_user();
  std::string_view asked = user == nullptr ? std::string_view() : std::string_view(user->text);
  std::string_view said = without_schema(asked);
  auto schema = schema_asked_for(asked);
  if (schema || request.json_object) {
    std::string_view line = said.substr(0, said.find('\n'));
    std::string_view text = first_code_points(line, kEchoedCodePoints);
    reply.text = to_text(schema ? example_value(*schema, text) : Json{{"echo", text}});
    return reply;
  }
  // What does not fit into the answer is left out, since a cut answer is a failure to the one who asked.
  std::size_t room = std::min<std::uint64_t>(request.max_tokens, kEchoBytesMax);
  std::size_t reasoned = request.thinking == Thinking::kOn ? kReasoning.size() : 0;
  reply.text = first_code_points(said, std::max<std::size_t>(room, reasoned + 1) - reasoned);
  return reply;
}

Result<std::vector<Call>> make_calls(const CallPlan& plan, Values& values) {
  std::vector<Json> items = {nullptr};
  if (plan.for_each) {
    WEFT_TRY(Json list, plan.for_each->evaluate(values));
    if (!list.is_array()) return invalid_argument(fmt::format("for_each: {} is no list", plan.for_each->text()));
    items.assign(list.begin(), list.end());
  }
  if (items.size() > kCallsMax) {
    return resource_exhausted(fmt::format("for_each: {} calls are more than calls_max ({})", items.size(), kCallsMax));
  }
  std::vector<Call> calls;
  for (std::size_t i = 0; i < items.size(); ++i) {
    values.set("item", items[i]);
    values.set("index", i);
    Json args = Json::object();
    if (plan.args) {
      WEFT_TRY(args, plan.args->evaluate(values));
    }
    // A text is sent as it is: that is how a script sends arguments that are no JSON.
    calls.push_back({"", plan.tool, args.is_string() ? args.get<std::string>() : to_text(args)});
  }
  return calls;
}

class RuleScript final : public Script {
 public:
  explicit RuleScript(Rules rules) : rules_(std::move(rules)) {}

  const Settings& settings() const override { return rules_.settings; }

  Result<Reply> answer(const Request& request, Tally& tally) const override {
    const Message* first = request.first_user();
    std::uint64_t conversation = hash64(first == nullptr ? std::string_view() : std::string_view(first->text));
    for (std::size_t i = 0; i < rules_.rules.size(); ++i) {
      const Rule& rule = rules_.rules[i];
      Values values(request);
      auto matched = matches(rule, request, values);
      if (!matched) return located(rule, matched.error());
      if (!*matched) continue;
      if (rule.when.times && !tally.take(i, conversation, *rule.when.times)) continue;
      auto reply = fill(rule.reply, request, values);
      if (!reply) return located(rule, reply.error());
      return reply;
    }
    return not_found("No rule of the script answers this request.");
  }

 private:
  static Error located(const Rule& rule, const Error& error) {
    return {
        error.code, fmt::format("Rule {} of the script (line {}): {}", rule.name, rule.mark.line, error.message), {}};
  }

  static Result<bool> matches(const Rule& rule, const Request& request, Values& values) {
    Captures captures;
    if (!matches_texts(rule.when, request, captures)) return false;
    values.set("captures", std::move(captures.groups));
    if (!rule.when.that) return true;
    return rule.when.that->evaluate_bool(values);
  }

  Result<Reply> fill(const ReplyPlan& plan, const Request& request, Values& values) const {
    if (plan.echo) {
      Reply echoed = echo_of(request, plan.reply.pace);
      Reply reply = plan.reply;
      reply.text = std::move(echoed.text);
      reply.reasoning = std::move(echoed.reasoning);
      return reply;
    }
    Reply reply = plan.reply;
    reply.reasoning = kReasoning;
    if (plan.reasoning) {
      WEFT_TRY(reply.reasoning, plan.reasoning->evaluate_text(values));
    }
    if (plan.text) {
      WEFT_TRY(reply.text, plan.text->evaluate_text(values));
    }
    if (plan.json) {
      WEFT_TRY(Json json, plan.json->evaluate(values));
      reply.text = to_text(json);
    }
    for (const CallPlan& each : plan.calls) {
      WEFT_TRY(auto calls, make_calls(each, values));
      for (Call& call : calls) reply.calls.push_back(std::move(call));
    }
    if (reply.calls.size() > kCallsMax) {
      return resource_exhausted(fmt::format("{} calls are more than calls_max ({})", reply.calls.size(), kCallsMax));
    }
    if (reply.refusal && !plan.whole_body) {
      std::string message = "The script refuses this request.";
      if (plan.message) {
        WEFT_TRY(message, plan.message->evaluate_text(values));
      }
      reply.refusal->body = error_body(message, reply.refusal->status);
    }
    return reply;
  }

  const Rules rules_;
};

class EchoScript final : public Script {
 public:
  EchoScript() { settings_.any_model = true; }
  const Settings& settings() const override { return settings_; }
  Result<Reply> answer(const Request& request, Tally&) const override { return echo_of(request, settings_.pace); }

 private:
  Settings settings_;
};

}  // namespace

std::shared_ptr<const Script> Script::read(std::string_view yaml, workflows::Diagnostics& diagnostics) {
  auto rules = read_rules(yaml, diagnostics);
  if (!rules) return nullptr;
  return std::make_shared<RuleScript>(*std::move(rules));
}

std::shared_ptr<const Script> Script::echo() { return std::make_shared<EchoScript>(); }

}  // namespace weft::sim
