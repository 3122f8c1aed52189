// The cache over the wire: what a client must do to keep its prefix, and what loses it.
#include <catch2/catch.hpp>
#include <thread>

#include "tests/sim/client.h"

namespace weft::sim {
namespace {

constexpr std::string_view kScript = R"(
sim: 1
cache: {delay: 0s}
rules:
  - {when: {step: LONG}, reply: {text: "{{ system }}"}}
  - reply: {text: fine}
)";

Json with_face(std::string_view user) {
  Json body = chat(user);
  body["messages"].insert(body["messages"].begin(), message("system", std::string(3'000, 's')));
  body["tools"] = Json::array({tool("fs__list"), tool("fs__read")});
  return body;
}

int hit(const Got& got) {
  Json usage = got.usage();
  CHECK(usage["prompt_tokens"].get<int>() ==
        usage["prompt_cache_hit_tokens"].get<int>() + usage["prompt_cache_miss_tokens"].get<int>());
  CHECK(usage["prompt_tokens_details"]["cached_tokens"] == usage["prompt_cache_hit_tokens"]);
  CHECK(usage["prompt_cache_hit_tokens"].get<int>() % 128 == 0);
  return usage["prompt_cache_hit_tokens"].get<int>();
}

// Two requests with other questions make the face a unit.
void warm(const Fixture& sim) {
  CHECK(hit(sim.ask(with_face("Bbb"))) == 0);
  CHECK(hit(sim.ask(with_face("Ccc"))) == 0);
}

}  // namespace

TEST_CASE("the next turn of a conversation hits the turn before, with the answer") {
  Fixture sim(kScript);
  Json body = with_face("LONG");
  Got first = sim.ask(streamed(body));
  CHECK(hit(first) == 0);
  int prompt = first.usage()["prompt_tokens"], out = first.usage()["completion_tokens"];
  body["messages"].push_back(message("assistant", first.text()));
  body["messages"].push_back(message("user", "Go on"));
  int hits = hit(sim.ask(streamed(body)));
  CHECK(hits > prompt);
  CHECK(hits > prompt + out - 128);
}

TEST_CASE("calls and their results go on hitting when they are sent back as they came") {
  Fixture sim(R"(
sim: 1
cache: {delay: 0s}
rules:
  - {when: {turn: 1}, reply: {reasoning: "{{ system }}", calls: [{tool: fs.read, args: {path: "{{ system }}"}}]}}
  - reply: {text: fine}
)");
  for (bool faithful : {true, false}) {
    Json body = with_face(faithful ? "one" : "two");
    body.erase("thinking");
    Json first = sim.ask(body).json();
    int whole = first["usage"]["total_tokens"];
    Json answer = first["choices"][0]["message"];
    if (!faithful) answer["reasoning_content"] = "";
    body["messages"].push_back(answer);
    Json result = message("tool", "what is in it");
    result["tool_call_id"] = answer["tool_calls"][0]["id"];
    body["messages"].push_back(result);
    int hits = hit(sim.ask(body));
    CHECK(whole > 2'000);
    CHECK((hits > whole - 128) == faithful);
  }
}

TEST_CASE("of three requests with one face the third hits it") {
  Fixture sim(kScript);
  warm(sim);
  CHECK(hit(sim.ask(with_face("Ddd"))) >= 640);
}

TEST_CASE("tools in another order lose what comes after the system messages") {
  Fixture sim(kScript);
  Json body = with_face("Ddd");
  Json system = message("system", "short");
  body["messages"][0] = system;
  for (int i = 0; i < 40; ++i) body["tools"].push_back(tool("tool_number_" + std::to_string(i)));
  Json other = body;
  other["messages"][1]["content"] = "Eee";
  sim.ask(body);
  sim.ask(other);
  other["messages"][1]["content"] = "Fff";
  CHECK(hit(sim.ask(other)) >= 640);
  std::swap(other["tools"][0], other["tools"][1]);
  other["messages"][1]["content"] = "Ggg";
  CHECK(hit(sim.ask(other)) == 0);
}

TEST_CASE("one byte more in the tools or the system message is another prefix") {
  Fixture sim(kScript);
  warm(sim);
  std::string text = to_text(with_face("Ddd"));
  Ask spaced;
  spaced.body = text;
  spaced.body.insert(spaced.body.find("\"content\":\"sss") + 10, " ");
  CHECK(hit(sim.ask(spaced)) == 0);
  Ask same;
  same.body = text;
  CHECK(hit(sim.ask(same)) >= 640);
}

TEST_CASE("another user, another key and another model hit nothing; the effort stands before all") {
  Fixture sim(kScript);
  warm(sim);
  Json body = with_face("Ddd");
  Json other = body;
  other["user_id"] = "tenant-2";
  CHECK(hit(sim.ask(other)) == 0);
  other = body;
  other["model"] = "deepseek-v4-pro";
  CHECK(hit(sim.ask(other)) == 0);
  other = body;
  other.erase("thinking");
  CHECK(hit(sim.ask(other)) == 0);
  Ask keyed;
  keyed.body = to_text(body);
  keyed.key = "Bearer two";
  CHECK(hit(sim.ask(keyed)) == 0);
  CHECK(hit(sim.ask(body)) >= 640);
}

TEST_CASE("tool_choice none takes the tools out of the prompt") {
  Fixture sim(kScript);
  Json body = with_face("Ddd");
  int with = sim.ask(body).usage()["prompt_tokens"];
  body["tool_choice"] = "none";
  CHECK(sim.ask(body).usage()["prompt_tokens"].get<int>() < with);
}

}  // namespace weft::sim
