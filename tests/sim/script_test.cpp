#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "tests/sim/client.h"

namespace weft::sim {
namespace {

Json result_of(const Json& call_id, std::string_view text) {
  Json result = message("tool", text);
  result["tool_call_id"] = call_id;
  return result;
}

std::string text_of(const Got& got) {
  INFO(got.body);
  REQUIRE(got.status == 200);
  return got.json()["choices"][0]["message"]["content"].get<std::string>();
}

// A conversation as a runtime leads it: what the model calls is answered by `tools`.
std::string converse(const Fixture& sim, std::string_view prompt,
                     const std::function<std::string(const std::string& tool, const Json& args)>& tools) {
  Json body = chat(prompt);
  body["tools"] = Json::array({tool("fs__list"), tool("fs__read"), tool("fs__search")});
  for (int turn = 0; turn < 10; ++turn) {
    Got got = sim.ask(body);
    INFO(got.body);
    REQUIRE(got.status == 200);
    Json answer = got.json()["choices"][0]["message"];
    body["messages"].push_back(answer);
    if (!answer.contains("tool_calls")) return answer["content"].get<std::string>();
    for (const Json& each : answer["tool_calls"]) {
      Json args = *parse_untrusted(each["function"]["arguments"].get<std::string>());
      body["messages"].push_back(result_of(each["id"], tools(each["function"]["name"], args)));
    }
  }
  FAIL("the conversation does not end");
  return {};
}

std::vector<std::string> scripts_of_document() {
  std::ifstream in(std::string(WEFT_SOURCE_DIR) + "/docs/sim.md");
  std::stringstream text;
  text << in.rdbuf();
  std::string document = text.str();
  std::vector<std::string> scripts;
  for (std::size_t at = document.find("```yaml\n"); at != std::string::npos; at = document.find("```yaml\n", at)) {
    at += 8;
    std::size_t end = document.find("```", at);
    scripts.push_back(document.substr(at, end - at));
    at = end;
  }
  return scripts;
}

}  // namespace

TEST_CASE("the first rule that matches answers") {
  Fixture sim(R"yaml(
sim: 1
rules:
  - {when: {model: deepseek-v4-pro}, reply: {text: by model}}
  - {when: {system: "You are the (\\w+)"}, reply: {text: "by system: {{ captures['1'] }}"}}
  - {when: {step: "^Plan (?P<what>\\w+)"}, reply: {text: "by step: {{ captures.what }}"}}
  - {when: {turn: 2}, reply: {text: "by turn {{ turn }}"}}
  - {when: {user: first, last: "la[sx]t"}, reply: {text: "by user and last: {{ user }}, {{ last }}"}}
  - {when: {that: "size(request.tools) == 1"}, reply: {text: "by expression: {{ request.tools[0] }}"}}
  - {reply: {text: otherwise}}
)yaml");
  Json body = chat("x");
  CHECK(text_of(sim.ask(body)) == "otherwise");
  body["model"] = "deepseek-v4-pro";
  CHECK(text_of(sim.ask(body)) == "by model");
  body = chat("x");
  body["messages"].insert(body["messages"].begin(), message("system", "You are the judge."));
  CHECK(text_of(sim.ask(body)) == "by system: judge");
  CHECK(text_of(sim.ask(chat("Plan it\nPlan that"))) == "by step: it");
  CHECK(text_of(sim.ask(chat("First\nPlan it"))) == "otherwise");
  body = chat("first");
  body["messages"].push_back(message("assistant", "a"));
  body["messages"].push_back(message("user", "b"));
  CHECK(text_of(sim.ask(body)) == "by turn 2");
  body["messages"].push_back(message("assistant", "a"));
  body["messages"].push_back(message("user", "last"));
  CHECK(text_of(sim.ask(body)) == "by user and last: first, last");
  body = chat("x");
  body["tools"] = Json::array({tool("fs__read")});
  CHECK(text_of(sim.ask(body)) == "by expression: fs.read");
}

TEST_CASE("a rule can wait for the result of a tool, among those that are new") {
  Fixture sim(R"yaml(
sim: 1
rules:
  - {when: {tool_result: {tool: fs.read, matches: "line (\\d+)"}}, reply: {text: "{{ captures['1'] }} of {{ results.size() }}: {{ results[0].args.path ?? 'nothing' }}"}}
  - {when: {tool_result: {tool: fs.read}}, reply: {text: "read: {{ results[0].output.text }}"}}
  - {reply: {text: none}}
)yaml");
  Json body = chat("x");
  Json turn = message("assistant", "");
  turn["tool_calls"] = Json::array({call("a", "fs__list", R"({"path":"src"})"), call("b", "fs__read", "{}")});
  body["messages"].push_back(turn);
  body["messages"].push_back(result_of("b", "line 7"));
  body["messages"].push_back(result_of("a", "line 8"));
  CHECK(text_of(sim.ask(body)) == "7 of 2: nothing");
  body["messages"][2]["content"] = R"({"text":"line x"})";
  CHECK(text_of(sim.ask(body)) == "read: line x");
  body["messages"].push_back(message("assistant", "so"));
  body["messages"].push_back(message("user", "and?"));
  CHECK(text_of(sim.ask(body)) == "none");
}

TEST_CASE("a rule can answer so many times for each conversation") {
  Fixture sim(R"yaml(
sim: 1
rules:
  - {when: {times: 2}, reply: {error: {status: 503}}}
  - {reply: {text: fine}}
)yaml");
  for (std::string_view conversation : {"one", "two"}) {
    CHECK(sim.ask(chat(conversation)).status == 503);
    CHECK(sim.ask(chat(conversation)).status == 503);
    CHECK(sim.ask(chat(conversation)).status == 200);
    CHECK(sim.ask(chat(conversation)).status == 200);
  }
}

TEST_CASE("calls can be made for each element, and values keep their types") {
  Fixture sim(R"yaml(
sim: 1
rules:
  - reply:
      calls:
        - {tool: fs.read, for_each: "['a', 'b']", args: {path: "{{ item }}", from_line: "{{ index + 1 }}"}}
        - {tool: fs.list, args: "{not json"}
)yaml");
  Json calls = sim.ask(chat("x")).json()["choices"][0]["message"]["tool_calls"];
  REQUIRE(calls.size() == 3);
  CHECK(calls[1]["function"]["name"] == "fs__read");
  CHECK(calls[1]["function"]["arguments"] == R"({"path":"b","from_line":2})");
  CHECK(calls[2]["function"]["arguments"] == "{not json");
}

TEST_CASE("json answers are values, and echo is a reply too") {
  Fixture sim(R"yaml(
sim: 1
rules:
  - {when: {step: json}, reply: {json: {name: "{{ user }}", list: "{{ [1, 2].map(i, i * 2) }}", ok: true}}}
  - {reply: {echo: true}}
)yaml");
  CHECK(text_of(sim.ask(chat("json"))) == R"({"name":"json","list":[2,4],"ok":true})");
  CHECK(text_of(sim.ask(chat("other"))) == "other");
}

TEST_CASE("what came in through a template is never read as one again") {
  Fixture sim("{sim: 1, rules: [{reply: {text: '{{ user }}'}}]}");
  CHECK(text_of(sim.ask(chat("{{ system }}"))) == "{{ system }}");
}

TEST_CASE("where no rule matches, or one cannot be evaluated, the script's fault is named") {
  Fixture sim("sim: 1\nrules:\n  - name: bad\n    when: {last: go}\n    reply: {text: '{{ results[3].text }}'}\n");
  Got got = sim.ask(chat("go"));
  CHECK(got.status == 400);
  CHECK(got.json()["error"]["type"] == "script_error");
  CHECK_THAT(got.body, Catch::Contains("Rule bad of the script (line 3)"));
  got = sim.ask(chat("stay"));
  CHECK(got.status == 400);
  CHECK_THAT(got.body, Catch::Contains("No rule of the script"));
}

TEST_CASE("mistakes in a script are diagnostics with their place") {
  CHECK(faults_of("{sim: 1, rules: []}").empty());
  CHECK_THAT(faults_of("rules: []"), Catch::Contains("sim: 1"));
  CHECK_THAT(faults_of("{sim: 2, rules: []}"), Catch::Contains("sim: 1"));
  CHECK_THAT(faults_of("sim: 1\nrules:\n  - {whn: {}, reply: {text: a}}\n"),
             Catch::Contains("script.yaml:3:6") && Catch::Contains("when"));
  CHECK_THAT(faults_of("{sim: 1, rules: [{reply: {txt: a}}]}"), Catch::Contains("text"));
  CHECK_THAT(faults_of("sim: 1\nrules:\n  - when:\n      that: |\n        turn == 1 &&\n          nope == 2\n    "
                       "reply: {text: a}\n"),
             Catch::Contains(":6:11:"));
  CHECK_THAT(faults_of("{sim: 1, rules: [{when: {last: '('}, reply: {text: a}}]}"), Catch::Contains("pattern"));
  CHECK_THAT(faults_of("{sim: 1, rules: [{when: {turn: 0}, reply: {text: a}}]}"), Catch::Contains("from 1 to"));
  CHECK_THAT(faults_of("{sim: 1, rules: [{reply: {text: a, json: b}}]}"), Catch::Contains("not both"));
  CHECK_THAT(faults_of("{sim: 1, rules: [{reply: {}}]}"), Catch::Contains("says something"));
  CHECK_THAT(faults_of("{sim: 1, rules: [{name: a}]}"), Catch::Contains("`reply`"));
  CHECK_THAT(faults_of("{sim: 1, rules: [{reply: {text: '{{ lst }}'}}]}"), Catch::Contains("last"));
  CHECK_THAT(faults_of("{sim: 1, rules: [{reply: {text: a, first_token: 3 years}}]}"), Catch::Contains("duration"));
  CHECK_THAT(faults_of("{sim: 1, cache: {unit: 0}, rules: []}"), Catch::Contains("`unit`"));
}

TEST_CASE("every script of the document is read") {
  auto scripts = scripts_of_document();
  REQUIRE(scripts.size() >= 2);
  for (const std::string& script : scripts) CHECK(faults_of(script) == "");
}

TEST_CASE("the document's review reacts to what the tools return") {
  Fixture sim(scripts_of_document().front());
  std::string line = "int x = 1;  // FIXME";
  auto tools = [&](const std::string& tool, const Json& args) -> std::string {
    if (tool == "fs__list") {
      return R"({"path":"src","entries":[{"name":"alpha","kind":"folder"},{"name":"beta","kind":"folder"},)"
             R"({"name":"README.md","kind":"file","size":9}],"truncated":false})";
    }
    if (tool == "fs__search") {
      return to_text(
          Json{{"matches", {{{"path", args["path"].get<std::string>() + "/a.cpp"}, {"line", 12}, {"text", line}}}}});
    }
    CHECK(args["from_line"] == 12);
    return to_text(Json{{"path", args["path"]}, {"text", line}});
  };
  std::string plan = converse(sim, "Plan the review of src", tools);
  CHECK(*parse_untrusted(plan) == *parse_untrusted(R"({"modules":["src/alpha","src/beta"]})"));
  std::string review = converse(sim, "Review the module src/alpha", tools);
  CHECK_THAT(review, Catch::Contains("src/alpha/a.cpp:12") && Catch::Contains("int x = 1;  // FIXME"));
  line = "int y = 2;  // FIXME";
  CHECK(converse(sim, "Review the module src/alpha", tools) != review);
}

}  // namespace weft::sim
