#include "runtime/model/calls.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/model/decoding.h"

namespace weft::model {
namespace {

using test::decode;
using test::Decoded;
using test::delta;
using test::finish;
using test::kDone;

std::string calls(std::string_view elements) { return delta("\"tool_calls\":[" + std::string(elements) + "]"); }
std::string ended(std::string_view reason = "tool_calls") { return finish(reason) + kDone; }

struct Case {
  const char* name;
  std::string body;
  std::vector<ToolCall> expected;
};

TEST_CASE("calls are put together whatever a server does with indices and ids") {
  std::string bytewise = calls(R"({"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}})");
  for (const std::string_view piece :
       {"{", "\\\"", "k", "\\\"", ":", "\\\"", "\\\\", "u", "0", "0", "e", "9", "\\\"", "}"}) {
    bytewise += calls(R"({"index":0,"function":{"arguments":")" + std::string(piece) + "\"}}");
  }
  const std::vector<Case> cases = {
      {"C1 arguments in single bytes", bytewise + ended(), {{"a", "f", R"({"k":"\u00e9"})"}}},
      {"C2 two calls, pieces interleaved",
       calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}})") +
           calls(R"({"index":1,"id":"b","function":{"name":"g","arguments":"{"}})") +
           calls(R"({"index":0,"function":{"arguments":":1}"}})") +
           calls(R"({"index":1,"function":{"arguments":"}"}})") + ended(),
       {{"a", "f", R"({"x":1})"}, {"b", "g", "{}"}}},
      {"C2 two calls in one event",
       calls(
           R"({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"b","function":{"name":"f","arguments":"{}"}})") +
           ended(),
       {{"a", "f", "{}"}, {"b", "f", "{}"}}},
      {"C3 all with index 0, told apart by id",
       calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}})") +
           calls(R"({"index":0,"id":"b","function":{"name":"f","arguments":"{"}})") +
           calls(R"({"index":0,"function":{"arguments":"}"}})") + ended(),
       {{"a", "f", "{}"}, {"b", "f", "{}"}}},
      {"C3 all with index 0, interleaved, the id with every piece",
       calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"{"}})") +
           calls(R"({"index":0,"id":"b","function":{"name":"g","arguments":"{"}})") +
           calls(R"({"index":0,"id":"a","function":{"arguments":"}"}})") +
           calls(R"({"index":0,"id":"b","function":{"arguments":"}"}})") + ended(),
       {{"a", "f", "{}"}, {"b", "g", "{}"}}},
      {"C3 all with index 0, without ids, told apart by name",
       calls(R"({"index":0,"function":{"name":"f","arguments":"{}"}})") +
           calls(R"({"index":0,"function":{"name":"g","arguments":"{}"}})") + ended(),
       {{"call_1", "f", "{}"}, {"call_2", "g", "{}"}}},
      {"C3 all with index 0, without ids, the same name twice, told apart by complete JSON",
       calls(R"({"index":0,"function":{"name":"f","arguments":"{\"a\":\"}\"}"}})") +
           calls(R"({"index":0,"function":{"name":"f","arguments":"{\"b\":2}"}})") + ended(),
       {{"call_1", "f", R"({"a":"}"})"}, {"call_2", "f", R"({"b":2})"}}},
      {"C4 no index",
       calls(R"({"id":"a","function":{"name":"f","arguments":"{"}})") + calls(R"({"function":{"arguments":"}"}})") +
           calls(R"({"id":"b","function":{"name":"f","arguments":"{}"}})") + ended(),
       {{"a", "f", "{}"}, {"b", "f", "{}"}}},
      {"C4 no index, no id, a list",
       calls(R"({"function":{"name":"f","arguments":""}},{"function":{"name":"f","arguments":""}})") + ended(),
       {{"call_1", "f", "{}"}, {"call_2", "f", "{}"}}},
      {"C4 an index that jumps",
       calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}})") +
           calls(R"({"index":2,"id":"b","function":{"name":"g","arguments":"{}"}})") + ended(),
       {{"a", "f", "{}"}, {"b", "g", "{}"}}},
      {"id and name repeated with every piece",
       calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}})") +
           calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}})") +
           calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"}"}})") +
           calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":""}})") + ended(),
       {{"a", "f", R"({"x":{}})"}}},
      {"C5 ids missing, null or empty",
       calls(R"({"index":0,"function":{"name":"f","arguments":"{}"}})") +
           calls(R"({"index":1,"id":null,"function":{"name":"f","arguments":"{}"}})") +
           calls(R"({"index":2,"id":"","function":{"name":"f","arguments":"{}"}})") + ended(),
       {{"call_1", "f", "{}"}, {"call_2", "f", "{}"}, {"call_3", "f", "{}"}}},
      {"C5 one id twice, and a made-up id that is taken",
       calls(R"({"index":0,"id":"call_2","function":{"name":"f","arguments":"{}"}})") +
           calls(R"({"index":1,"id":"call_2","function":{"name":"f","arguments":"{}"}})") + ended(),
       {{"call_2", "f", "{}"}, {"call_3", "f", "{}"}}},
      {"C6 empty arguments",
       calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":""}})") +
           calls(R"({"index":1,"id":"b","function":{"name":"f"}})") +
           calls(R"({"index":2,"id":"c","function":{"name":"f","arguments":null}})") + ended(),
       {{"a", "f", "{}"}, {"b", "f", "{}"}, {"c", "f", "{}"}}},
      {"arguments as an object",
       calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}})") + ended(),
       {{"a", "f", R"({"x":1})"}}},
      {"C10 empty deltas between",
       calls("") + calls(R"({"index":0})") + calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}})") +
           calls(R"({"index":0,"function":{}})") + ended(),
       {{"a", "f", "{}"}}},
      {"finish stop with a call",
       calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}})") + ended("stop"),
       {{"a", "f", "{}"}}},
  };
  for (const Case& c : cases) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{0}}) {
      INFO(c.name << ", pieces of " << piece);
      const Decoded decoded = decode(c.body, piece);
      REQUIRE(decoded.kind() == "answer");
      CHECK(decoded.answer().turn.tool_calls == c.expected);
      CHECK(decoded.answer().finish == Finish::kToolCalls);
    }
  }
}

