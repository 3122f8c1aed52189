#include "sim/rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "workflows/yaml.h"

namespace weft::sim {
namespace {

using workflows::Diagnostics;
using workflows::Expression;
using workflows::Template;
using workflows::Type;
using yaml::Node;

constexpr std::int64_t kVersion = 1;
constexpr std::uint64_t kStreamsMax = 10'000;
constexpr std::uint64_t kCountMax = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t kPatternMemory = 8 << 20;

// The names that expressions of a script may use (docs/sim.md).
class Names final : public workflows::TypeScope {
 public:
  std::optional<Type> name(std::string_view root) const override {
    if (root == "turn" || root == "index") return Type::of(Type::Kind::kInteger);
    if (root == "last" || root == "user" || root == "system") return Type::of(Type::Kind::kString);
    if (root == "results") return Type::list(Type());
    if (root == "request" || root == "captures" || root == "item") return Type();
    return std::nullopt;
  }
  Result<Type> step(std::string_view name, std::string_view, bool) const override {
    return not_found(
        fmt::format("a script knows no steps, so no {}; it knows what was asked: request, results, last", name));
  }
  std::vector<std::string> names() const override {
    return {"request", "last", "results", "user", "system", "turn", "captures", "item", "index"};
  }
};

class Reader {
 public:
  explicit Reader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  Rules script(const Node& root) {
    Rules rules;
    if (!require_map(root, "a script")) return rules;
    version(root);
    settings(root, rules.settings);
    const Node* list = root.get("rules");
    if (list == nullptr || !list->is_sequence() || list->items.size() > kRulesMax) {
      fault(list == nullptr ? root : *list, fmt::format("a script has `rules`, a list of at most {}", kRulesMax));
    } else {
      for (const auto& item : list->items) rules.rules.push_back(rule(*item, rules));
    }
    refuse(root, "a script", {"sim", "models", "any_model", "streams_max", "context", "defaults", "cache", "rules"});
    return rules;
  }

 private:
  void fault(const Node& at, std::string message) { diagnostics_.error(at.mark, "script", std::move(message)); }

  void refuse(const Node& map, std::string_view what, const std::vector<std::string>& known) {
    yaml::refuse_unused(map, what, known, diagnostics_);
  }

  bool require_map(const Node& node, std::string_view what) {
    if (!node.is_map()) fault(node, fmt::format("{} is a map", what));
    return node.is_map();
  }

  std::string text(const Node* node, std::string_view what) {
    if (node == nullptr) return {};
    if (!node->is_scalar()) fault(*node, fmt::format("{} is a text", what));
    return node->text;
  }

  std::uint64_t count(const Node* node, std::string_view what, std::uint64_t otherwise, std::uint64_t min = 0,
                      std::uint64_t max = kCountMax) {
    if (node == nullptr) return otherwise;
    auto value = node->as_integer();
    if (value && *value >= 0 && static_cast<std::uint64_t>(*value) >= min &&
        static_cast<std::uint64_t>(*value) <= max) {
      return static_cast<std::uint64_t>(*value);
    }
    fault(*node, fmt::format("{} is a whole number from {} to {}", what, min, max));
    return otherwise;
  }
  std::optional<std::uint64_t> maybe_count(const Node* node, std::string_view what, std::uint64_t min = 0) {
    if (node == nullptr) return std::nullopt;
    return count(node, what, 0, min);
  }

  bool flag(const Node* node, std::string_view what) {
    if (node == nullptr) return false;
    auto value = node->as_bool();
    if (!value) fault(*node, fmt::format("{} is true or false", what));
    return value.value_or(false);
  }

  Duration duration(const Node* node, Duration otherwise) {
    if (node == nullptr) return otherwise;
    auto value = parse_duration(node->text);
    if (value) return *value;
    fault(*node, value.error().message);
    return otherwise;
  }

  Pattern pattern(const Node* node) {
    if (node == nullptr) return nullptr;
    re2::RE2::Options options(re2::RE2::Quiet);
    options.set_max_mem(kPatternMemory);
    auto compiled = std::make_shared<const re2::RE2>(text(node, "a pattern"), options);
    if (!compiled->ok()) fault(*node, fmt::format("the pattern cannot be read: {}", compiled->error()));
    return compiled;
  }

  std::optional<Expression> expression(const Node* node) {
    if (node == nullptr) return std::nullopt;
    auto parsed = Expression::parse(text(node, "an expression"), node->text_mark, diagnostics_);
    if (parsed) parsed->check(Names(), diagnostics_);
    return parsed;
  }

