// The HTTP server under the simulated provider: cpp-httplib's, with connections that can be watched, reset and ended.
//
// cpp-httplib alone cannot say at once that a client has left, cannot reset a connection, and ends only after its
// keep-alive timeout. So the sockets are served here, and everything about HTTP stays with the library.
#pragma once

// Of the package's pkg-config flags: its class layouts depend on them.
#include <httplib.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace weft::sim {

using SteadyTime = std::chrono::steady_clock::time_point;

struct ServerLimits {
  std::size_t connections_max = 1'064;                 // A thread each, started when it is needed.
  std::size_t body_bytes_max = std::size_t{64} << 20;  // 413 over it.
  std::size_t requests_max = 1'000'000;                // On one connection.
  std::chrono::milliseconds keep_alive{30'000};        // Between two requests of a connection.
  std::chrono::milliseconds read_timeout{30'000};      // Between bytes of a request.
  std::chrono::milliseconds write_timeout{30'000};     // Until a client that does not read is given up.
  int backlog = 4'096;                                 // The kernel's own limit may be lower.
};

// One client's connection, on the thread that serves it. `reset` and the waits are for the handler of its request.
class Connection final : public httplib::Stream {
 public:
  Connection(int socket, const ServerLimits& limits) : socket_(socket), limits_(limits) {}
  // The one that this thread serves. REQUIRES: called from a handler.
  static Connection& current();

  enum class Wait : std::uint8_t { kElapsed, kGone };
  // Until `due`, or until the client has left or the server stops.
  Wait wait_until(SteadyTime due) const;
  void wait_until_gone() const;
  // The client gets a reset (RST) behind what was sent; nothing more is.
  void reset();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* bytes, std::size_t size) override;
  ssize_t write(const char* bytes, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  friend class HttpServer;
  bool await_request();  // False: the client left, or asked nothing for `keep_alive`.

  int socket_;
  const ServerLimits& limits_;
  std::string unread_;  // Received and not yet asked for: the library reads heads byte by byte.
  std::size_t unread_from_ = 0;
  bool reset_ = false;
};

// REQUIRES: stop() before destruction. listen_after_bind() serves until then.
class HttpServer final : public httplib::Server {
 public:
  explicit HttpServer(const ServerLimits& limits);
  // The port, or -1 with errno set.
  int bind(const std::string& host, int port);
  // Ends all connections, whatever they wait for. Thread-safe.
  void end();

 private:
  class Threads;
  bool process_and_close_socket(socket_t socket) override;
  bool enter(int socket);
  void leave(int socket);

  ServerLimits limits_;
  int listening_ = -1;
  std::mutex mutex_;
  bool ending_ = false;         // Guarded by mutex_.
  std::set<int> sockets_;       // Guarded by mutex_: open, and not closed while they are in it.
  Threads* threads_ = nullptr;  // Guarded by mutex_; owned by the library while it listens.
};

}  // namespace weft::sim
