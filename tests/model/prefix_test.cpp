#include "runtime/model/prefix.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>

#include "base/json.h"
#include "runtime/model/openai.h"

namespace weft::model {
namespace {

AgentSpec agent() {
  AgentSpec spec;
  spec.model = "deepseek-flash";
  spec.system = {"Context.", "Be \"brief\"."};
  spec.tools = {{"fs.read", "Reads a file.", R"({"type":"object","properties":{"path":{"type":"string"}}})"},
                {"fs.list", "Lists.", R"({"type":"object"})"},
                {"note", "", R"({})"}};
  spec.cache_key = "tenant-1";
  return spec;
}

Features deepseek() {
  Features features;
  features.thinking_switch = true;
  features.reasoning_replay = true;
  features.user_id = true;
  return features;
}

WireFormat openai(const Features& features) { return {&openai_dialect(), features}; }

std::string joined(const std::vector<std::shared_ptr<const std::string>>& pieces) {
  std::string out;
  for (const auto& piece : pieces) out += *piece;
  return out;
}

std::shared_ptr<const Prefix> built(const AgentSpec& spec, const Features& features) {
  auto prefix = Prefix::build(spec, openai(features));
  REQUIRE(prefix);
  return std::make_shared<const Prefix>(*std::move(prefix));
}

TEST_CASE("the bytes of a prefix are exactly these") {
  CHECK(*built(agent(), deepseek())->bytes() ==
        R"({"model":"deepseek-flash","thinking":{"type":"disabled"},"user_id":"tenant-1","stream":true,)"
        R"("stream_options":{"include_usage":true},"max_tokens":8192,"tools":[)"
        R"({"type":"function","function":{"name":"fs__list","description":"Lists.","parameters":{"type":"object"}}},)"
        R"({"type":"function","function":{"name":"fs__read","description":"Reads a file.","parameters":)"
        R"({"type":"object","properties":{"path":{"type":"string"}}}}},)"
        R"({"type":"function","function":{"name":"note","description":"","parameters":{}}}],)"
        R"("messages":[{"role":"system","content":"Context.\n\nBe \"brief\"."})");

  AgentSpec plain;
  plain.model = "qwen3";
  plain.temperature = 0.7;
  plain.cache_key = "k";
  plain.max_output = 100;
  Features features;
  features.max_tokens_field = "max_completion_tokens";
  const auto prefix = built(plain, features);
  CHECK(*prefix->bytes() ==
        R"({"model":"qwen3","stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":100,)"
        R"("temperature":0.7,"messages":[)");
  CHECK(prefix->digest() == sha256(*prefix->bytes()));

  plain.thinking = Thinking::kHigh;
  CHECK(
      built(plain, deepseek())
          ->bytes()
          ->starts_with(
              R"({"model":"qwen3","thinking":{"type":"enabled"},"reasoning_effort":"high","user_id":"k","stream":true,)"));
  const auto refused = Prefix::build(plain, openai(features));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kInvalidArgument);
}

TEST_CASE("the same agent gives the same bytes in whatever order its tools are registered") {
  AgentSpec spec = agent();
  std::mt19937 random(7);
  std::set<Digest> digests;
  for (int i = 0; i < 1000; ++i) {
    std::shuffle(spec.tools.begin(), spec.tools.end(), random);
    digests.insert(built(spec, deepseek())->digest());
  }
  CHECK(digests.size() == 1);
  // And any change shows.
  const auto differs = [&](auto change) {
    AgentSpec changed = agent();
    change(changed);
    digests.insert(built(changed, deepseek())->digest());
  };
  differs([](AgentSpec& f) { f.model = "x"; });
  differs([](AgentSpec& f) { f.system.back() += " "; });
  differs([](AgentSpec& f) { f.tools.pop_back(); });
  differs([](AgentSpec& f) { f.tools[0].schema = R"({"type": "object"})"; });
  differs([](AgentSpec& f) { f.thinking = Thinking::kLow; });
  differs([](AgentSpec& f) { f.thinking = Thinking::kMax; });
  differs([](AgentSpec& f) { f.max_output = 1; });
  differs([](AgentSpec& f) { f.temperature = 0; });
  differs([](AgentSpec& f) { f.cache_key = "other"; });
  CHECK(digests.size() == 10);
}

TEST_CASE("a conversation is appended to and keeps every earlier byte") {
  Conversation talk(built(agent(), deepseek()));
  const std::string prefix(*talk.prefix().bytes());
  const std::string arguments = "{ \"path\" :\t\"a\\u00e9\\n\" , \"b\":1.0 }";
  std::vector<std::string> requests;
  const auto look = [&] {
    const std::string body = joined(talk.body());
    CHECK(body.size() == talk.size());
    CHECK(sha256(body) == talk.digest());
    CHECK(parse_untrusted(body));
    if (!requests.empty()) {
      const std::string_view before = requests.back();
      CHECK(body.starts_with(before.substr(0, before.size() - 2)));
    }
    requests.push_back(body);
  };
  talk.add_user("Say \"hé\"\n\x01");
  look();
  const auto held = talk.body();
  for (int i = 0; i < 10; ++i) {
    talk.add_turn({.text = "", .reasoning = "", .tool_calls = {{"c1", "fs__read", arguments}, {"c2", "note", "{}"}}});
    talk.add_tool_results(std::vector<ToolResult>{{"c1", "one\xFFtwo", false}, {"c2", "", false}});
    look();
  }
  talk.add_turn({.text = "done", .reasoning = {}, .tool_calls = {}});
  look();
  CHECK(joined(held) == requests.front());
  const std::string first = requests[1];
  CHECK(
      first ==
      prefix + R"(,{"role":"user","content":"Say \"hé\"\n\u0001"})" +
          R"(,{"role":"assistant","content":"","reasoning_content":"","tool_calls":[)"
          R"({"id":"c1","type":"function","function":{"name":"fs__read","arguments":"{ \"path\" :\t\"a\\u00e9\\n\" , \"b\":1.0 }"}},)"
          R"({"id":"c2","type":"function","function":{"name":"note","arguments":"{}"}}]})"
          R"(,{"role":"tool","tool_call_id":"c1","content":"one�two"})"
          R"(,{"role":"tool","tool_call_id":"c2","content":""}]})");
  const Json body = *parse_untrusted(requests.back());
  CHECK(body["messages"][2]["tool_calls"][0]["function"]["arguments"] == arguments);
  CHECK_FALSE(body["messages"].back().contains("reasoning_content"));
  CHECK(body["messages"].back()["content"] == "done");
}

