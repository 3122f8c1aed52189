#include "bench/http_host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <utility>

namespace weft::bench {
namespace {

constexpr std::size_t kRequestBytesMax = std::size_t{1} << 20;

void drain(int file) {
  char buffer[sizeof(signalfd_siginfo)];
  while (::read(file, buffer, sizeof buffer) > 0) {
  }
}

std::size_t length_of(std::string_view head) {
  std::size_t length = 0;
  for (const std::string_view name : {"content-length: ", "Content-Length: "}) {
    const std::size_t at = head.find(name);
    if (at != std::string_view::npos)
      std::from_chars(head.data() + at + name.size(), head.data() + head.size(), length);
  }
  return length;
}

}  // namespace

bool HttpHost::listen() {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, size) != 0 || ::listen(listener_, SOMAXCONN) != 0) return false;
  ::getsockname(listener_, generic, &size);
  port_ = ntohs(address.sin_port);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  watch(listener_);
  watch(timer_);
  return epoll_ >= 0 && timer_ >= 0;
}

void HttpHost::on_signal(int number, Task task) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const int file = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  signals_[file] = std::move(task);
  watch(file);
}

void HttpHost::at(Clock::time_point due, Task task) {
  due_.emplace(due, std::move(task));
  arm();
}

void HttpHost::arm() const {
  itimerspec once{};
  if (!due_.empty()) {
    // Zero would disarm it.
    const long ns = std::max<long>(1, due_.begin()->first.time_since_epoch().count());
    once.it_value = {ns / 1'000'000'000, ns % 1'000'000'000};
  }
  ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &once, nullptr);
}

void HttpHost::run_due() {
  while (!due_.empty() && due_.begin()->first <= Clock::now()) {
    const auto node = due_.extract(due_.begin());
    node.mapped()();
  }
  arm();
}

void HttpHost::send(int connection, std::string_view bytes) const {
  [[maybe_unused]] const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void HttpHost::close(int connection) {
  if (connections_.erase(connection) == 0) return;
  ::close(connection);
  on_close_(connection);
}

void HttpHost::serve(OnRequest on_request, OnClose on_close) {
  on_request_ = std::move(on_request);
  on_close_ = std::move(on_close);
  while (true) {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll_, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      const int file = events[i].data.fd;
      const auto signal = signals_.find(file);
      if (file == listener_) {
        accept_all();
      } else if (file == timer_) {
        drain(file);
        run_due();
      } else if (signal != signals_.end()) {
        drain(file);
        signal->second();
      } else {
        receive(file);
      }
    }
  }
}

void HttpHost::watch(int file) const {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = file;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, file, &event);
}

void HttpHost::accept_all() {
  while (true) {
    const int file = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (file < 0) return;
    const int on = 1;
    ::setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections_[file];
    watch(file);
  }
}

void HttpHost::receive(int connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;  // Closed by an event before this one.
  char buffer[4096];
  const ssize_t got = ::read(connection, buffer, sizeof buffer);
  if (got <= 0) return close(connection);
  std::string& pending = found->second;
  pending.append(buffer, static_cast<std::size_t>(got));
  if (pending.size() > kRequestBytesMax) return close(connection);
  const std::size_t end = pending.find("\r\n\r\n");
  if (end == std::string::npos) return;
  const std::size_t whole = end + 4 + length_of(std::string_view(pending).substr(0, end));
  if (pending.size() < whole) return;
  // Given up whole: ten thousand open streams keep no request.
  const std::string request = std::exchange(pending, std::string());
  on_request_(connection, std::string_view(request).substr(0, end), std::string_view(request).substr(end + 4));
}

}  // namespace weft::bench
