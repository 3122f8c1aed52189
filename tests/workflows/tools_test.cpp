// The tools that a workflow declares: what the checker finds in them, and what becomes of a good one.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "loading.h"

using namespace weft;
using namespace weft::workflows;

namespace {

std::string with(const std::string& tools, const std::string& steps = "  a: {set: 1}\n") {
  return whole("tools:\n" + tools + "steps:\n" + steps);
}

std::vector<std::string> codes(const std::string& text) {
  std::vector<std::string> codes;
  for (const Diagnostic& diagnostic : load_text(text).diagnostics) {
    UNSCOPED_INFO(to_text(diagnostic));
    codes.push_back(diagnostic.code);
  }
  return codes;
}

using Codes = std::vector<std::string>;

}  // namespace

TEST_CASE("a tool has what it declares, and what it does not declare is a write that asks") {
  const auto workflow = load_good(with(R"(
  look: {effect: read, input: {id: string}, concurrency: {share: true}, http: {get: "https://shop.example/{{ args.id }}"}}
  bare: {http: {post: "https://shop.example/x", idempotency_key: "{{ call.key }}"}}
  full:
    effect: idempotent
    key_ttl: 2h
    on_doubt: retry
    repeatable: true
    input: {id: string}
    verify: look
    undo: {tool: bare, args: {}}
    concurrency: {key: "{{ args.id }}", limit: 3}
    http: {put: "https://shop.example/y", timeout: 5s, idempotency_key: "k-{{ args.id }}"}
)"));
  const Tool& bare = *workflow->tool("bare");
  CHECK(bare.policy.effect == Effect::kWrite);
  CHECK(bare.policy.on_doubt == OnDoubt::kAsk);
  CHECK(bare.http.sends_key);
  CHECK_FALSE(bare.policy.key);
  CHECK(bare.input.validate(Json::object(), "arguments"));
  CHECK_FALSE(bare.input.validate(Json{{"x", 1}}, "arguments"));
  const Tool& full = *workflow->tool("full");
  CHECK(full.policy.effect == Effect::kIdempotent);
  CHECK(full.policy.on_doubt == OnDoubt::kRetry);
  CHECK(full.policy.repeatable);
  CHECK(full.policy.key_ttl == std::chrono::hours(2));
  CHECK(full.policy.verify->tool == "look");
  CHECK(full.policy.undo->tool == "bare");
  CHECK(full.concurrency.limit == 3);
  CHECK(full.http.method == "PUT");
  CHECK(full.http.timeout == std::chrono::seconds(5));
  CHECK(full.policy.key);
  CHECK(workflow->tool("look")->concurrency.share);
  CHECK(workflow->tool("none") == nullptr);
}

TEST_CASE("what a tool declares changes the hash of its workflow") {
  const auto hash = [](const std::string& effect) {
    return load_good(with("  t: {effect: " + effect + ", http: {get: \"https://shop.example/\"}}\n"))->hash;
  };
  CHECK(hash("read") != hash("pure"));
  CHECK(hash("read") == hash("read"));
}

TEST_CASE("a request that cannot be, or goes where a value says, is refused") {
  const auto http = [](const std::string& keys) { return codes(with("  t: {effect: read, http: {" + keys + "}}\n")); };
  CHECK(http("get: \"https://shop.example\"") == Codes{});
  CHECK(http("get: \"shop.example\"") == Codes{"http"});
  CHECK(http("get: \"ftp://shop.example\"") == Codes{"http"});
  CHECK(http("get: \"https://{{ args.host }}/x\"") == Codes{"http", "unknown-field"});
  CHECK(http("get: \"https://user@shop.example/\"") == Codes{"http"});
  CHECK(http("get: \"https://shop.example/{{ steps.a.output }}\"") == Codes{"unknown-name"});
  CHECK(http("get: \"https://shop.example/{{ input.x }}\"") == Codes{"unknown-name"});
  CHECK(http("get: \"https://a.example\", post: \"https://b.example\"") == Codes{"http"});
  CHECK(http("json: {a: 1}") == Codes{"missing-key"});
  CHECK(http("get: \"https://a.example\", json: {a: 1}") == Codes{"http"});
  CHECK(http("get: \"https://a.example\", headers: {\"a b\": x}") == Codes{"name"});
  CHECK(http("get: \"https://a.example\", headers: {Host: x}") == Codes{"name"});
  CHECK(http("get: \"https://a.example\", headers: {idempotency-key: x}") == Codes{"name"});
  CHECK(http("get: \"https://a.example\", headers: {TE: x}") == Codes{"name"});
  CHECK(http("get: \"https://a.example\", headers: {X-A: x, x-a: y}") == Codes{"name"});
  CHECK(http("get: \"https://a.example\", headers: {authorization: x}, bearer: SHOP_TOKEN") == Codes{"http"});
  CHECK(http("get: \"https://a.example\", bearer: \"not a name\"") == Codes{"secret"});
  CHECK(http("get: \"https://a.example\", redirects: 3") == Codes{"later"});
  CHECK(http("gte: \"https://a.example\"") == Codes{"missing-key", "unknown-key"});
}

TEST_CASE("what a tool says of its effect must hang together") {
  const auto tool = [](const std::string& keys) {
    return codes(
        with("  look: {effect: read, input: {id: string}, http: {get: \"https://a.example\"}}\n"
             "  put: {effect: idempotent, input: {id: string}, http: {put: \"https://a.example\"}}\n"
             "  t: {" +
             keys + "}\n"));
  };
  const std::string post = "http: {post: \"https://a.example\", idempotency_key: \"{{ call.key }}\"}";
  const std::string get = "http: {get: \"https://a.example\"}";
  CHECK(tool(post) == Codes{});
  CHECK(tool("http: {post: \"https://a.example\"}") == Codes{"write-without-key"});
  CHECK(tool("effect: idempotent, http: {post: \"https://a.example\"}") == Codes{"idempotent-without-key"});
  CHECK(tool("effect: idempotent, http: {put: \"https://a.example\"}") == Codes{});
  CHECK(tool("input: {id: string}, verify: look, http: {post: \"https://a.example\"}") == Codes{});
  CHECK(tool("effect: red, " + get) == Codes{"write-without-key", "choice"});
  CHECK(tool("effect: read, on_doubt: skip, " + get) == Codes{"effect"});
  CHECK(tool("effect: read, concurrency: {share: true}, " + get) == Codes{});
  CHECK(tool("concurrency: {share: true}, " + post) == Codes{"effect"});
  CHECK(tool("concurrency: {key: \"{{ args.id }}\"}, input: {id: string}, " + post) == Codes{"missing-key"});
  CHECK(tool("input: {id: string}, verify: put, " + post) == Codes{"effect"});
  CHECK(tool("input: {id: string}, verify: nobody, " + post) == Codes{"unknown-tool"});
  CHECK(tool("input: {n: string}, verify: look, " + post) == Codes{"args"});
  CHECK(tool("input: {n: string}, verify: {tool: look, args: {id: \"{{ args.n }}\"}}, " + post) == Codes{});
  CHECK(tool("input: {n: string}, undo: {tool: put, args: {id: \"{{ output.id }}\"}}, " + post) == Codes{});
  CHECK(tool("input: {n: string}, verify: {tool: look, args: {id: \"{{ output.id }}\"}}, " + post) ==
        Codes{"unknown-name"});
  CHECK(tool("description: \"Now {{ args.x }}\", " + post) == Codes{"static-text"});
  CHECK(tool("mcp: {command: [x]}") == Codes{"later"});
  CHECK(tool("input: {id: string}") == Codes{"missing-key"});
}

TEST_CASE("a tool of the workflow is known to its steps and agents, with its arguments") {
  const std::string tool = "  find: {effect: read, input: {id: string}, http: {get: \"https://a.example\"}}\n";
  CHECK(codes(with(tool, "  a: {tool: find, args: {id: x}}\n")) == Codes{});
  CHECK(codes(with(tool, "  a: {tool: find, args: {ident: x}}\n")) == Codes{"args", "args"});
  CHECK(codes(with(tool, "  a: {tool: fnid}\n")) == Codes{"unknown-tool"});
  CHECK(codes(with(tool, "  a: {prompt: Hi, tools: [find, fs.read]}\n")) == Codes{});
  CHECK(codes(with("  refund: {http: {get: \"https://a.example\", idempotency_key: \"{{ call.key }}\"}}\n")) ==
        Codes{"name"});
}

TEST_CASE("steps that wait: what they wait for must hang together") {
  const auto step = [](const std::string& keys) { return codes(whole("steps: {a: {set: 1}, w: {" + keys + "}}")); };
  CHECK(step("wait: 30s") == Codes{});
  CHECK(step("wait: soon") == Codes{"duration"});
  CHECK(step("wait: {until: \"2031-01-01T00:00:00Z\"}") == Codes{});
  CHECK(step("wait: {until: \"{{ 1 }}\"}") == Codes{"type"});
  CHECK(step("wait: {}") == Codes{"type"});
  CHECK(step("wait: {signal: paid}, match: signal.n == 1, timeout: 1h, on_timeout: late") == Codes{});
  CHECK(step("wait: {signal: paid}, match: signl.n == 1") == Codes{"unknown-name"});
  CHECK(step("wait: 30s, match: \"true\"") == Codes{"match"});
  CHECK(step("wait: 30s, timeout: 1h") == Codes{"wait"});
  CHECK(step("ask: Sure?, choices: [yes, no], timeout: 1h, on_timeout: no") == Codes{});
  CHECK(step("ask: Sure?, choices: [yes, no], timeout: 1h, on_timeout: maybe") == Codes{"choice"});
  CHECK(step("ask: Sure?, choices: [yes, yes]") == Codes{"choice"});
  CHECK(step("ask: Sure?, choices: [yes], output: string") == Codes{"choice"});
  CHECK(step("ask: Sure?, on_timeout: no") == Codes{"missing-key"});
  CHECK(step("ask: Sure?, notify: x") == Codes{"later"});
  CHECK(step("set: 1, needs: [a], join: any, cancel_rest: true") == Codes{});
  CHECK(step("set: 1, needs: [a], join: 2") == Codes{"join"});
  CHECK(step("set: 1, join: any") == Codes{"join"});
  CHECK(step("set: 1, needs: [a], cancel_rest: true") == Codes{"join"});
  CHECK(codes(whole("steps: {w: {ask: Sure?, choices: [yes, no]}, s: {switch: steps.w.output, cases: {yes: none}}}")) ==
        Codes{"non-exhaustive"});
}