TEST_CASE("without a system text the first message has no comma before it") {
  AgentSpec spec;
  spec.model = "m";
  Conversation talk(built(spec, {}));
  talk.add_user("a");
  talk.add_user("b");
  CHECK(joined(talk.body()).ends_with(R"("messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]})"));
  CHECK(sha256(joined(talk.body())) == talk.digest());
}

TEST_CASE("reasoning is replayed only where the server wants it, and then on every turn while it thinks") {
  const auto turn = [](const Features& features, Thinking thinking, std::optional<std::string> reasoning) {
    AgentSpec spec;
    spec.model = "m";
    spec.thinking = thinking;
    Conversation talk(built(spec, features));
    talk.add_turn({.text = "x", .reasoning = std::move(reasoning), .tool_calls = {}});
    const Json body = *parse_untrusted(joined(talk.body()));
    const Json& message = body["messages"][0];
    return message.contains("reasoning_content") ? message["reasoning_content"].get<std::string>()
                                                 : std::string("absent");
  };
  CHECK(turn({}, Thinking::kOff, "r") == "absent");
  CHECK(turn(deepseek(), Thinking::kOff, "r") == "r");
  CHECK(turn(deepseek(), Thinking::kOff, {}) == "absent");
  CHECK(turn(deepseek(), Thinking::kHigh, {}) == "");
  CHECK(turn(deepseek(), Thinking::kHigh, " r\n") == " r\n");
}

TEST_CASE("a copy of a conversation goes its own way") {
  Conversation one(built(agent(), deepseek()));
  one.add_user("a");
  Conversation two = one;
  two.add_user("b");
  one.add_user("c");
  CHECK(sha256(joined(one.body())) == one.digest());
  CHECK(sha256(joined(two.body())) == two.digest());
  CHECK(one.digest() != two.digest());
}

TEST_CASE("names of tools go to the wire and back") {
  CHECK(*wire_name("fs.read") == "fs__read");
  CHECK(*wire_name("find_customer") == "find_customer");
  CHECK(*wire_name(std::string(64, 'a')) == std::string(64, 'a'));
  for (const std::string& bad :
       {std::string(""), std::string("Fs.read"), std::string("fs.read.x"), std::string("fs__read"), std::string("1x"),
        std::string("fs-read"), std::string("fs."), std::string(".fs"), std::string(65, 'a'),
        "a." + std::string(62, 'a'), std::string("fs read"), std::string("é")}) {
    INFO(bad);
    const auto wire = wire_name(bad);
    REQUIRE_FALSE(wire);
    CHECK(wire.error().code == Code::kInvalidArgument);
  }
  const auto prefix = built(agent(), deepseek());
  CHECK(prefix->tool_named("fs__read") == "fs.read");
  CHECK(prefix->tool_named("note") == "note");
  for (const char* unknown : {"fs.read", "FS__READ", "fs__read ", "fs__write", ""})
    CHECK_FALSE(prefix->tool_named(unknown));
}

TEST_CASE("tools that no provider would take are refused with the reason") {
  const auto reason = [](const std::vector<std::string>& tools) {
    const Status status = check_tools(tools);
    return status ? std::string() : status.error().message;
  };
  CHECK(reason({"a", "b.c"}).empty());
  CHECK(reason({"a", "a"}).find("twice") != std::string::npos);
  CHECK(reason({"a_.b", "a._b"}).find("same name on the wire") != std::string::npos);
  std::vector<std::string> many;
  for (int i = 0; i < 128; ++i) many.push_back("t" + std::to_string(i));
  CHECK(reason(many).empty());
  many.push_back("one_more");
  CHECK(reason(many).find("128") != std::string::npos);
}

TEST_CASE("what cannot be sent is refused when the prefix is built") {
  const auto refused = [](auto change) {
    AgentSpec spec = agent();
    change(spec);
    const auto prefix = Prefix::build(spec, openai(deepseek()));
    return !prefix && prefix.error().code == Code::kInvalidArgument;
  };
  CHECK(refused([](AgentSpec& f) { f.system.push_back("\xFF"); }));
  CHECK(refused([](AgentSpec& f) { f.model = "\xFF"; }));
  CHECK(refused([](AgentSpec& f) { f.cache_key = "a b"; }));
  CHECK(refused([](AgentSpec& f) { f.cache_key = std::string(513, 'a'); }));
  CHECK(refused([](AgentSpec& f) { f.tools[0].schema = "[]"; }));
  CHECK(refused([](AgentSpec& f) {
    f.tools[0].schema = "{} ";
    f.tools[0].schema += "x";
  }));
  CHECK(refused([](AgentSpec& f) { f.tools[0].description = "\xC3"; }));
  CHECK(refused([](AgentSpec& f) { f.tools[1].name = "fs.read"; }));
}

}  // namespace
}  // namespace weft::model
