// What stands between a request as it is given and the bytes of the wire: proxies, paths, encoded bodies.
#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <mutex>
#include <string>

#include "base/url.h"
#include "tests/base/http_calls.h"

namespace weft {
namespace {

using test::fetch;
using test::post;
using test::RawConnection;
using test::RawServer;
using test::reply;
using test::Seen;

// `zeros` bytes of '0' behind `begin`, as one gzip stream.
std::string gzip(std::string_view begin, std::size_t zeros = 0) {
  constexpr int kGzipWindow = 15 + 16;
  z_stream stream = {};
  REQUIRE(::deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed;
  std::array<char, 4096> room;
  const auto push = [&](std::string_view bytes, int flush) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream.next_out = reinterpret_cast<Bytef*>(room.data());
      stream.avail_out = room.size();
      REQUIRE(::deflate(&stream, flush) != Z_STREAM_ERROR);
      packed.append(room.data(), room.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  };
  push(begin, Z_NO_FLUSH);
  push(std::string(zeros, '0'), Z_FINISH);
  ::deflateEnd(&stream);
  return packed;
}

std::string encoded_reply(std::string_view encoding, std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Encoding: {}\r\nContent-Length: {}\r\n\r\n{}", encoding, body.size(),
                     body);
}

// The same bytes in other frames: zlib's (15) and none (-15).
std::string deflated(std::string_view text, int window) {
  z_stream stream = {};
  REQUIRE(::deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(text.size() + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(::deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(packed.size() - stream.avail_out);
  ::deflateEnd(&stream);
  return packed;
}

// What one call brings from a server that answers every request with `answer`.
Seen answered(const std::string& answer, HttpRequest request = {}) {
  RawServer server([&](RawConnection& c, int) {
    c.request();
    c.send(answer);
    c.hold();
  });
  Loop loop;
  HttpClient http(loop);
  request.url = server.url();
  return fetch(loop, http, std::move(request));
}

// The variables of proxies, while it lives.
class ProxyVariables {
 public:
  explicit ProxyVariables(const std::string& url) {
    for (const char* name : kNames) ::setenv(name, url.c_str(), 1);
  }
  ~ProxyVariables() {
    for (const char* name : kNames) ::unsetenv(name);
  }
  ProxyVariables(const ProxyVariables&) = delete;
  ProxyVariables& operator=(const ProxyVariables&) = delete;

 private:
  static constexpr std::array kNames = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
};

TEST_CASE("a URL is this machine's however its host is written") {
  for (const char* url :
       {"http://127.0.0.1/", "http://127.1:8080/v1", "http://0x7f.1/", "http://2130706433/", "http://localhost/",
        "https://LOCALHOST:1/", "http://localhost./", "http://a.localhost/", "http://[::1]:9/", "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/", "http://[::]/", "http://127.255.0.9/"}) {
    CAPTURE(url);
    CHECK(is_loopback(url));
  }
  for (const char* url :
       {"http://128.0.0.1/", "https://api.deepseek.com", "http://localhost.evil.example/", "http://10.0.0.5:8000/v1",
        "http://[2001:db8::1]/", "not a url", "http://127.0.0.1.example/"}) {
    CAPTURE(url);
    CHECK_FALSE(is_loopback(url));
  }
}

TEST_CASE("the environment's proxies are not asked, and this machine is never reached through one") {
  std::atomic<int> at_proxy = 0;
  RawServer proxy([&](RawConnection& c, int) {
    ++at_proxy;
    c.request();
    c.send(reply("proxy"));
    c.hold();
  });
  // The second request comes on the connection of the first.
  RawServer server([](RawConnection& c, int) {
    while (!c.request().empty()) c.send(reply("server"));
  });
  const ProxyVariables variables(proxy.url());
  Loop loop;
  HttpClient http(loop);
  CHECK(fetch(loop, http, post(server.url())).body == "server");
  HttpRequest request = post(server.url());
  request.proxy = proxy.url();
  CHECK(fetch(loop, http, std::move(request)).body == "server");
  // Nobody resolves the name here: what is not said to go through the proxy does not.
  CHECK(fetch(loop, http, post("http://model.invalid/v1")).end->fault == HttpFault::kConnect);
  CHECK(at_proxy == 0);
}

TEST_CASE("a request that names a proxy goes through it, but for the hosts that are excepted") {
  std::string line;
  RawServer proxy([&](RawConnection& c, int) {
    const std::string request = c.request();
    line = request.substr(0, request.find("\r\n"));
    c.send(reply("proxy"));
    c.hold();
  });
  Loop loop;
  HttpClient http(loop);
  HttpRequest request = post("http://model.invalid/v1");
  request.proxy = proxy.url();
  CHECK(fetch(loop, http, request).body == "proxy");
  CHECK(line == "POST http://model.invalid/v1 HTTP/1.1");
  request.no_proxy = ".invalid";
  CHECK(fetch(loop, http, request).end->fault == HttpFault::kConnect);
}

TEST_CASE("the path goes out as it is given") {
  std::string line;
  RawServer server([&](RawConnection& c, int) {
    const std::string request = c.request();
    line = request.substr(0, request.find("\r\n"));
    c.send(reply(""));
    c.hold();
  });
  Loop loop;
  HttpClient http(loop);
  HttpRequest request = post(server.url("/users/../%2e%2e/./x"));
  request.method = "DELETE";
  request.body.clear();
  CHECK(fetch(loop, http, std::move(request)).end->ok);
  CHECK(line == "DELETE /users/../%2e%2e/./x HTTP/1.1");
}

TEST_CASE("an encoded body is asked for where that is wanted, and decoded in any case") {
  std::mutex mutex;
  std::string last;  // Guarded by mutex.
  RawServer server([&](RawConnection& c, int) {
    for (std::string head = c.request(); !head.empty(); head = c.request()) {
      {
        const std::lock_guard lock(mutex);
        last = head;
      }
      c.send(encoded_reply("gzip", gzip("{\"a\": 1}")));
    }
  });
  const auto head = [&] {
    const std::lock_guard lock(mutex);
    return last;
  };
  Loop loop;
  HttpClient http(loop);
  HttpRequest request = post(server.url());
  Seen seen = fetch(loop, http, request);
  CHECK(seen.body == "{\"a\": 1}");
  CHECK_FALSE(head().contains("Accept-Encoding"));
  request.compression = HttpRequest::Compression::kOffered;
  seen = fetch(loop, http, request);
  CHECK(seen.body == "{\"a\": 1}");
  CHECK(head().contains("\r\nAccept-Encoding: gzip, deflate\r\n"));
}

TEST_CASE("the forms in which servers compress are told apart, and a body of several parts is one") {
  const std::string text = "{\"text\": \"of some length, of some length\"}";
  CHECK(answered(encoded_reply("deflate", deflated(text, 15))).body == text);
  CHECK(answered(encoded_reply("deflate", deflated(text, -15))).body == text);
  CHECK(answered(encoded_reply("X-GZIP", gzip(text))).body == text);
  CHECK(answered(encoded_reply("gzip", gzip(text) + gzip("and more"))).body == text + "and more");
  CHECK(answered(encoded_reply("identity", text)).body == text);
  const Seen large = answered(encoded_reply("gzip", gzip("begin", 3'000'000)));
  CHECK(large.end->ok);
  CHECK(large.body == "begin" + std::string(3'000'000, '0'));
}

TEST_CASE("what is decoded counts, and what cannot be decoded is no answer") {
  HttpRequest request;
  request.response_bytes_max = std::uint64_t{1} << 20;
  const Seen bomb = answered(encoded_reply("gzip", gzip("", std::size_t{64} << 20)), request);
  REQUIRE_FALSE(bomb.end->ok);
  CHECK(bomb.end->fault == HttpFault::kTooLarge);
  CHECK(bomb.end->message == "the response is larger than 1048576 bytes when it is decoded (response_bytes_max)");
  CHECK(bomb.body.size() <= request.response_bytes_max);

  const Seen unknown = answered(encoded_reply("x-secret", "abc"));
  REQUIRE_FALSE(unknown.end->ok);
  CHECK(unknown.end->fault == HttpFault::kProtocol);
  CHECK(unknown.end->sent);
  CHECK(unknown.end->message == "the response's Content-Encoding \"x-secret\" is not known: gzip, deflate are");
  CHECK(answered("HTTP/1.1 204 No Content\r\nContent-Encoding: br\r\n\r\n").end->ok);

  const Seen damaged = answered(encoded_reply("gzip", "\x1f\x8b no gzip at all"));
  CHECK_FALSE(damaged.end->ok);
  std::string half = gzip("a text that is long enough to be cut in its middle, where its end is not known");
  half.resize(half.size() / 2);
  const Seen cut = answered(encoded_reply("gzip", half));
  CHECK_FALSE(cut.end->ok);
  CHECK(cut.end->message ==
        "the response's Content-Encoding \"gzip\" cannot be decoded: the body is damaged, or ends too early");
}

}  // namespace
}  // namespace weft
