// The tools that a workflow declares for itself: their keys, and then what they name and what their templates may read.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workflows/draft.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

constexpr std::size_t kToolsMax = 1'000;
constexpr Between kLimit{1, 10'000};

const std::vector<std::string> kMethods{"get", "post", "put", "patch", "delete"};
const std::vector<std::string> kToolKeys{"description", "input",  "effect", "on_doubt",    "repeatable",
                                         "key_ttl",     "verify", "undo",   "concurrency", "http"};
// What HTTP itself, weft or a key of its own says.
const std::vector<std::string> kOwnHeaders{
    "host", "content-length", "transfer-encoding", "connection", "expect",          "idempotency-key",
    "te",   "trailer",        "upgrade",           "keep-alive", "proxy-connection"};

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

bool read_flag(Draft& draft, const yaml::Node& node, std::string_view what) {
  const auto flag = node.as_bool();
  if (!flag) expected(draft.diagnostics, node, what, "true or false");
  return flag.value_or(false);
}

Counterpart read_counterpart(Draft& draft, const yaml::Node& node, const char* what) {
  Counterpart counterpart;
  if (!node.is_map()) {
    counterpart.tool = read_text(draft.diagnostics, node, what).value_or("");
    return counterpart;
  }
  if (const yaml::Node* tool = node.get("tool")) {
    counterpart.tool = read_text(draft.diagnostics, *tool, "tool").value_or("");
  } else {
    draft.diagnostics.error(node.mark, "missing-key", fmt::format("{} names no tool", what),
                            "write {tool: NAME, args: {…}}");
  }
  if (const yaml::Node* args = node.get("args")) counterpart.args = read_template(draft, *args);
  yaml::refuse_unused(node, what, {"tool", "args"}, draft.diagnostics);
  return counterpart;
}

Concurrency read_concurrency(Draft& draft, const yaml::Node& node, Effect effect) {
  Concurrency concurrency;
  if (!node.is_map()) {
    expected(draft.diagnostics, node, "concurrency", "a map: {key: TEMPLATE, limit: N}");
    return concurrency;
  }
  if (const yaml::Node* key = node.get("key")) concurrency.key = read_template(draft, *key);
  if (const yaml::Node* limit = node.get("limit")) {
    concurrency.limit = static_cast<std::uint32_t>(read_count(draft.diagnostics, *limit, "limit", kLimit).value_or(1));
  } else if (concurrency.key) {
    draft.diagnostics.error(node.mark, "missing-key", "concurrency has a key and no limit", "write limit: 1");
  }
  if (const yaml::Node* share = node.get("share")) {
    concurrency.share = read_flag(draft, *share, "share");
    if (concurrency.share && changes_world(effect)) {
      draft.diagnostics.error(share->mark, "effect",
                              "calls that may change the world are not shared: each of them is an effect",
                              "share only tools with effect: read or pure");
    }
  }
  yaml::refuse_unused(node, "concurrency", {"key", "limit", "share"}, draft.diagnostics);
  return concurrency;
}

// Where a request goes must not hang on a model's arguments: scheme and host stand there literally.
bool has_literal_host(std::string_view url) {
  const std::size_t scheme = url.starts_with("https://") ? 8 : url.starts_with("http://") ? 7 : std::string_view::npos;
  if (scheme == std::string_view::npos) return false;
  const std::string_view host = url.substr(scheme, url.find_first_of("/?#", scheme) - scheme);
  return !host.empty() && host.find("{{") == std::string_view::npos && host.find('@') == std::string_view::npos;
}

void read_headers(Draft& draft, const yaml::Node& node, HttpBinding& http) {
  if (!node.is_map()) return expected(draft.diagnostics, node, "headers", "a map of names to texts");
  for (const auto& member : node.members) {
    member.used = true;
    const bool token = !member.key.empty() && std::ranges::all_of(member.key, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (!token) {
      draft.diagnostics.error(member.key_mark, "name", fmt::format("\"{}\" is no name of a header", member.key),
                              "letters, digits, - and _", member.key);
    } else if (std::ranges::find(kOwnHeaders, lower(member.key)) != kOwnHeaders.end()) {
      draft.diagnostics.error(
          member.key_mark, "name", fmt::format("the header {} is not set by a workflow", member.key),
          lower(member.key) == "idempotency-key" ? "write idempotency_key: \"{{ call.key }}\"" : "", member.key);
    } else if (std::ranges::any_of(http.headers,
                                   [&](const auto& known) { return lower(known.first) == lower(member.key); })) {
      draft.diagnostics.error(member.key_mark, "name",
                              fmt::format("the header {} stands here twice: case does not tell them apart", member.key),
                              "write it once", member.key);
    } else if (!member.value->is_scalar()) {
      expected(draft.diagnostics, *member.value, fmt::format("the header {}", member.key), "a text");
    } else {
      http.headers.emplace_back(member.key, read_template(draft, *member.value));
    }
  }
}

void read_bearer(Draft& draft, const yaml::Node& node, HttpBinding& http) {
  const auto name = read_text(draft.diagnostics, node, "bearer");
  if (!name) return;
  const bool good = !name->empty() && std::ranges::all_of(*name, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!good) {
    // The text itself is not repeated: it may be the secret.
    draft.diagnostics.error(node.mark, "secret", "bearer names the environment variable that holds the token",
                            "write bearer: SHOP_TOKEN");
    return;
  }
  http.bearer = *name;
  const auto refusal = draft.world.refuse_secret ? draft.world.refuse_secret(*name) : std::nullopt;
  if (refusal) draft.diagnostics.error(node.mark, "secret", *refusal, {}, *name);
}

void read_key(Draft& draft, const yaml::Node& node, Tool& tool) {
  tool.http.sends_key = true;
  Template key = read_template(draft, node);
  std::string text = node.is_scalar() ? node.text : std::string();
  std::erase(text, ' ');
  if (text != "{{call.key}}") tool.policy.key = std::move(key);
}

void read_http(Draft& draft, const yaml::Node& node, Tool& tool) {
  if (!node.is_map()) return expected(draft.diagnostics, node, "http", "a map: {get: URL}");
  HttpBinding& http = tool.http;
  for (const std::string& method : kMethods) {
    const yaml::Node* url = node.get(method);
    if (!url) continue;
    if (!http.method.empty()) {
      draft.diagnostics.error(key_mark(node, method), "http", "a request has one method",
                              fmt::format("one of {}", fmt::join(kMethods, ", ")));
    }
    http.method = upper(method);
    if (!url->is_string() || !has_literal_host(url->text)) {
      draft.diagnostics.error(url->mark, "http",
                              "the URL begins with http:// or https:// and a host that is written out",
                              "{{ }} may stand behind the host: https://shop.example/orders/{{ args.id }}");
    }
    http.url = read_template(draft, *url);
  }
  if (http.method.empty()) {
    draft.diagnostics.error(node.mark, "missing-key", "http names no method and URL", "write {get: URL}");
  }
  if (const yaml::Node* headers = node.get("headers")) read_headers(draft, *headers, http);
  if (const yaml::Node* bearer = node.get("bearer")) {
    read_bearer(draft, *bearer, http);
    if (std::ranges::any_of(http.headers, [](const auto& header) { return lower(header.first) == "authorization"; })) {
      draft.diagnostics.error(key_mark(node, "bearer"), "http",
                              "bearer is the header Authorization, which stands here too", "write one of them");
    }
  }
  if (const yaml::Node* json = node.get("json")) {
    http.json = read_template(draft, *json);
    if (http.method == "GET") draft.diagnostics.error(key_mark(node, "json"), "http", "a GET request has no body");
  }
  if (const yaml::Node* key = node.get("idempotency_key")) read_key(draft, *key, tool);
  if (const yaml::Node* timeout = node.get("timeout")) {
    http.timeout = read_duration(draft.diagnostics, *timeout, "timeout").value_or(http.timeout);
  }
  refuse_later(draft.diagnostics, node, {"redirects", "form", "text", "query"});
  std::vector<std::string> known = kMethods;
  known.insert(known.end(), {"headers", "bearer", "json", "idempotency_key", "timeout"});
  yaml::refuse_unused(node, "http", known, draft.diagnostics);
}

Effect read_effect(Draft& draft, const yaml::Node* node) {
  const auto name =
      node ? read_choice(draft.diagnostics, *node, "effect", {"pure", "read", "idempotent", "write"}) : std::nullopt;
  if (name == "pure") return Effect::kPure;
  if (name == "read") return Effect::kRead;
  if (name == "idempotent") return Effect::kIdempotent;
  return Effect::kWrite;
}

void read_policy(Draft& draft, const yaml::Node& node, ToolPolicy& policy) {
  policy.effect = read_effect(draft, node.get("effect"));
  if (const yaml::Node* on_doubt = node.get("on_doubt")) {
    const auto way = read_choice(draft.diagnostics, *on_doubt, "on_doubt", {"ask", "retry", "skip", "fail"});
    if (way == "retry") policy.on_doubt = OnDoubt::kRetry;
    if (way == "skip") policy.on_doubt = OnDoubt::kSkip;
    if (way == "fail") policy.on_doubt = OnDoubt::kFail;
  }
  if (const yaml::Node* repeatable = node.get("repeatable"))
    policy.repeatable = read_flag(draft, *repeatable, "repeatable");
  if (const yaml::Node* ttl = node.get("key_ttl")) {
    policy.key_ttl = read_duration(draft.diagnostics, *ttl, "key_ttl").value_or(policy.key_ttl);
  }
  if (const yaml::Node* verify = node.get("verify")) policy.verify = read_counterpart(draft, *verify, "verify");
  if (const yaml::Node* undo = node.get("undo")) policy.undo = read_counterpart(draft, *undo, "undo");
  for (const char* key : {"on_doubt", "repeatable", "key_ttl", "verify", "undo"}) {
    if (!node.has(key) || changes_world(policy.effect)) continue;
    draft.diagnostics.error(key_mark(node, key), "effect",
                            fmt::format("{} says something of tools that change the world, and this one has effect: {}",
                                        key, policy.effect == Effect::kPure ? "pure" : "read"),
                            fmt::format("leave {} out", key));
  }
}

void read_tool(Draft& draft, const yaml::Node::Member& member) {
  Diagnostics& diagnostics = draft.diagnostics;
  const yaml::Node& node = *member.value;
  check_name(diagnostics, member.key_mark, "a tool", member.key);
  if (member.key.find("__") != std::string::npos) {
    diagnostics.error(member.key_mark, "name",
                      fmt::format("the tool {} has __ in its name, which stands for a dot", member.key));
  }
  if (draft.find_tool(member.key)) {
    diagnostics.error(member.key_mark, "name", fmt::format("the server itself has a tool \"{}\"", member.key),
                      "give it another name", member.key);
  }
  Tool tool;
  tool.name = member.key;
  if (!node.is_map()) {
    expected(diagnostics, node, fmt::format("the tool \"{}\"", member.key), "a map such as {http: {get: URL}}");
  } else {
    if (const yaml::Node* description = node.get("description")) {
      tool.description = read_text(diagnostics, *description, "description").value_or("");
      if (has_template(tool.description)) {
        diagnostics.error(description->mark, "static-text",
                          "a tool's description is the same for every call, so it holds no {{ }}",
                          "a value that varies here would lose the cached prefix");
      }
    }
    static const yaml::NodePtr kNothing = std::make_shared<yaml::Node>([] {
      yaml::Node none;
      none.kind = yaml::Kind::kMap;
      return none;
    }());
    const yaml::Node* input = node.get("input");
    tool.input = Shape::read(input ? *input : *kNothing, diagnostics);
    read_policy(draft, node, tool.policy);
    if (const yaml::Node* concurrency = node.get("concurrency"))
      tool.concurrency = read_concurrency(draft, *concurrency, tool.policy.effect);
    if (const yaml::Node* http = node.get("http")) {
      read_http(draft, *http, tool);
    } else if (!node.has("mcp") && !node.has("command")) {
      diagnostics.error(member.key_mark, "missing-key",
                        fmt::format("the tool \"{}\" does not say what it calls", member.key),
                        "write http: {get: URL}");
    }
    refuse_later(diagnostics, node, {"mcp", "command", "approve", "hide", "output"});
    yaml::refuse_unused(node, "a tool", kToolKeys, diagnostics);
  }
  draft.tools.push_back({tool.name, weft::to_text(tool.input.schema()), tool.policy.effect});
  draft.workflow->tools.push_back(std::move(tool));
}

// `args`, `call`, and where a call is undone its `output`.
class ToolNames final : public TypeScope {
 public:
  enum class Output : std::uint8_t { kNone, kKnown };
  ToolNames(Type args, Output output) : args_(std::move(args)), output_(output) {}

  std::optional<Type> name(std::string_view root) const override {
    const Type text = Type::of(Type::Kind::kString);
    if (root == "args") return args_;
    if (root == "call") return Type::object({{"key", text, {}}, {"id", text, {}}});
    if (root == "output" && output_ == Output::kKnown) return Type();
    return std::nullopt;
  }
  Result<Type> step(std::string_view, std::string_view, bool) const override {
    return not_found("a tool knows no steps: it is given its arguments").with("code", "unknown-name");
  }
  std::vector<std::string> names() const override {
    if (output_ == Output::kKnown) return {"args", "call", "output"};
    return {"args", "call"};
  }

 private:
  Type args_;
  Output output_;
};

bool sends_key(const Tool& tool) {
  const auto reads_call = [](const Template& text) {
    return std::ranges::find(text.roots(), "call") != text.roots().end();
  };
  if (tool.http.sends_key || reads_call(tool.http.url) || (tool.http.json && reads_call(*tool.http.json))) return true;
  return std::ranges::any_of(tool.http.headers, [&](const auto& header) { return reads_call(header.second); });
}

void check_counterpart(Draft& draft, Tool& tool, std::optional<Counterpart>& counterpart, const yaml::Node& node,
                       const char* what, const ToolNames& names) {
  if (!counterpart) return;
  const yaml::Node& at = *node.get(what);
  const yaml::Node* args = at.is_map() ? at.get("args") : nullptr;
  if (counterpart->args) counterpart->args->check(names, draft.diagnostics);
  const KnownTool* other = draft.find_tool(counterpart->tool);
  if (!other) return say_unknown_tool(draft, {counterpart->tool, at.mark});
  const bool verifies = std::string_view(what) == "verify";
  if (verifies && changes_world(other->effect)) {
    draft.diagnostics.error(at.mark, "effect",
                            fmt::format("the tool {} verifies {}, so it must change nothing", other->name, tool.name),
                            "declare it with effect: read", other->name);
  }
  if (!verifies && other->name == tool.name) {
    draft.diagnostics.error(at.mark, "effect", fmt::format("the tool {} cannot undo itself", tool.name));
  }
  if (counterpart->args) return check_arg_names(draft, *other, args, at.mark);
  if (weft::to_text(tool.input.schema()) == other->input_schema) return;
  draft.diagnostics.error(at.mark, "args",
                          fmt::format("the tool {} takes other arguments than {}", other->name, tool.name),
                          fmt::format("write {}: {{tool: {}, args: {{…}}}}", what, other->name), other->name);
}

void check_tool(Draft& draft, Tool& tool, const yaml::Node::Member& member) {
  const yaml::Node& node = *member.value;
  if (!node.is_map()) return;
  Diagnostics& diagnostics = draft.diagnostics;
  const ToolNames names(tool.input.type(), ToolNames::Output::kNone);
  const ToolNames after(tool.input.type(), ToolNames::Output::kKnown);
  tool.http.url.check(names, diagnostics);
  for (auto& [header, value] : tool.http.headers) value.check(names, diagnostics);
  if (tool.http.json) tool.http.json->check(names, diagnostics);
  if (tool.policy.key) tool.policy.key->check(names, diagnostics);
  if (tool.concurrency.key) tool.concurrency.key->check(names, diagnostics);
  check_counterpart(draft, tool, tool.policy.verify, node, "verify", names);
  check_counterpart(draft, tool, tool.policy.undo, node, "undo", after);
  if (sends_key(tool) || tool.policy.verify || tool.http.method.empty()) return;
  if (tool.policy.effect == Effect::kWrite) {
    diagnostics.warning(member.key_mark, "write-without-key",
                        fmt::format("the tool \"{}\" may change the world and sends no key, so after a crash nobody "
                                    "can tell whether it did",
                                    tool.name),
                        "send idempotency_key: \"{{ call.key }}\" in http, or name a tool that can look: verify: TOOL",
                        tool.name);
  } else if (tool.policy.effect == Effect::kIdempotent && (tool.http.method == "POST" || tool.http.method == "PATCH")) {
    diagnostics.warning(member.key_mark, "idempotent-without-key",
                        fmt::format("the tool \"{}\" says that it is idempotent, and its {} requests carry no key by "
                                    "which the other side knows them again",
                                    tool.name, tool.http.method),
                        "send idempotency_key: \"{{ call.key }}\" in http", tool.name);
  }
}

}  // namespace

void read_tools(Draft& draft, const yaml::Node& top) {
  const yaml::Node* tools = top.get("tools");
  if (!tools) return;
  if (!tools->is_map()) return expected(draft.diagnostics, *tools, "tools", "a map of names to tools");
  for (const auto& member : tools->members) {
    member.used = true;
    if (draft.workflow->tools.size() >= kToolsMax) {
      return draft.diagnostics.error(member.key_mark, "limit",
                                     fmt::format("a workflow declares at most {} tools", kToolsMax));
    }
    read_tool(draft, member);
  }
}

void check_tools(Draft& draft) {
  const yaml::Node* tools = draft.root->get("tools");
  if (!tools || !tools->is_map()) return;
  for (std::size_t i = 0; i < draft.workflow->tools.size(); ++i) {
    check_tool(draft, draft.workflow->tools[i], tools->members[i]);
  }
}

}  // namespace weft::workflows
