#include <catch2/catch.hpp>

#include "tests/sim/client.h"

namespace weft::sim {

TEST_CASE("without a script the last message of the user comes back") {
  Fixture sim;
  Got got = sim.ask(chat("Hello, wörld"));
  REQUIRE(got.status == 200);
  Json body = got.json();
  CHECK(body["object"] == "chat.completion");
  CHECK(body["model"] == "deepseek-flash");
  CHECK(body["choices"][0]["message"]["content"] == "Hello, wörld");
  CHECK(body["choices"][0]["finish_reason"] == "stop");
  CHECK_FALSE(body["choices"][0]["message"].contains("reasoning_content"));
  CHECK(sim.provider->requests() == 1);
}

TEST_CASE("a stream has a role, tokens of about four bytes, a finish, the usage and its last line") {
  Fixture sim;
  Got got = sim.ask(streamed(chat("One two three four")));
  REQUIRE(got.whole);
  CHECK(got.headers.find("Content-Type")->second == "text/event-stream");
  auto events = got.events();
  REQUIRE(events.size() >= 4);
  CHECK(events.front()["choices"][0]["delta"] == Json{{"role", "assistant"}, {"content", ""}});
  CHECK(events[1]["choices"][0]["delta"] == Json{{"content", "One "}});
  CHECK(events[1]["object"] == "chat.completion.chunk");
  CHECK(events[1]["usage"].is_null());
  CHECK(events[events.size() - 2]["choices"][0]["finish_reason"] == "stop");
  CHECK(events.back()["choices"].empty());
  CHECK(events.back()["usage"]["completion_tokens"] == 5);
  CHECK(got.text() == "One two three four");
  CHECK(got.done());
}

TEST_CASE("usage comes in a stream only where it is asked for") {
  Fixture sim;
  Json body = chat("Hi");
  body["stream"] = true;
  Got got = sim.ask(body);
  CHECK(got.done());
  CHECK(got.body.find("\"usage\"") == std::string::npos);
}

TEST_CASE("thinking is on where the request does not say, and comes before the text") {
  Fixture sim;
  Json body = chat("Hi");
  body.erase("thinking");
  Json whole = sim.ask(body).json();
  CHECK_FALSE(whole["choices"][0]["message"]["reasoning_content"].get<std::string>().empty());
  CHECK(whole["usage"]["completion_tokens_details"]["reasoning_tokens"].get<int>() > 0);
  CHECK(whole["usage"]["completion_tokens"].get<int>() >
        whole["usage"]["completion_tokens_details"]["reasoning_tokens"].get<int>());

  auto events = sim.ask(streamed(body)).events();
  CHECK(events[0]["choices"][0]["delta"] ==
        Json{{"role", "assistant"}, {"content", nullptr}, {"reasoning_content", ""}});
  CHECK(events[1]["choices"][0]["delta"].contains("reasoning_content"));
}

TEST_CASE("a prompt that asks for JSON of a schema gets the smallest value that fits") {
  Fixture sim;
  Json body = chat(
      "Which kind is it?\n\nAnswer with one JSON value that fits this JSON Schema: "
      R"({"type":"object","properties":{"kind":{"enum":["bug","wish"]},"note":{"type":"string"},"more":{"type":"string"}},)"
      R"("required":["kind","note"]})");
  std::string text = sim.ask(body).json()["choices"][0]["message"]["content"];
  CHECK(*parse_untrusted(text) == Json{{"kind", "bug"}, {"note", "Which kind is it?"}});
}

TEST_CASE("max_tokens cuts the answer and says so") {
  Fixture sim(R"(
sim: 1
rules:
  - reply: {text: "One two three four", calls: [{tool: fs.read, args: {path: abcdefgh}}]}
)");
  Json body = chat("Go");
  body["max_tokens"] = 2;
  Json whole = sim.ask(body).json();
  CHECK(whole["choices"][0]["message"]["content"] == "One two ");
  CHECK(whole["choices"][0]["finish_reason"] == "length");
  CHECK(whole["usage"]["completion_tokens"] == 2);
  CHECK_FALSE(whole["choices"][0]["message"].contains("tool_calls"));
  body["max_tokens"] = 7;
  whole = sim.ask(body).json();
  CHECK(whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{\"pa");
  CHECK(whole["choices"][0]["finish_reason"] == "length");
}

TEST_CASE("calls stream with their name first and their arguments in pieces") {
  Fixture sim(R"(
sim: 1
rules:
  - reply:
      text: I look.
      calls: [{tool: fs.list, args: {path: src}}, {tool: fs.read, args: {path: "src/a.h", lines: 3}}]
)");
  Got got = sim.ask(streamed(chat("Go")));
  std::vector<std::string> arguments(2);
  std::vector<std::string> names(2);
  std::vector<int> pieces(2);
  for (const Json& event : got.events()) {
    if (event["choices"].empty() || !event["choices"][0]["delta"].contains("tool_calls")) continue;
    const Json& delta = event["choices"][0]["delta"]["tool_calls"][0];
    auto index = delta["index"].get<std::size_t>();
    CHECK(delta.contains("id") == delta["function"].contains("name"));
    if (delta.contains("id")) names[index] = delta["function"]["name"];
    arguments[index] += delta["function"]["arguments"].get<std::string>();
    ++pieces[index];
  }
  CHECK(names == std::vector<std::string>{"fs__list", "fs__read"});
  CHECK(arguments == std::vector<std::string>{R"({"path":"src"})", R"({"path":"src/a.h","lines":3})"});
  CHECK(pieces[1] > 3);
  CHECK(got.events()[got.events().size() - 2]["choices"][0]["finish_reason"] == "tool_calls");
}

TEST_CASE("ids of calls differ between calls and prompts, and are equal for equal prompts") {
  Fixture sim("{sim: 1, rules: [{reply: {calls: [{tool: a}, {tool: b}]}}]}");
  auto ids = [&](std::string_view user) {
    std::vector<std::string> found;
    Json answer = sim.ask(chat(user)).json();
    for (const Json& each : answer["choices"][0]["message"]["tool_calls"]) found.push_back(each["id"]);
    return found;
  };
  auto one = ids("one");
  CHECK(one[0] != one[1]);
  CHECK(one == ids("one"));
  CHECK(one != ids("two"));
}

TEST_CASE("models, health and paths that are not there") {
  Fixture sim("{sim: 1, models: [mine], rules: [{reply: {text: hi}}]}");
  CHECK(sim.get("/v1/models").json()["data"].back()["id"] == "mine");
  CHECK(sim.get("/health").status == 200);
  Got nothing = sim.get("/v2");
  CHECK(nothing.status == 404);
  CHECK(nothing.json()["error"]["message"].get<std::string>().find("/v2") != std::string::npos);
  Ask ask;
  ask.body = to_text(chat("Hi"));
  ask.path = "/chat/completions";
  CHECK(sim.ask(ask).status == 200);
}

}  // namespace weft::sim