TEST_CASE("a call that is not whole is no call") {
  const auto kind = [](std::string_view arguments, std::string_view reason) {
    return decode(
               calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":")" + std::string(arguments) + "\"}}") +
               ended(reason))
        .kind();
  };
  CHECK(kind(R"({\"city\":\"}\",\"da)", "length") == "truncated_call");      // C8
  CHECK(kind(R"({\"city\":\"}\",\"da)", "tool_calls") == "truncated_call");  // C9
  CHECK(kind("", "length") == "truncated_call");
  CHECK(kind(R"({\"a\":1}{\"b\":2})", "tool_calls") == "truncated_call");  // C11
  for (const std::string_view bad : {R"({'a':1})", R"({\"a\":1,})", "[1]", "null", "7", R"(\"text\")", R"({\"a\":NaN})",
                                     "```json\\n{}\\n```", R"({\"a\":1,\"a\":2})", R"({a: 1})"}) {  // C12
    INFO(bad);
    CHECK(kind(bad, "tool_calls") == "truncated_call");
  }
  CHECK(kind(R"({\"a\":1})", "length") == "answer");
  CHECK(decode(calls(R"({"index":0,"id":"a","function":{"arguments":"{}"}})") + ended()).kind() == "malformed");
  CHECK(decode(calls("7") + ended()).kind() == "malformed");
  CHECK(decode(calls(R"({"index":0,"function":7})") + ended()).kind() == "malformed");
  CHECK(decode(calls(R"({"index":0,"id":7})") + ended()).kind() == "malformed");
  CHECK(decode(delta(R"("tool_calls":{})") + ended()).kind() == "malformed");
}

TEST_CASE("long arguments in many like pieces are put together as the parser would, for the right call") {
  std::string body = calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":\""}})") +
                     calls(R"({"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\":\""}})");
  std::string first = "{\"x\":\"";
  std::string second = "{\"y\":\"";
  const std::vector<std::pair<std::string, std::string>> pieces = {
      {"abc ", "abc "}, {"\\\\n", "\\n"}, {"\\\\\\\"", "\\\""}, {"\\u00e9", "é"}, {"é", "é"}, {"", ""}};
  for (int round = 0; round < 5; ++round) {
    for (const auto& [escaped, plain] : pieces) {
      body += calls(R"({"index":0,"function":{"arguments":")" + escaped + "\"}}");
      first += plain;
      if (round == 3) continue;
      body += calls(R"({"index":1,"function":{"arguments":")" + escaped + "\"}}");
      second += plain;
    }
  }
  body +=
      calls(R"({"index":0,"function":{"arguments":"\"}"}})") + calls(R"({"index":1,"function":{"arguments":"\"}"}})");
  for (const std::size_t piece : {std::size_t{0}, std::size_t{7}}) {
    CHECK(decode(body + ended(), piece).answer().turn.tool_calls ==
          std::vector<ToolCall>{{"a", "f", first + "\"}"}, {"b", "g", second + "\"}"}});
  }
}

TEST_CASE("64 calls in one turn are taken, and more than the limit are refused") {  // C16
  const auto many = [](int count) {
    std::string body;
    for (int i = 0; i < count; ++i) {
      const std::string n = std::to_string(i);
      body += calls(R"({"index":)" + n + R"(,"id":"c)" + n + R"(","function":{"name":"f","arguments":"{}"}})");
    }
    return decode(body + ended());
  };
  CHECK(many(64).answer().turn.tool_calls.size() == 64);
  CHECK(many(128).answer().turn.tool_calls.size() == 128);
  CHECK(many(129).kind() == "too_large");
}

}  // namespace
}  // namespace weft::model
