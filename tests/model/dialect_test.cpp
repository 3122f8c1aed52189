// A second dialect goes the whole way of the first, and nothing but the dialect knows it.
#include "runtime/model/dialect.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "runtime/model/client.h"
#include "tests/base/raw_server.h"
#include "tests/model/lines_dialect.h"

namespace weft::model {
namespace {

using test::RawConnection;
using test::RawServer;

std::string bytes_of(const std::vector<std::shared_ptr<const std::string>>& pieces) {
  std::string out;
  for (const auto& piece : pieces) out += *piece;
  return out;
}

TEST_CASE("a call in another dialect has its path, its key, its messages and its stream") {
  std::vector<std::string> requests;
  RawServer server([&](RawConnection& c, int call) {
    requests.push_back(c.request());
    const std::string body = call == 0 ? "+let me\n!c1 fs__read {\"path\":\"a\"}\n!c2 note {}\nend\n" : "+done\nend\n";
    c.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body);
  });
  const test::LinesDialect lines;
  AgentSpec agent;
  agent.model = "m1";
  agent.tools = {{"note", "", "{}"}, {"fs.read", "", "{}"}};
  auto prefix = Prefix::build(agent, {&lines, {}});
  REQUIRE(prefix);
  Conversation talk(std::make_shared<const Prefix>(*std::move(prefix)));
  talk.add_user("read");

  Loop loop;
  HttpClient http(loop);
  Client client(http);
  const auto ask = [&] {
    Call call;
    call.dialect = &talk.prefix().dialect();
    call.endpoint.base_url = server.url("");
    call.endpoint.key = "k-7";
    call.body = talk.body();
    Turn turn;
    std::string shown;
    client.start(
        std::move(call), [&](Stream, std::string_view piece) { shown += piece; },
        [&](Outcome outcome) {
          REQUIRE(std::holds_alternative<Answer>(outcome));
          turn = std::get<Answer>(std::move(outcome)).turn;
          loop.stop();
        });
    loop.run();
    CHECK(shown == turn.text);
    return turn;
  };
  const Turn first = ask();
  REQUIRE(first.tool_calls.size() == 2);
  CHECK(talk.prefix().tool_named(first.tool_calls[0].name) == "fs.read");
  talk.add_turn(first);
  talk.add_tool_results(std::vector<ToolResult>{{"c1", "text", false}, {"c2", "no such note", true}});
  CHECK(ask().text == "done");

  REQUIRE(requests.size() == 2);
  const std::string head = R"({"who":"m1","can":["fs.read","note"],"say":[{"in":"read"})";
  CHECK(requests[0].starts_with("POST /lines HTTP/1.1\r\n"));
  CHECK(requests[0].find("X-Lines-Key: k-7\r\n") != std::string::npos);
  CHECK(requests[0].find("Authorization") == std::string::npos);
  CHECK(requests[0].ends_with("\r\n\r\n" + head + "]}"));
  const Json second = *parse_untrusted(requests[1].substr(requests[1].find("\r\n\r\n") + 4));
  REQUIRE(second["say"].size() == 3);
  CHECK(second["say"][2] == Json::parse(R"({"back":[["c1","text",false],["c2","no such note",true]]})"));
  CHECK(requests[1].find(head) != std::string::npos);
  CHECK(sha256(bytes_of(talk.body())) == talk.digest());
  CHECK(bytes_of(talk.body()).size() == talk.size());
}

TEST_CASE("a stream is as whole as its own format says") {
  RawServer server([](RawConnection& c, int) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20\r\n\r\n+half\ndata: [DONE]\n\n");
  });
  const test::LinesDialect lines;
  Loop loop;
  HttpClient http(loop);
  Client client(http);
  Call call;
  call.dialect = &lines;
  call.endpoint.base_url = server.url("");
  Outcome ended;
  client.start(
      std::move(call), [](Stream, std::string_view) {},
      [&](Outcome outcome) {
        ended = std::move(outcome);
        loop.stop();
      });
  loop.run();
  REQUIRE(std::holds_alternative<Failure>(ended));
  CHECK(std::get<Failure>(ended).kind == FailureKind::kStreamClosed);
}

TEST_CASE("the catalog's kinds are dialects, and what is none is refused") {
  REQUIRE(find_dialect("openai") != nullptr);
  CHECK(find_dialect("openai")->name() == "openai");
  CHECK(find_dialect("") == nullptr);
  CHECK(find_dialect("OpenAI") == nullptr);
}

TEST_CASE("prefixes are the same where all that follows them is written in the same way") {
  const test::LinesDialect lines;
  AgentSpec agent;
  agent.model = "m1";
  const auto built = [&](const WireFormat& format) { return *Prefix::build(agent, format); };
  const Dialect* openai = find_dialect("openai");
  const Prefix one = built({openai, {}});
  CHECK(is_same(one, built({openai, {}})));
  CHECK_FALSE(is_same(one, built({&lines, {}})));
  Features replays;
  replays.reasoning_replay = true;  // No byte of the prefix says so, and every turn behind it is another.
  CHECK(one.digest() == built({openai, replays}).digest());
  CHECK_FALSE(is_same(one, built({openai, replays})));
  agent.model = "m2";
  CHECK_FALSE(is_same(one, built({openai, {}})));
}

}  // namespace
}  // namespace weft::model
