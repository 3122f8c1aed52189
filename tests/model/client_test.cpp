// The real client against a server that breaks off, falls silent or says the wrong thing.
#include "runtime/model/client.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/model/openai.h"
#include "tests/base/raw_server.h"
#include "tests/model/decoding.h"

namespace weft::model {
namespace {

using std::chrono::milliseconds;
using test::delta;
using test::finish;
using test::kDone;
using test::RawConnection;
using test::RawServer;
using test::text;

const std::string kHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Request-Id: r-9\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string kEnd = "0\r\n\r\n";

std::string chunked(std::string_view bytes) {
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + std::string(bytes) + "\r\n";
}

struct Ended {
  Outcome outcome;
  std::string shown;
  std::string kind() const {
    const auto* failure = std::get_if<Failure>(&outcome);
    return failure == nullptr ? "answer" : std::string(failure_name(failure->kind));
  }
};

Call call_to(const std::string& base_url, std::string body = "{}") {
  Call call;
  call.dialect = &openai_dialect();
  call.endpoint.base_url = base_url;
  call.body = {std::make_shared<const std::string>(std::move(body))};
  return call;
}

// Makes one call and waits for its outcome.
Ended run(Loop& loop, Client& client, Call call) {
  Ended ended;
  bool came = false;
  client.start(
      std::move(call), [&](Stream, std::string_view piece) { ended.shown += piece; },
      [&](Outcome outcome) {
        CHECK_FALSE(came);
        came = true;
        ended.outcome = std::move(outcome);
        loop.stop();
      });
  loop.run();
  REQUIRE(came);
  return ended;
}

TEST_CASE("a call is one POST with the key, and its answer carries times and the request's name") {
  std::string request;
  RawServer server([&](RawConnection& c, int) {
    request = c.request();
    c.send(kHead + chunked(": keep-alive\n\n" + text("hel")) + chunked(text("lo") + finish("stop") + kDone) + kEnd);
    c.hold();
  });
  Loop loop;
  HttpClient http(loop);
  Client client(http);
  Call call = call_to(server.url("/v1/"), R"({"model":"m"})");
  call.endpoint.key = "sk-1";
  const Ended ended = run(loop, client, std::move(call));
  const auto& answer = std::get<Answer>(ended.outcome);
  CHECK(answer.turn.text == "hello");
  CHECK(ended.shown == "hello");
  CHECK(answer.request_id == "r-9");
  CHECK(answer.first_token.count() > 0);
  CHECK(answer.total >= answer.first_token);
  CHECK(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"));
  CHECK(request.find("Authorization: Bearer sk-1\r\n") != std::string::npos);
  CHECK(request.find("Content-Type: application/json\r\n") != std::string::npos);
  CHECK(request.ends_with("\r\n\r\n{\"model\":\"m\"}"));
}

TEST_CASE("without a key there is no Authorization header, and connections are used again") {
  std::atomic<int> authorized = 0;
  RawServer server([&](RawConnection& c, int) {
    for (std::string got = c.request(); !got.empty(); got = c.request()) {
      authorized += got.find("Authorization") != std::string::npos;
      c.send(kHead + chunked(text("x") + finish("stop") + kDone));
      c.send(kEnd);
    }
  });
  Loop loop;
  HttpClient http(loop);
  Client client(http);
  for (int i = 0; i < 5; ++i) {
    CHECK(run(loop, client, call_to(server.url())).kind() == "answer");
    // The end of the body is a packet of its own and may come after the outcome.
    while (http.in_flight() > 0) {
      loop.after(milliseconds(1), [&] { loop.stop(); });
      loop.run();
    }
  }
  CHECK(authorized == 0);
  CHECK(server.connections() == 1);
}

struct Fault {
  const char* name;
  RawServer::Serve serve;
  const char* kind;
  std::function<void(Endpoint&)> limit = nullptr;
};

TEST_CASE("faults of transport and time are told apart, and nothing half-done counts") {
  const std::string half_call =
      delta(R"("tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}])");
  const auto first_token = [](Endpoint& e) { e.first_token_timeout = milliseconds(60); };
  const auto idle = [](Endpoint& e) { e.idle_timeout = milliseconds(60); };
  const auto total = [](Endpoint& e) { e.total_timeout = milliseconds(60); };
  const auto trickle = [](RawConnection& c, const std::string& bytes, int count) {
    for (int i = 0; i < count; ++i) {
      c.send(chunked(bytes));
      std::this_thread::sleep_for(milliseconds(10));  // The spacing is what is tested.
    }
  };
  const std::vector<Fault> faults = {
      {"T2 reset before the head", [](RawConnection& c, int) { c.request(), c.reset(); }, "transport"},
      {"T2 closed before the head", [](RawConnection& c, int) { c.request(), c.close(); }, "transport"},
      {"T3 reset after the head", [](RawConnection& c, int) { c.request(), c.send(kHead), c.reset(); }, "transport"},
      {"T4 cut after text",
       [](RawConnection& c, int) { c.request(), c.send(kHead + chunked(text("half"))), c.close(); }, "transport"},
      {"T5 cut in a call", [&](RawConnection& c, int) { c.request(), c.send(kHead + chunked(half_call)), c.close(); },
       "transport"},
      {"T6 a clean end without DONE",
       [](RawConnection& c, int) { c.request(), c.send(kHead + chunked(text("half")) + kEnd), c.hold(); },
       "stream_closed"},
      {"T6 a clean end without anything", [](RawConnection& c, int) { c.request(), c.send(kHead + kEnd), c.hold(); },
       "stream_closed"},
      {"T7 a proxy's last words",
       [](RawConnection& c, int) {
         c.request();
         c.send("HTTP/1.1 200 OK\r\n\r\n" + text("half") + "upstream error: read ECONNRESET");
       },
       "stream_closed"},
      {"T8 silence after reasoning",
       [](RawConnection& c, int) {
         c.request(), c.send(kHead + chunked(delta(R"("reasoning_content":"hm")"))), c.hold();
       },
       "timeout", idle},
      {"T8 silence from the start", [](RawConnection& c, int) { c.request(), c.hold(); }, "timeout", first_token},
      {"T9 keep-alives only",
       [&](RawConnection& c, int) { c.request(), c.send(kHead), trickle(c, ": keep-alive\n\n", 100), c.hold(); },
       "timeout", first_token},
      {"T9 keep-alives, then the end",
       [&](RawConnection& c, int) {
         c.request(), c.send(kHead), trickle(c, ": keep-alive\n\n", 2), c.send(kEnd), c.hold();
       },
       "stream_closed", first_token},
      {"T9 keep-alives hold the idle timeout off",
       [&](RawConnection& c, int) {
         c.request(), c.send(kHead), trickle(c, ": keep-alive\n\n", 12);
         c.send(chunked(text("x") + finish("stop") + kDone) + kEnd), c.hold();
       },
       "answer", idle},
      {"T10 blank lines, then a whole response",
       [&](RawConnection& c, int) {
         c.request(), c.send(kHead), trickle(c, "\n", 3);
         c.send(chunked(R"({"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]})") + kEnd), c.hold();
       },
       "answer"},
      {"T10 blank lines for ever",
       [&](RawConnection& c, int) { c.request(), c.send(kHead), trickle(c, "\n", 100), c.hold(); }, "timeout",
       first_token},
      {"T11 a slow drip past the deadline of the call",
       [&](RawConnection& c, int) { c.request(), c.send(kHead), trickle(c, text("x"), 100), c.hold(); }, "timeout",
       total},
      {"T12 HTML",
       [](RawConnection& c, int) { c.request(), c.send(kHead + chunked("<html>hi</html>") + kEnd), c.hold(); },
       "malformed"},
      {"T12 a proxy's 502",
       [](RawConnection& c, int) {
         c.request(), c.send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>"), c.hold();
       },
       "server"},
      {"too large",
       [](RawConnection& c, int) { c.request(), c.send(kHead + chunked(text(std::string(9000, 'x')))), c.hold(); },
       "too_large", [](Endpoint& e) { e.response_bytes_max = 8000; }},
      {"DONE, and the body never ends",
       [](RawConnection& c, int) {
         c.request(), c.send(kHead + chunked(text("x") + finish("stop") + kDone)), c.hold();
       },
       "answer"},
      {"an error event, and the body never ends",
       [](RawConnection& c, int) {
         c.request(), c.send(kHead + chunked("data: {\"error\":{\"message\":\"x\"}}\n\n")), c.hold();
       },
       "overloaded"},
      {"not HTTP", [](RawConnection& c, int) { c.request(), c.send("what?\r\n\r\n"); }, "transport"},
  };
  for (const Fault& fault : faults) {
    INFO(fault.name);
    RawServer server(fault.serve);
    Loop loop;
    HttpClient http(loop);
    Client client(http);
    Call call = call_to(server.url());
    if (fault.limit) fault.limit(call.endpoint);
    const Ended ended = run(loop, client, std::move(call));
    CHECK(ended.kind() == fault.kind);
    CHECK(server.connections() == 1);
    if (const auto* failure = std::get_if<Failure>(&ended.outcome)) {
      CHECK_FALSE(failure->message.empty());
      CHECK(ended.shown.ends_with(failure->partial_text));
      CHECK(failure->total.count() > 0);
      CHECK(failure->total < milliseconds(2000));
      if (fault.limit && failure->kind == FailureKind::kTimeout)
        CHECK(failure->message.find("_timeout)") != std::string::npos);
    }
  }
}

