// The HTTP face, and clients that mean it ill.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <list>
#include <string>
#include <thread>

#include "runtime/server/http_face.h"
#include "tests/folder.h"

namespace weft::server {
namespace {

using namespace std::chrono_literals;

struct Face {
  Face() {
    own = *tokens.own();
    auto begun = HttpFace::start(*parse_address("127.0.0.1:0"), tokens,
                                 [this] { return ready ? Status() : Status(unavailable("the disk is full")); });
    if (!begun) FAIL(begun.error().message);
    face = *std::move(begun);
    port = parse_address(face->address())->port;
  }

  Folder folder;
  Tokens tokens{token_files(folder / "weft.db")};
  std::string own;
  std::atomic<bool> ready = true;
  std::unique_ptr<HttpFace> face;
  int port = 0;
};

// A connection that sends what it is told.
class Connection {
 public:
  explicit Connection(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons(static_cast<std::uint16_t>(port));
    REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  }
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // False where the other side has closed.
  bool send(std::string_view bytes) {
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  // All that comes until the other side closes, or nothing comes for so long.
  std::string receive(std::chrono::milliseconds patience = 2s) {
    std::string all;
    pollfd ready{socket_, POLLIN, 0};
    char buffer[4096];
    while (::poll(&ready, 1, static_cast<int>(patience.count())) > 0) {
      const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
      if (count <= 0) break;
      all.append(buffer, static_cast<std::size_t>(count));
    }
    return all;
  }
  bool closed_within(std::chrono::milliseconds patience) {
    pollfd ready{socket_, POLLIN, 0};
    char buffer[4096];
    while (::poll(&ready, 1, static_cast<int>(patience.count())) > 0) {
      if (::recv(socket_, buffer, sizeof buffer, 0) <= 0) return true;
    }
    return false;
  }

 private:
  int socket_;
};

std::string answer_to(int port, const std::string& request) {
  Connection connection(port);
  connection.send(request);
  return connection.receive();
}

std::string get(int port, const std::string& path, const std::string& headers = "") {
  return answer_to(
      port, fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n{}\r\n", path, port, headers));
}

}  // namespace

TEST_CASE("health pages are free, and tell the truth") {
  Face face;
  CHECK(get(face.port, "/healthz").find("200 OK") != std::string::npos);
  CHECK(get(face.port, "/readyz").ends_with("\r\n\r\nok\n"));
  face.ready = false;
  const std::string refused = get(face.port, "/readyz");
  CHECK(refused.find(" 503 ") != std::string::npos);
  CHECK(refused.ends_with("\r\n\r\nthe disk is full\n"));
  face.ready = true;
  face.face->set_draining();
  CHECK(get(face.port, "/readyz").find(" 503 ") != std::string::npos);
  CHECK(get(face.port, "/healthz").find(" 200 ") != std::string::npos);
}

TEST_CASE("every other page takes a token whose scope reaches it") {
  Face face;
  const std::string narrow = *face.tokens.make("ci", "submit:hello", Time());
  for (const char* path : {"/", "/metrics", "/healthz/", "/readyz/../metrics", "//healthz"}) {
    INFO(path);
    const std::string without = get(face.port, path);
    CHECK(without.find(" 401 ") != std::string::npos);
    CHECK(without.find("WWW-Authenticate: Bearer") != std::string::npos);
    CHECK(get(face.port, path, "Authorization: Bearer wrong\r\n").find(" 401 ") != std::string::npos);
    CHECK(get(face.port, path, "Authorization: Bearer " + narrow + "\r\n").find(" 403 ") != std::string::npos);
    CHECK(get(face.port, path, "Authorization: Bearer " + face.own + "\r\n").find(" 404 ") != std::string::npos);
  }
}

TEST_CASE("only requests for a loopback name are answered") {
  Face face;
  for (const char* host : {"evil.example", "evil.example:7461", "127.0.0.1.evil.example", "localhost.evil.example",
                           "[::1].evil.example", "", "127.0.0.2", "127.0.0.1, evil.example"}) {
    INFO(host);
    const std::string answer =
        answer_to(face.port, fmt::format("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host));
    CHECK(answer.find(" 200 ") == std::string::npos);
  }
  for (const char* host : {"127.0.0.1", "LOCALHOST:80", "localhost", "[::1]:7461"}) {
    INFO(host);
    const std::string answer =
        answer_to(face.port, fmt::format("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host));
    CHECK(answer.find(" 200 ") != std::string::npos);
  }
  CHECK(answer_to(face.port, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").find(" 200 ") == std::string::npos);
  CHECK(answer_to(face.port,
                  "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
            .find(" 200 ") == std::string::npos);
  CHECK(answer_to(face.port, "GET /healthz HTTP/1.0\r\n\r\n").find(" 200 ") != std::string::npos);
  CHECK(
      answer_to(face.port, "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc").find(" 405 ") !=
      std::string::npos);
}

TEST_CASE("connections that send a byte now and then hold up nobody, and are closed in time") {
  Face face;
  std::list<Connection> slow;
  for (int i = 0; i < 20; ++i) REQUIRE(slow.emplace_back(face.port).send("GET /heal"));
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<bool> stop = false;
  std::thread dripping([&] {
    while (!stop) {
      for (Connection& connection : slow) (void)connection.send("x");
      std::this_thread::sleep_for(500ms);
    }
  });
  CHECK(get(face.port, "/healthz").find(" 200 ") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
  CHECK(slow.front().closed_within(15s));
  CHECK(std::chrono::steady_clock::now() - begin < 14s);
  stop = true;
  dripping.join();
}

TEST_CASE("headers without end are refused after a bounded number of bytes") {
  Face face;
  for (const std::string& line : {std::string("X-A: ") + std::string(1000, 'a') + "\r\n", std::string("a:\r\n")}) {
    Connection connection(face.port);
    REQUIRE(connection.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n"));
    std::size_t sent = 0;
    while (sent < (std::size_t{32} << 20) && connection.send(line)) sent += line.size();
    // What the kernel buffers on both sides comes on top.
    CHECK(sent < (std::size_t{32} << 20));
  }
  CHECK(get(face.port, "/healthz").find(" 200 ") != std::string::npos);
}

TEST_CASE("who takes all connections shuts nobody out") {
  Face face;
  std::list<Connection> open;
  for (std::size_t i = 0; i < 2 * kHttpConnectionsMax; ++i) REQUIRE(open.emplace_back(face.port).send("GET /"));
  const auto begin = std::chrono::steady_clock::now();
  CHECK(get(face.port, "/healthz").find(" 200 ") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
}

}  // namespace weft::server