  std::optional<Template> value(const Node* node) {
    if (node == nullptr) return std::nullopt;
    auto read = Template::read(*node, diagnostics_);
    if (read) read->check(Names(), diagnostics_);
    return read;
  }

  void version(const Node& root) {
    const Node* sim = root.get("sim");
    auto number = sim == nullptr ? std::nullopt : sim->as_integer();
    if (number != kVersion) {
      fault(sim == nullptr ? root : *sim,
            fmt::format("a script begins with `sim: {}`, its language's version; this program knows {} alone", kVersion,
                        kVersion));
    }
  }

  void settings(const Node& root, Settings& settings) {
    if (const Node* models = root.get("models")) {
      if (!models->is_sequence()) fault(*models, "`models` is a list of names");
      for (const auto& name : models->items) settings.models.push_back(text(name.get(), "a model's name"));
    }
    settings.any_model = flag(root.get("any_model"), "`any_model`");
    settings.streams_max = count(root.get("streams_max"), "`streams_max`", 0, 1, kStreamsMax);
    settings.context = count(root.get("context"), "`context`", 0, 1);
    if (const Node* defaults = root.get("defaults"); defaults != nullptr && require_map(*defaults, "`defaults`")) {
      settings.pace = pace(*defaults, {});
      refuse(*defaults, "`defaults`", {"first_token", "tokens_per_second"});
    }
    if (const Node* cache = root.get("cache"); cache != nullptr && require_map(*cache, "`cache`")) {
      CacheRules& rules = settings.cache;
      rules.unit = count(cache->get("unit"), "`unit`", rules.unit, 1, 1 << 20);
      rules.every = count(cache->get("every"), "`every`", 0);
      if (rules.every % rules.unit != 0) fault(*cache, "`every` is a multiple of `unit`");
      rules.delay = duration(cache->get("delay"), rules.delay);
      rules.idle = duration(cache->get("idle"), rules.idle);
      refuse(*cache, "`cache`", {"unit", "delay", "idle", "every"});
    }
  }

  Pace pace(const Node& map, Pace otherwise) {
    Pace pace = otherwise;
    pace.first_token = duration(map.get("first_token"), pace.first_token);
    if (const Node* rate = map.get("tokens_per_second")) {
      auto number = rate->as_number();
      if (!number || *number < 0 || *number > 1e6) fault(*rate, "`tokens_per_second` is a number from 0 to 1000000");
      pace.tokens_per_second = number.value_or(0);
    }
    return pace;
  }

  Rule rule(const Node& node, const Rules& rules) {
    Rule rule;
    rule.mark = node.mark;
    rule.name = fmt::format("#{}", rules.rules.size() + 1);
    if (!require_map(node, "a rule")) return rule;
    if (const Node* name = node.get("name")) rule.name = text(name, "`name`");
    if (const Node* condition = node.get("when"); condition != nullptr && require_map(*condition, "`when`")) {
      rule.when = when(*condition);
    }
    const Node* reply = node.get("reply");
    if (reply == nullptr) {
      fault(node, "a rule has a `reply`");
    } else if (require_map(*reply, "`reply`")) {
      rule.reply = plan(*reply, rules.settings.pace);
    }
    rule.reply.reply.rule = rule.name;
    refuse(node, "a rule", {"name", "when", "reply"});
    return rule;
  }

  When when(const Node& node) {
    When when;
    when.system = pattern(node.get("system"));
    when.user = pattern(node.get("user"));
    when.step = pattern(node.get("step"));
    when.last = pattern(node.get("last"));
    if (const Node* model = node.get("model")) when.model = text(model, "`model`");
    when.turn = maybe_count(node.get("turn"), "`turn`", 1);
    when.times = maybe_count(node.get("times"), "`times`", 1);
    when.that = expression(node.get("that"));
    if (const Node* result = node.get("tool_result"); result != nullptr && require_map(*result, "`tool_result`")) {
      if (!result->has("tool")) fault(*result, "`tool_result` names its `tool`");
      when.tool_result.emplace(text(result->get("tool"), "`tool`"), pattern(result->get("matches")));
      refuse(*result, "`tool_result`", {"tool", "matches"});
    }
    refuse(node, "`when`", {"system", "user", "step", "last", "model", "turn", "times", "that", "tool_result"});
    return when;
  }