TEST_CASE("T1 nobody listens, and a URL that is none, are failures like others") {
  Loop loop;
  HttpClient http(loop);
  Client client(http);
  CHECK(run(loop, client, call_to("http://127.0.0.1:" + std::to_string(test::closed_port()))).kind() == "transport");
  CHECK(run(loop, client, call_to("no url\n")).kind() == "invalid_request");
  Call call = call_to("http://127.0.0.1");
  call.endpoint.key = "sk\r\nsecret: 1";
  const Ended ended = run(loop, client, std::move(call));
  CHECK(ended.kind() == "invalid_request");
  CHECK(std::get<Failure>(ended.outcome).message.find("secret: 1") == std::string::npos);
}

TEST_CASE("a call over the limit of calls in flight fails as overloaded, and may be cancelled before it says so") {
  RawServer server([](RawConnection& c, int) { c.request(), c.hold(); });
  Loop loop;
  HttpClient http(loop, {.calls_max = 1, .idle_connections_max = 1});
  Client client(http);
  client.start(call_to(server.url()), nullptr, [](Outcome) { FAIL("cancelled by the client's end"); });
  int told = 0;
  const auto cancelled = client.start(call_to(server.url()), nullptr, [&](Outcome) { told += 10; });
  client.cancel(cancelled);
  CHECK(run(loop, client, call_to(server.url())).kind() == "overloaded");
  CHECK(told == 0);
}

