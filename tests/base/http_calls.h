// Calls of the HTTP client in tests: one is made and run to its end, and what came is kept.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/http.h"
#include "tests/base/raw_server.h"

namespace weft::test {

struct Seen {
  std::optional<HttpHead> head;
  std::string body;
  std::optional<HttpEnd> end;
  int destroyed = 0;
};

class RecordingSink final : public HttpSink {
 public:
  explicit RecordingSink(Seen& seen) : seen_(seen) {}
  ~RecordingSink() override { ++seen_.destroyed; }
  void on_head(const HttpHead& head) override {
    seen_.head = head;
    if (head_hook) head_hook();
  }
  void on_bytes(std::string_view bytes) override {
    seen_.body += bytes;
    if (bytes_hook) bytes_hook();
  }
  void on_end(const HttpEnd& end) override {
    REQUIRE_FALSE(seen_.end);
    seen_.end = end;
    if (end_hook) end_hook();
  }
  std::function<void()> head_hook;
  std::function<void()> bytes_hook;
  std::function<void()> end_hook;

 private:
  Seen& seen_;
};

inline HttpRequest post(std::string url, std::string body = "{}") {
  HttpRequest request;
  request.url = std::move(url);
  request.body = {std::make_shared<const std::string>(std::move(body))};
  return request;
}

// Runs one call to its end.
inline Seen fetch(Loop& loop, HttpClient& http, HttpRequest request) {
  Seen seen;
  auto sink = std::make_unique<RecordingSink>(seen);
  sink->end_hook = [&] { loop.stop(); };
  REQUIRE(http.start(std::move(request), std::move(sink)));
  loop.run();
  REQUIRE(seen.end);
  return seen;
}

inline std::string reply(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

}  // namespace weft::test
