// A shop outside of weft, for tools with effect: it records every request, does what is asked, and answers, late,
// wrongly or not at all, as the test says.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tests/base/raw_server.h"

namespace weft::test {

class Shop {
 public:
  struct Request {
    std::string method;
    std::string path;
    std::string head;
    std::string body;
    std::string key;  // Idempotency-Key; empty where none came.
    int connection = 0;
    std::string header(const std::string& name) const {
      const std::size_t at = head.find("\r\n" + name + ": ");
      if (at == std::string::npos) return "";
      const std::size_t from = at + name.size() + 4;
      return head.substr(from, head.find("\r\n", from) - from);
    }
  };
  struct Answer {
    int status = 200;
    std::string body = "{}";
    bool silent = false;  // The connection is closed instead.
    bool held = false;    // Nothing is said until the other side is gone.
  };
  using Serve = std::function<Answer(const Request&)>;

  explicit Shop(Serve serve)
      : serve_(std::move(serve)),
        server_([this](RawConnection& connection, int number) { talk(connection, number); }) {}

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }
  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  bool is_quiet() const { return server_.is_quiet(); }
  std::size_t count(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count(requests_, path, &Request::path));
  }
  // Under which requests came there, in their order.
  std::vector<std::string> keys(const std::string& path) const {
    std::vector<std::string> keys;
    for (const Request& request : requests()) {
      if (request.path == path) keys.push_back(request.key);
    }
    return keys;
  }

 private:
  void talk(RawConnection& connection, int number) {
    for (std::string text = connection.request(); !text.empty(); text = connection.request()) {
      Request request;
      request.method = text.substr(0, text.find(' '));
      const std::size_t path = text.find(' ') + 1;
      request.path = text.substr(path, text.find(' ', path) - path);
      const std::size_t end = text.find("\r\n\r\n");
      request.head = text.substr(0, end + 2);
      request.body = text.substr(end + 4);
      request.key = request.header("Idempotency-Key");
      request.connection = number;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      const Answer answer = serve_(request);
      if (answer.held) return connection.hold();
      if (answer.silent) return;
      connection.send("HTTP/1.1 " + std::to_string(answer.status) +
                      " X\r\nContent-Length: " + std::to_string(answer.body.size()) + "\r\n\r\n" + answer.body);
    }
  }

  Serve serve_;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;  // Guarded by mutex_.
  RawServer server_;               // Last: its threads use the others.
};

}  // namespace weft::test