TEST_CASE("after cancel nothing comes, also from inside the progress of the same piece, and the socket is closed") {
  const int where = GENERATE(0, 1, 2);
  std::atomic<bool> closed = false;
  Loop loop;
  RawServer server([&](RawConnection& c, int) {
    c.request();
    c.send(kHead + chunked(text("one") + text("two") + finish("stop") + kDone));
    closed = c.closed_by_peer();
    loop.stop();
  });
  HttpClient http(loop);
  Client client(http);
  std::string shown;
  bool told = false;
  std::optional<Client::CallId> id;
  id = client.start(
      call_to(server.url()),
      [&](Stream, std::string_view piece) {
        shown += piece;
        if (where == 0) client.cancel(*id);
      },
      [&](Outcome) {
        told = true;
        if (where == 1) client.cancel(*id);
      });
  if (where == 2) {
    client.cancel(*id);
    loop.post([&] { loop.stop(); });
  }
  loop.run();
  CHECK(shown == (where == 0 ? "one" : where == 1 ? "onetwo" : ""));
  CHECK(told == (where == 1));
  if (where != 2) CHECK(closed);
  client.cancel(*id);
  CHECK(http.in_flight() == 0);
}

TEST_CASE("an outcome may start the next call, and a client that ends tells nobody") {
  RawServer server([&](RawConnection& c, int) {
    while (!c.request().empty()) c.send(kHead + chunked(text("x") + finish("stop") + kDone) + kEnd);
  });
  RawServer silent([](RawConnection& c, int) { c.request(), c.hold(); });
  Loop loop;
  HttpClient http(loop);
  int turns = 0;
  {
    Client client(http);
    std::function<void()> next = [&] {
      client.start(call_to(server.url()), nullptr, [&](Outcome outcome) {
        CHECK(std::holds_alternative<Answer>(outcome));
        if (++turns < 20) {
          next();
        } else {
          loop.stop();
        }
      });
    };
    next();
    client.start(call_to(silent.url()), nullptr, [](Outcome) { FAIL("nobody is to be told"); });
    loop.run();
  }
  CHECK(turns == 20);
  CHECK(http.in_flight() <= 1);
}

}  // namespace
}  // namespace weft::model