  ReplyPlan plan(const Node& node, const Pace& defaults) {
    ReplyPlan plan;
    Reply& reply = plan.reply;
    plan.echo = flag(node.get("echo"), "`echo`");
    plan.text = value(node.get("text"));
    plan.json = value(node.get("json"));
    plan.reasoning = value(node.get("reasoning"));
    if (plan.text && plan.json) fault(node, "a reply has `text` or `json`, not both");
    if (const Node* calls = node.get("calls")) {
      if (!calls->is_sequence()) fault(*calls, "`calls` is a list");
      for (const auto& call : calls->items) plan.calls.push_back(call_plan(*call));
    }
    reply.finish = text(node.get("finish"), "`finish`");
    usage(node.get("usage"), reply);
    if (const Node* error = node.get("error"); error != nullptr && require_map(*error, "`error`")) {
      refusal(*error, plan);
    }
    if (const Node* raw = node.get("raw")) {
      if (!raw->is_sequence() || raw->items.size() > kRawLinesMax) {
        fault(*raw, fmt::format("`raw` is a list of at most {} lines", kRawLinesMax));
      }
      for (const auto& line : raw->items) reply.raw.push_back(text(line.get(), "a line"));
    }
    faults(node, reply.faults);
    reply.pace = pace(node, defaults);
    reply.keep_alive = duration(node.get("keep_alive"), Duration(0));
    constexpr std::string_view says[] = {"text",   "json",  "calls", "echo", "reasoning",
                                         "finish", "error", "raw",   "drop"};
    if (std::ranges::none_of(says, [&](std::string_view key) { return node.has(key); })) {
      fault(node, "a reply says something: `text`, `json`, `calls`, `echo`, `error`, `raw` or `drop`");
    }
    refuse(node, "`reply`",
           {"text", "json", "calls", "echo", "reasoning", "finish", "usage", "error", "raw", "cut_after", "stall_after",
            "reset_after", "malformed_after", "no_done", "drop", "first_token", "tokens_per_second", "keep_alive"});
    return plan;
  }

  CallPlan call_plan(const Node& node) {
    CallPlan call;
    if (!require_map(node, "a call")) return call;
    if (!node.has("tool")) fault(node, "a call names its `tool`");
    call.tool = wire_tool_name(text(node.get("tool"), "`tool`"));
    call.for_each = expression(node.get("for_each"));
    call.args = value(node.get("args"));
    refuse(node, "a call", {"tool", "for_each", "args"});
    return call;
  }

  void usage(const Node* node, Reply& reply) {
    if (node == nullptr) return;
    if (node->is_map()) {
      reply.usage_fields = std::make_shared<const Json>(node->to_json());
    } else if (node->text == "none") {
      reply.usage = UsageReport::kNone;
    } else {
      fault(*node, "`usage` is `none`, or a map of the fields that replace counted ones");
    }
  }

  void refusal(const Node& node, ReplyPlan& plan) {
    Refusal refusal;
    refusal.status = static_cast<int>(count(node.get("status"), "`status`", 500, 200, 599));
    refusal.retry_after = text(node.get("retry_after"), "`retry_after`");
    plan.message = value(node.get("message"));
    if (const Node* body = node.get("body")) {
      if (plan.message) fault(*body, "an error has a `message`, or its whole `body`");
      bool is_text = body->is_scalar();
      plan.whole_body = true;
      refusal.body = is_text ? body->text : to_text(body->to_json());
      if (is_text) refusal.content_type = "text/html";
    }
    plan.reply.refusal = std::move(refusal);
    refuse(node, "`error`", {"status", "message", "body", "retry_after"});
  }

  void faults(const Node& node, Faults& faults) {
    faults.cut_after = maybe_count(node.get("cut_after"), "`cut_after`");
    faults.stall_after = maybe_count(node.get("stall_after"), "`stall_after`");
    faults.reset_after = maybe_count(node.get("reset_after"), "`reset_after`");
    faults.malformed_after = maybe_count(node.get("malformed_after"), "`malformed_after`");
    faults.no_done = flag(node.get("no_done"), "`no_done`");
    faults.drop = flag(node.get("drop"), "`drop`");
  }

  Diagnostics& diagnostics_;
};

}  // namespace

std::optional<Rules> read_rules(std::string_view yaml, Diagnostics& diagnostics) {
  yaml::NodePtr root = yaml::read(yaml, diagnostics);
  if (root == nullptr) return std::nullopt;
  Rules rules = Reader(diagnostics).script(*root);
  if (diagnostics.has_errors()) return std::nullopt;
  return rules;
}

}  // namespace weft::sim
