// HTTP/1.1 with kept connections for the bench's model servers: one thread, epoll, a few kilobytes a connection, so
// that what is measured is the client. cpp-httplib would need a thread each. For requests on loopback by a client that
// is ours: heads are not checked, and a write that a socket does not take whole is lost.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

namespace weft::bench {

class HttpHost {
 public:
  using Clock = std::chrono::steady_clock;
  using Task = std::function<void()>;
  // `head` is the request line and the headers. The connection's number is good until it closes.
  using OnRequest = std::function<void(int connection, std::string_view head, std::string_view body)>;
  using OnClose = std::function<void(int connection)>;

  // Binds a port of 127.0.0.1 that is free. False: errno says why.
  bool listen();
  std::uint16_t port() const { return port_; }
  void on_signal(int number, Task task);  // Blocks the signal for the calling thread.
  void at(Clock::time_point due, Task task);
  void send(int connection, std::string_view bytes) const;
  void close(int connection);
  // Never returns.
  [[noreturn]] void serve(OnRequest on_request, OnClose on_close);

 private:
  void watch(int file) const;
  void accept_all();
  void receive(int connection);
  void arm() const;
  void run_due();

  int listener_ = -1;
  int epoll_ = -1;
  int timer_ = -1;
  std::uint16_t port_ = 0;
  OnRequest on_request_;
  OnClose on_close_;
  std::multimap<Clock::time_point, Task> due_;
  std::unordered_map<int, Task> signals_;
  std::unordered_map<int, std::string> connections_;  // What came and is not a whole request yet.
};

}  // namespace weft::bench
