#include "base/http.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/base/http_calls.h"
#include "tests/base/raw_server.h"

namespace weft {
namespace {

using std::chrono::milliseconds;
using test::fetch;
using test::post;
using test::RawConnection;
using test::RawServer;
using test::RecordingSink;
using test::reply;
using test::Seen;

TEST_CASE("a name that does not resolve is kConnect, the second time as well") {
  Loop loop;
  HttpClient http(loop);
  for (int i = 0; i < 3; ++i) {
    const Seen seen = fetch(loop, http, post("http://nosuch.invalid/v1"));
    CHECK_FALSE(seen.end->ok);
    CHECK(seen.end->fault == HttpFault::kConnect);
  }
}

TEST_CASE("a response arrives whole, with its final status and headers, and the request as it was given") {
  std::string request;
  RawServer server([&](RawConnection& c, int) {
    request = c.request();
    c.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    c.send("HTTP/1.1 201 Created\r\nX-One: a\r\nx-one:  b \r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
    c.send("lo\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n");
    c.hold();
  });
  Loop loop;
  HttpClient http(loop);
  HttpRequest sent = post(server.url("/v1/x?y=z"));
  sent.body = {std::make_shared<const std::string>("ab"), std::make_shared<const std::string>(""),
               std::make_shared<const std::string>("cde")};
  sent.headers = {"Content-Type: application/json", "Authorization: Bearer k", "X-Empty:"};
  const Seen seen = fetch(loop, http, std::move(sent));
  CHECK(seen.end->ok);
  CHECK(seen.head->status == 201);
  CHECK(seen.head->header("x-one") == "b");
  CHECK(seen.head->header("link").empty());
  CHECK(seen.head->header("trailer").empty());
  CHECK(seen.body == "hello world");
  CHECK(seen.destroyed == 1);
  CHECK(seen.end->total >= seen.end->first_byte);
  CHECK(seen.end->first_byte.count() > 0);
  CHECK(request.starts_with("POST /v1/x?y=z HTTP/1.1\r\n"));
  CHECK(request.ends_with("\r\n\r\nabcde"));
  CHECK(request.find("Content-Length: 5\r\n") != std::string::npos);
  CHECK(request.find("Authorization: Bearer k\r\n") != std::string::npos);
  CHECK(request.find("X-Empty:\r\n") != std::string::npos);
  CHECK(request.find("Expect") == std::string::npos);
}

TEST_CASE("large bodies go out and come in whole") {
  std::string received;
  const std::string large(3'000'000, 'x');
  RawServer server([&](RawConnection& c, int) {
    received = c.request();
    c.send(reply(large));
    c.hold();
  });
  Loop loop;
  HttpClient http(loop);
  const Seen seen = fetch(loop, http, post(server.url(), large));
  CHECK(seen.end->ok);
  CHECK(seen.body == large);
  CHECK(received.ends_with(large));
}

TEST_CASE("methods with and without a body are sent as they are named") {
  std::vector<std::string> lines;
  RawServer server([&](RawConnection& c, int) {
    for (std::string got = c.request(); !got.empty(); got = c.request()) {
      lines.push_back(got.substr(0, got.find(' ')) +
                      (got.find("Content-Length: 2\r\n") != std::string::npos ? "+" : ""));
      c.send(got.starts_with("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" : reply("1"));
    }
  });
  Loop loop;
  HttpClient http(loop);
  for (const char* method : {"GET", "DELETE", "HEAD", "OPTIONS", "POST", "PUT"}) {
    HttpRequest request;
    request.method = method;
    request.url = server.url();
    CHECK(fetch(loop, http, request).end->ok);
  }
  for (const char* method : {"GET", "DELETE", "POST", "PUT", "PATCH"}) {
    HttpRequest request = post(server.url());
    request.method = method;
    CHECK(fetch(loop, http, request).end->ok);
  }
  CHECK(server.connections() == 1);
  CHECK(lines == std::vector<std::string>{"GET", "DELETE", "HEAD", "OPTIONS", "POST", "PUT", "GET+", "DELETE+", "POST+",
                                          "PUT+", "PATCH+"});
}

TEST_CASE("a kept connection that dies with the second request is reported as reset and the request is not repeated") {
  const std::string method = GENERATE("POST", "DELETE", "GET");
  const bool abrupt = GENERATE(false, true);
  const bool with_body = GENERATE(false, true);
  if (with_body && method == "GET") return;
  std::atomic<int> requests = 0;
  RawServer server([&](RawConnection& c, int) {
    for (std::string got = c.request(); !got.empty(); got = c.request()) {
      if (++requests == 2) {
        if (abrupt) c.reset();
        return;
      }
      c.send(reply("first"));
    }
  });
  Loop loop;
  HttpClient http(loop);
  HttpRequest request = with_body ? post(server.url()) : HttpRequest{};
  request.method = method;
  request.url = server.url();
  REQUIRE(fetch(loop, http, request).end->ok);
  const Seen second = fetch(loop, http, request);
  CHECK_FALSE(second.end->ok);
  CHECK(second.end->fault == HttpFault::kReset);
  CHECK(second.end->reused_connection);
  CHECK(requests == 2);
  // A fresh start afterwards: had a repetition been under way, it would be counted by now.
  const Seen third = fetch(loop, http, request);
  CHECK(third.end->ok);
  CHECK(requests == 3);
}

TEST_CASE("a large request on a kept connection that dies while it is sent is not repeated") {
  std::atomic<int> connections = 0;
  RawServer server([&](RawConnection& c, int) {
    ++connections;
    if (c.request().empty()) return;
    c.send(reply("first"));
    c.bytes(1000);
    c.reset();
  });
  Loop loop;
  HttpClient http(loop);
  REQUIRE(fetch(loop, http, post(server.url())).end->ok);
  const Seen seen = fetch(loop, http, post(server.url(), std::string(20'000'000, 'x')));
  CHECK_FALSE(seen.end->ok);
  CHECK(seen.end->fault == HttpFault::kReset);
  CHECK(connections == 1);
}

TEST_CASE("a connection that the server closed while it was idle never leads to a second effect") {
  std::atomic<int> requests = 0;
  std::atomic<int> closed = 0;
  RawServer server([&](RawConnection& c, int) {
    if (c.request().empty()) return;
    ++requests;
    c.send(reply("x"));
    c.close();
    ++closed;
  });
  Loop loop;
  HttpClient http(loop);
  int reset = 0;
  for (int i = 1; i <= 20; ++i) {
    const Seen seen = fetch(loop, http, post(server.url()));
    if (!seen.end->ok) {
      CHECK(seen.end->fault == HttpFault::kReset);
      ++reset;
    }
    CHECK(requests + reset == i);
    while (closed < requests) std::this_thread::yield();
  }
  CHECK(reset <= 1);  // The end of an idle connection is noticed before it is used again.
}

TEST_CASE("connections are kept and used again") {
  RawServer server([&](RawConnection& c, int) {
    while (!c.request().empty()) c.send(reply("x"));
  });
  Loop loop;
  HttpClient http(loop);
  CHECK_FALSE(fetch(loop, http, post(server.url())).end->reused_connection);
  for (int i = 0; i < 10; ++i) CHECK(fetch(loop, http, post(server.url())).end->reused_connection);
  CHECK(server.connections() == 1);
}

TEST_CASE("what goes wrong has a fault and a message that names it") {
  Loop loop;
  HttpClient http(loop);
  SECTION("nobody listens") {
    const Seen seen = fetch(loop, http, post("http://127.0.0.1:" + std::to_string(test::closed_port()) + "/"));
    CHECK(seen.end->fault == HttpFault::kConnect);
    CHECK_FALSE(seen.head);
  }
  SECTION("no such host") {
    CHECK(fetch(loop, http, post("http://no-such-host.invalid/")).end->fault == HttpFault::kConnect);
  }
  SECTION("reset before the head") {
    RawServer server([](RawConnection& c, int) {
      c.request();
      c.reset();
    });
    CHECK(fetch(loop, http, post(server.url())).end->fault == HttpFault::kReset);
  }
  SECTION("reset in the body") {
    RawServer server([](RawConnection& c, int) {
      c.request();
      c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      c.close();
    });
    const Seen seen = fetch(loop, http, post(server.url()));
    CHECK(seen.body == "hello");
    CHECK(seen.end->fault == HttpFault::kReset);
  }
  SECTION("less than the promised length") {
    RawServer server([](RawConnection& c, int) {
      c.request();
      c.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
    });
    CHECK(fetch(loop, http, post(server.url())).end->fault == HttpFault::kReset);
  }
  SECTION("a body without length or chunks ends well where the connection does") {
    RawServer server([](RawConnection& c, int) {
      c.request();
      c.send("HTTP/1.1 200 OK\r\n\r\nhello");
    });
    CHECK(fetch(loop, http, post(server.url())).end->ok);
  }
  SECTION("not HTTP") {
    RawServer server([](RawConnection& c, int) {
      c.request();
      c.send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    });
    CHECK(fetch(loop, http, post(server.url())).end->fault == HttpFault::kProtocol);
  }
  SECTION("another scheme") { CHECK(fetch(loop, http, post("file:///etc/passwd")).end->fault == HttpFault::kProtocol); }
  SECTION("too large") {
    RawServer server([](RawConnection& c, int) {
      c.request();
      c.send(reply(std::string(5000, 'x')));
    });
    HttpRequest request = post(server.url());
    request.response_bytes_max = 4999;
    const Seen seen = fetch(loop, http, request);
    CHECK(seen.end->fault == HttpFault::kTooLarge);
    CHECK(seen.end->message.find("4999") != std::string::npos);
  }
  SECTION("an endless head") {
    RawServer server([](RawConnection& c, int) {
      c.request();
      c.send("HTTP/1.1 200 OK\r\n");
      for (int i = 0; i < 3000; ++i) c.send("X: " + std::string(100, 'x') + "\r\n");
      c.hold();
    });
    CHECK(fetch(loop, http, post(server.url())).end->fault == HttpFault::kTooLarge);
  }
  SECTION("redirects are handed over, not followed") {
    RawServer server([](RawConnection& c, int) {
      c.request();
      c.send("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
      c.hold();
    });
    const Seen seen = fetch(loop, http, post(server.url()));
    CHECK(seen.end->ok);
    CHECK(seen.head->status == 302);
    CHECK(server.connections() == 1);
  }
}

TEST_CASE("each timeout ends the call with its name") {
  const int which = GENERATE(0, 1, 2, 3);
  RawServer server([&](RawConnection& c, int) {
    c.request();
    if (which > 0) c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    if (which > 1) c.send("1\r\nx\r\n");
    c.hold();
  });
  Loop loop;
  HttpClient http(loop);
  HttpRequest request = post(server.url());
  if (which < 2) request.first_byte_timeout = milliseconds(40);
  if (which == 2) request.idle_timeout = milliseconds(40);
  if (which == 3) request.total_timeout = milliseconds(40);
  const Seen seen = fetch(loop, http, request);
  CHECK(seen.end->fault == HttpFault::kTimeout);
  CHECK(seen.end->total >= milliseconds(40));
  CHECK(seen.end->total < milliseconds(2000));
  const char* const names[] = {"first_byte_timeout", "first_byte_timeout", "idle_timeout", "total_timeout"};
  CHECK(seen.end->message.find(names[which]) != std::string::npos);
}

TEST_CASE("bytes that keep coming hold the idle timeout off") {
  Loop loop;
  HttpClient http(loop);
  RawServer server([&](RawConnection& c, int) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 12; ++i) {
      c.send("1\r\nx\r\n");
      std::this_thread::sleep_for(milliseconds(10));  // The spacing is what is tested.
    }
    c.send("0\r\n\r\n");
    c.hold();
  });
  HttpRequest request = post(server.url());
  request.idle_timeout = milliseconds(80);
  const Seen seen = fetch(loop, http, request);
  CHECK(seen.end->ok);
  CHECK(seen.end->total >= milliseconds(100));
}

TEST_CASE("a call may be cancelled from each callback, of itself or of another, and nothing comes after it") {
  const int where = GENERATE(0, 1, 2);
  const bool self = GENERATE(true, false);
  RawServer server([&](RawConnection& c, int) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    if (where == 2) c.send("0\r\n\r\n");
    c.hold();
  });
  RawServer silent([&](RawConnection& c, int) {
    c.request();
    c.hold();
  });
  Loop loop;
  Seen seen;
  Seen other;
  HttpClient http(loop);
  auto sink = std::make_unique<RecordingSink>(seen);
  RecordingSink& acting = *sink;
  const auto second = http.start(post(silent.url()), std::make_unique<RecordingSink>(other));
  const auto first = http.start(post(server.url()), std::move(sink));
  const auto hook = [&] {
    http.cancel(self ? *first : *second);
    http.cancel(self ? *first : *second);
    CHECK(seen.destroyed == 0);
    loop.post([&] { loop.after(milliseconds(5), [&] { loop.stop(); }); });
  };
  (where == 0 ? acting.head_hook : where == 1 ? acting.bytes_hook : acting.end_hook) = hook;
  loop.run();
  if (self) {
    CHECK(seen.destroyed == 1);
    CHECK(seen.end.has_value() == (where == 2));
    CHECK(seen.body == (where == 0 ? "" : "hello"));
    CHECK(http.in_flight() == 1);
  } else {
    CHECK(other.destroyed == 1);
    CHECK_FALSE(other.end);
  }
}

TEST_CASE("cancel closes the socket at once") {
  std::atomic<bool> closed = false;
  Loop loop;
  RawServer server([&](RawConnection& c, int) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    closed = c.closed_by_peer();
    loop.stop();
  });
  Seen seen;
  HttpClient http(loop);
  auto sink = std::make_unique<RecordingSink>(seen);
  std::optional<HttpClient::CallId> id;
  sink->bytes_hook = [&] { loop.post([&] { http.cancel(*id); }); };
  id = *http.start(post(server.url()), std::move(sink));
  loop.run();
  CHECK(closed);
  CHECK(seen.destroyed == 1);
  CHECK_FALSE(seen.end);
}

TEST_CASE("calls may be started from every callback") {
  RawServer server([&](RawConnection& c, int) {
    while (!c.request().empty()) c.send(reply("x"));
  });
  Loop loop;
  HttpClient http(loop);
  std::vector<std::unique_ptr<Seen>> all;
  int ended = 0;
  std::function<void(int)> start = [&](int depth) {
    all.push_back(std::make_unique<Seen>());
    auto sink = std::make_unique<RecordingSink>(*all.back());
    if (depth > 0) {
      sink->head_hook = [&, depth] { start(depth - 1); };
      sink->bytes_hook = [&, depth] { start(depth - 1); };
    }
    sink->end_hook = [&, depth] {
      ++ended;
      if (depth > 0) start(depth - 1);
      if (http.in_flight() == 0 && depth == 0 && ended == 40) loop.stop();
    };
    REQUIRE(http.start(post(server.url()), std::move(sink)));
  };
  start(3);  // 1 + 3 + 9 + 27
  loop.run();
  CHECK(ended == 40);
  for (const auto& seen : all) CHECK(seen->end->ok);
}

TEST_CASE("a client that ends with calls in flight destroys the sinks and calls nobody") {
  Seen waiting;
  Seen connecting;
  Loop loop;
  RawServer server([&](RawConnection& c, int) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    c.hold();
  });
  {
    HttpClient http(loop);
    auto sink = std::make_unique<RecordingSink>(waiting);
    sink->bytes_hook = [&] { loop.stop(); };
    REQUIRE(http.start(post(server.url()), std::move(sink)));
    loop.run();
    REQUIRE(http.start(post(server.url()), std::make_unique<RecordingSink>(connecting)));
  }
  CHECK(waiting.destroyed == 1);
  CHECK(connecting.destroyed == 1);
  CHECK_FALSE(waiting.end);
  CHECK_FALSE(connecting.end);
  loop.post([&] { loop.stop(); });
  loop.run();
}

