// A TCP server on 127.0.0.1 whose every byte the test decides: it can answer in halves, fall silent, or break off.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace weft::test {

// One accepted connection; closed at its end.
class RawConnection {
 public:
  RawConnection(int fd, const std::atomic<bool>& stopping) : fd_(fd), stopping_(stopping) {}
  RawConnection(RawConnection&& other) noexcept : fd_(std::exchange(other.fd_, -1)), stopping_(other.stopping_) {}
  RawConnection& operator=(RawConnection&&) = delete;
  ~RawConnection() { close(); }

  void send(std::string_view bytes) {
    while (fd_ >= 0 && !bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  // Ends with RST instead of FIN.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  // One whole request with its Content-Length, or empty where the peer closed before.
  std::string request() {
    for (;;) {
      const std::size_t head = buffer_.find("\r\n\r\n");
      if (head != std::string::npos) {
        std::size_t length = 0;
        if (const std::size_t at = buffer_.find("Content-Length: "); at < head) {
          length = std::stoul(buffer_.substr(at + 16));
        }
        if (buffer_.size() >= head + 4 + length) {
          std::string whole = buffer_.substr(0, head + 4 + length);
          buffer_.erase(0, whole.size());
          return whole;
        }
      }
      if (!receive()) return {};
    }
  }
  // Waits until at least `count` bytes more have come.
  void bytes(std::size_t count) {
    while (buffer_.size() < count && receive()) {
    }
  }
  // True when the peer has closed; waits for it.
  bool closed_by_peer() {
    while (receive()) {
    }
    return !stopping_;
  }
  // Keeps the connection open, silent, until the peer closes or the server stops.
  void hold() { std::ignore = closed_by_peer(); }

 private:
  bool receive() {
    while (fd_ >= 0 && !stopping_) {
      pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, 10) <= 0) continue;
      char bytes[65536];
      const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
      if (got <= 0) return false;
      buffer_.append(bytes, static_cast<std::size_t>(got));
      return true;
    }
    return false;
  }

  int fd_;
  const std::atomic<bool>& stopping_;
  std::string buffer_;
};

// `serve` runs in a thread of its own for each connection, with the connection's number from 0.
class RawServer {
 public:
  using Serve = std::function<void(RawConnection&, int)>;

  explicit RawServer(Serve serve) : serve_(std::move(serve)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd_, 1024) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no port for a test's server");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept(); });
  }
  ~RawServer() {
    stopping_ = true;
    acceptor_.join();
    for (Served& served : served_) served.thread.join();
    ::close(fd_);
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  int port() const { return port_; }
  std::string url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }
  int connections() const { return connections_; }
  // No connection is open, and none waits to be accepted: whatever was sent has been read.
  bool is_quiet() const {
    pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&wait, 1, 0) == 0 && open_ == 0;
  }

 private:
  struct Served {
    std::atomic<bool> over = false;
    std::thread thread;
  };

  void accept() {
    while (!stopping_) {
      pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, 10) <= 0) continue;
      ++open_;  // Before it is taken from those that wait.
      const int fd = ::accept(fd_, nullptr, nullptr);
      if (fd < 0) {
        --open_;
        continue;
      }
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      served_.remove_if([](Served& old) {
        if (!old.over) return false;
        old.thread.join();
        return true;
      });
      Served& served = served_.emplace_back();
      served.thread = std::thread([this, fd, number = connections_++, &served] {
        {
          RawConnection connection(fd, stopping_);
          serve_(connection, number);
        }
        --open_;
        served.over = true;
      });
    }
  }

  Serve serve_;
  int fd_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> connections_ = 0;
  std::thread acceptor_;
  std::atomic<int> open_ = 0;
  std::list<Served> served_;  // The acceptor's.
};

// A port on which nothing listens.
inline int closed_port() {
  RawServer gone([](RawConnection&, int) {});
  return gone.port();
}

}  // namespace weft::test
