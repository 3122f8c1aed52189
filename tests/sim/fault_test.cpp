#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <future>
#include <thread>

#include "tests/sim/client.h"

namespace weft::sim {
namespace {

std::string with(std::string_view fault) {
  return "{sim: 1, cache: {delay: 0s}, rules: [{reply: {text: 'One two three four', " + std::string(fault) + "}}]}";
}

// What a plain socket sees behind all that it could read: 0 for an orderly end, else errno.
int end_of_connection(const Fixture& sim, const Json& body) {
  int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(sim.provider->port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  std::string text = to_text(body);
  std::string request = "POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nContent-Length: " +
                        std::to_string(text.size()) + "\r\n\r\n" + text;
  REQUIRE(::send(socket, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
  char bytes[4'096];
  ssize_t got = 1;
  while (got > 0) got = ::recv(socket, bytes, sizeof bytes, 0);
  int seen = got < 0 ? errno : 0;
  ::close(socket);
  return seen;
}

}  // namespace

TEST_CASE("a reset is one, and an end is none") {
  Json body = streamed(chat("Go"));
  CHECK(end_of_connection(Fixture(with("reset_after: 2")), body) == ECONNRESET);
  CHECK(end_of_connection(Fixture(with("drop: true")), body) == ECONNRESET);
  CHECK(end_of_connection(Fixture(with("reset_after: 0")), chat("Go")) == ECONNRESET);
  CHECK(end_of_connection(Fixture(with("cut_after: 2")), body) == 0);
  CHECK(end_of_connection(Fixture(with("no_done: true")), body) == 0);
}

TEST_CASE("a cut stream ends as HTTP whole, without finish and last line") {
  Got got = Fixture(with("cut_after: 2")).ask(streamed(chat("Go")));
  CHECK(got.whole);
  CHECK(got.text() == "One two ");
  CHECK_FALSE(got.done());
  CHECK(got.body.find("\"stop\"") == std::string::npos);
}

TEST_CASE("a reset stream breaks behind what was sent") {
  Fixture sim(with("reset_after: 2"));
  Got got = sim.ask(streamed(chat("Go")));
  CHECK_FALSE(got.whole);
  CHECK(got.status == 200);
  CHECK(got.text() == "One two ");
  CHECK(sim.stats_reach([](const Json& stats) { return stats["streams"] == 0; }));
}

TEST_CASE("a dropped request gets no head") {
  Fixture sim(with("drop: true"));
  Got got = sim.ask(streamed(chat("Go")));
  CHECK_FALSE(got.whole);
  CHECK(got.status == 0);
  CHECK(sim.provider->requests() == 1);
}

TEST_CASE("a stalled response is silent and keeps its place until the client leaves") {
  Fixture sim(with("stall_after: 1"));
  for (bool stream : {true, false}) {
    std::string seen;
    Got got;
    std::thread client;
    std::promise<void> half, leave;
    client = std::thread([&] {
      Ask ask;
      ask.body = to_text(stream ? streamed(chat("Go")) : chat("Go"));
      ask.on_bytes = [&](std::string_view bytes) {
        seen += bytes;
        if (seen.find("One ") == std::string::npos) return true;
        half.set_value();
        leave.get_future().wait();
        return false;
      };
      got = sim.ask(ask);
    });
    half.get_future().wait();
    CHECK(sim.get("/stats").json()["streams"] == 1);
    leave.set_value();
    client.join();
    CHECK(sim.stats_reach([](const Json& stats) { return stats["streams"] == 0; }));
    CHECK_FALSE(got.whole);
    if (stream) CHECK(seen.find("two") == std::string::npos);
  }
}

TEST_CASE("a stream without its last line is whole but for it") {
  Got got = Fixture(with("no_done: true")).ask(streamed(chat("Go")));
  CHECK(got.whole);
  CHECK(got.text() == "One two three four");
  CHECK(got.usage()["completion_tokens"] == 5);
  CHECK_FALSE(got.done());
}

TEST_CASE("one malformed event stands between good ones") {
  Got got = Fixture(with("malformed_after: 1")).ask(streamed(chat("Go")));
  CHECK(got.done());
  std::size_t bad = 0;
  for (std::size_t at = got.body.find("data: "); at != std::string::npos; at = got.body.find("data: ", at + 1)) {
    std::string line = got.body.substr(at + 6, got.body.find('\n', at) - at - 6);
    if (line != "[DONE]" && !parse_untrusted(line)) ++bad;
  }
  CHECK(bad == 1);
}

TEST_CASE("raw lines are the whole body") {
  Got got = Fixture("{sim: 1, rules: [{reply: {raw: ['data: {\"error\": {}}', '', 'upstream error']}}]}")
                .ask(streamed(chat("Go")));
  CHECK(got.body == "data: {\"error\": {}}\n\nupstream error\n");
}

TEST_CASE("an answer that is not streamed breaks in its middle") {
  CHECK_FALSE(Fixture(with("cut_after: 2")).ask(chat("Go")).whole);
  Got reset = Fixture(with("reset_after: 0")).ask(chat("Go"));
  CHECK_FALSE(reset.whole);
  CHECK(reset.status == 200);
  Got malformed = Fixture(with("malformed_after: 0")).ask(chat("Go"));
  CHECK(malformed.whole);
  CHECK_FALSE(parse_untrusted(malformed.body));
}

TEST_CASE("errors come with their status, their body and the time to wait") {
  Got got = Fixture("{sim: 1, rules: [{reply: {error: {status: 429, message: 'Slow down', retry_after: 3}}}]}")
                .ask(streamed(chat("Go")));
  CHECK(got.status == 429);
  CHECK(got.headers.find("Retry-After")->second == "3");
  CHECK(got.json()["error"]["message"] == "Slow down");
  CHECK(got.json()["error"]["type"] == "rate_limit_error");

  Got page = Fixture("{sim: 1, rules: [{reply: {error: {status: 502, body: <html></html>}}}]}").ask(chat("Go"));
  CHECK(page.status == 502);
  CHECK(page.body == "<html></html>");
  Got empty = Fixture("{sim: 1, rules: [{reply: {error: {status: 500, body: {a: 1}}}}]}").ask(chat("Go"));
  CHECK(empty.body == R"({"a":1})");
}

TEST_CASE("usage can be left out, replaced in part, and finish said otherwise") {
  CHECK(Fixture(with("usage: none")).ask(streamed(chat("Go"))).usage().is_null());
  Got got =
      Fixture(with("finish: insufficient_system_resource, usage: {prompt_tokens: 7, prompt_cache_hit_tokens: null}"))
          .ask(chat("Go"));
  CHECK(got.usage()["prompt_tokens"] == 7);
  CHECK_FALSE(got.usage().contains("prompt_cache_hit_tokens"));
  CHECK(got.usage()["completion_tokens"] == 5);
  CHECK(got.json()["choices"][0]["finish_reason"] == "insufficient_system_resource");
}

TEST_CASE("comments keep a queued stream alive until its first token") {
  Got got = Fixture(with("first_token: 40ms, keep_alive: 10ms")).ask(streamed(chat("Go")));
  CHECK(got.body.starts_with(": keep-alive\n\n"));
  CHECK(got.done());
}

TEST_CASE("tokens come at their pace, each when it is due") {
  Fixture sim(with("first_token: 20ms, tokens_per_second: 50"));
  auto from = std::chrono::steady_clock::now();
  std::vector<std::chrono::steady_clock::duration> at;
  Ask ask;
  ask.body = to_text(streamed(chat("Go")));
  ask.on_bytes = [&](std::string_view) {
    at.push_back(std::chrono::steady_clock::now() - from);
    return true;
  };
  CHECK(sim.ask(ask).done());
  // Five tokens, the last 80 ms after the first.
  CHECK(at.front() >= std::chrono::milliseconds(20));
  CHECK(at.back() >= std::chrono::milliseconds(100));
  CHECK(at.size() >= 2);
}

}  // namespace weft::sim