TEST_CASE("what would change the shape of a request is refused without repeating the value") {
  Loop loop;
  Seen seen;
  HttpClient http(loop);
  const auto refused = [&](HttpRequest request) {
    const auto result = http.start(std::move(request), std::make_unique<RecordingSink>(seen));
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Code::kInvalidArgument);
    return result.error().message;
  };
  HttpRequest request = post("http://127.0.0.1/");
  request.headers = {"Authorization: Bearer secret\r\nX: y"};
  CHECK(refused(request).find("secret") == std::string::npos);
  request.headers = {"no colon"};
  refused(request);
  refused(post("http://127.0.0.1/ HTTP/1.1\r\n"));
  refused(post(""));
  request = post("http://127.0.0.1/");
  request.method = "POST / HTTP/1.1\r\n";
  refused(request);
}

TEST_CASE("the number of calls in flight has a limit") {
  RawServer server([&](RawConnection& c, int) {
    c.request();
    c.hold();
  });
  Loop loop;
  HttpClient http(loop, {.calls_max = 2, .idle_connections_max = 2});
  Seen seen;
  REQUIRE(http.start(post(server.url()), std::make_unique<RecordingSink>(seen)));
  const auto second = http.start(post(server.url()), std::make_unique<RecordingSink>(seen));
  const auto third = http.start(post(server.url()), std::make_unique<RecordingSink>(seen));
  REQUIRE_FALSE(third);
  CHECK(third.error().code == Code::kResourceExhausted);
  http.cancel(*second);
  CHECK(http.start(post(server.url()), std::make_unique<RecordingSink>(seen)));
}

}  // namespace
}  // namespace weft
