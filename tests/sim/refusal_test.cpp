#include <catch2/catch.hpp>
#include <functional>
#include <iterator>

#include "tests/sim/client.h"

namespace weft::sim {
namespace {

struct Refused {
  std::string_view what;
  std::function<void(Json&)> spoil;
  std::string_view message;  // Part of it.
};

Json assistant_with_call(std::string_view arguments) {
  Json turn = message("assistant", "");
  turn["reasoning_content"] = "";
  turn["tool_calls"] = Json::array({call("c1", "fs__read", arguments)});
  return turn;
}

Json result_of(std::string_view id) {
  Json result = message("tool", "found");
  result["tool_call_id"] = id;
  return result;
}

const Refused kRefused[] = {
    {"no model", [](Json& b) { b.erase("model"); }, "missing field `model`"},
    {"unknown model", [](Json& b) { b["model"] = "gpt-9"; }, "Model Not Exist"},
    {"no messages", [](Json& b) { b.erase("messages"); }, "missing field `messages`"},
    {"empty messages", [](Json& b) { b["messages"] = Json::array(); }, "Empty input messages"},
    {"unknown field", [](Json& b) { b["parallel_tool_calls"] = true; }, "unknown field `parallel_tool_calls`"},
    {"unknown role", [](Json& b) { b["messages"][0]["role"] = "robot"; }, "unknown variant `robot`"},
    {"content of a number", [](Json& b) { b["messages"][0]["content"] = 7; }, "messages[0].content"},
    {"last message of the assistant", [](Json& b) { b["messages"].push_back(message("assistant", "so")); },
     "The last message must be"},
    {"tool name with a dot", [](Json& b) { b["tools"] = Json::array({tool("fs.read")}); },
     "'tools[0].function.name': string does not match pattern"},
    {"tool name of 65 bytes", [](Json& b) { b["tools"] = Json::array({tool(std::string(65, 'a'))}); }, "pattern"},
    {"two tools of one name", [](Json& b) { b["tools"] = Json::array({tool("a"), tool("a")}); },
     "Tool names must be unique."},
    {"129 tools",
     [](Json& b) {
       for (int i = 0; i < 129; ++i) b["tools"].push_back(tool("t" + std::to_string(i)));
     },
     "maximum length 128"},
    {"parameters that are no schema",
     [](Json& b) {
       b["tools"] = Json::array({tool("a")});
       b["tools"][0]["function"]["parameters"] = "string";
     },
     "parameters"},
    {"orphan tool message", [](Json& b) { b["messages"].push_back(result_of("c1")); },
     "must be a response to a preceding message with 'tool_calls'"},
    {"call without a result",
     [](Json& b) {
       b["messages"].push_back(assistant_with_call("{}"));
       b["messages"].push_back(message("user", "and?"));
     },
     "insufficient tool messages"},
    {"result of another call",
     [](Json& b) {
       b["messages"].push_back(assistant_with_call("{}"));
       b["messages"].push_back(result_of("c2"));
     },
     "must be a response"},
    {"arguments in the past that are no JSON",
     [](Json& b) {
       b["messages"].push_back(assistant_with_call("{\"path\": \"a"));
       b["messages"].push_back(result_of("c1"));
     },
     "tool_calls[0].function.arguments': not valid JSON"},
    {"reasoning left out in thinking mode with tools",
     [](Json& b) {
       b.erase("thinking");
       b["tools"] = Json::array({tool("fs__read")});
       Json turn = assistant_with_call("{}");
       turn.erase("reasoning_content");
       b["messages"].push_back(turn);
       b["messages"].push_back(result_of("c1"));
     },
     "The `reasoning_content` in the thinking mode must be passed back to the API."},
    {"tool_choice required in thinking mode",
     [](Json& b) {
       b.erase("thinking");
       b["tools"] = Json::array({tool("a")});
       b["tool_choice"] = "required";
     },
     "Thinking mode does not support this tool_choice"},
    {"a named tool_choice in thinking mode",
     [](Json& b) {
       b["thinking"]["type"] = "enabled";
       b["tools"] = Json::array({tool("a")});
       b["tool_choice"] = {{"type", "function"}, {"function", {{"name", "a"}}}};
     },
     "Thinking mode does not support this tool_choice"},
    {"max_tokens over 393216", [](Json& b) { b["max_tokens"] = 393'217; },
     "the valid range of max_tokens is [1, 393216]"},
    {"max_tokens of 0", [](Json& b) { b["max_tokens"] = 0; }, "valid range"},
    {"temperature of 3", [](Json& b) { b["temperature"] = 3; }, "valid range of temperature is [0, 2]"},
    {"17 stops", [](Json& b) { b["stop"] = Json(std::vector<std::string>(17, "x")); }, "at most 16"},
    {"json_schema", [](Json& b) { b["response_format"] = {{"type", "json_schema"}}; },
     "This response_format type is unavailable now"},
    {"json_object without the word", [](Json& b) { b["response_format"] = {{"type", "json_object"}}; },
     "must contain the word 'json'"},
    {"stream_options without stream", [](Json& b) { b["stream_options"] = {{"include_usage", true}}; },
     "stream_options should be set along with stream = true"},
    {"a user_id with a space", [](Json& b) { b["user_id"] = "a b"; }, "user_id"},
};

}  // namespace

TEST_CASE("what the real provider refuses is refused, with its sentence") {
  Fixture sim("{sim: 1, rules: [{reply: {text: fine}}]}");
  for (const Refused& each : kRefused) {
    INFO(each.what);
    Json body = chat("Hello");
    REQUIRE(sim.ask(body).status == 200);
    each.spoil(body);
    Got got = sim.ask(body);
    CHECK(got.status == 400);
    Json error = got.json()["error"];
    CHECK(error["type"] == "invalid_request_error");
    CHECK_THAT(error["message"].get<std::string>(), Catch::Contains(std::string(each.message)));
    // In streams the refusal comes as plain JSON too.
    body["stream"] = true;
    if (each.what != "stream_options without stream") CHECK(sim.ask(body).status == 400);
  }
  CHECK(sim.get("/stats").json()["refused"] == 2 * std::size(kRefused) - 1);
}

TEST_CASE("an empty reasoning_content is enough, and none is needed without tools or thinking") {
  Fixture sim("{sim: 1, rules: [{reply: {text: fine}}]}");
  Json body = chat("Hello");
  body.erase("thinking");
  body["tools"] = Json::array({tool("fs__read")});
  body["messages"].push_back(assistant_with_call("{}"));
  body["messages"].push_back(result_of("c1"));
  CHECK(sim.ask(body).status == 200);
  body["messages"][1].erase("reasoning_content");
  CHECK(sim.ask(body).status == 400);
  Json off = body;
  off["thinking"] = {{"type", "disabled"}};
  CHECK(sim.ask(off).status == 200);
  body.erase("tools");
  CHECK(sim.ask(body).status == 200);
}

TEST_CASE("a body that is no JSON, or nested too deep, is refused in words") {
  Fixture sim;
  for (std::string body : {std::string("{\"model\":"), std::string(""), std::string(100'000, '['), std::string("[]")}) {
    Ask ask;
    ask.body = body;
    Got got = sim.ask(ask);
    CHECK(got.status == 400);
    CHECK(got.json()["error"]["type"] == "invalid_request_error");
  }
}

TEST_CASE("the echo takes any model; a script its own and, where it says so, any") {
  Json body = chat("Hi");
  body["model"] = "mine";
  CHECK(Fixture().ask(body).status == 200);
  CHECK(Fixture("{sim: 1, models: [mine], rules: [{reply: {text: a}}]}").ask(body).status == 200);
  CHECK(Fixture("{sim: 1, any_model: true, rules: [{reply: {text: a}}]}").ask(body).status == 200);
}

TEST_CASE("a prompt over the script's context is refused with both numbers") {
  Fixture sim("{sim: 1, context: 100, rules: [{reply: {text: a}}]}");
  CHECK(sim.ask(chat("short")).status == 200);
  Got got = sim.ask(chat(std::string(1'000, 'a')));
  CHECK(got.status == 400);
  CHECK_THAT(got.body, Catch::Contains("maximum context length is 100 tokens"));
}

}  // namespace weft::sim
