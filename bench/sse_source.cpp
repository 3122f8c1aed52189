// A model server for thousands of slow streams: one thread, epoll, a few kilobytes a stream, so that what is measured
// is the client. cpp-httplib would need a thread each.
//
// sse_source STREAMS INTERVAL_MS. Prints "sse_source: port N", and "sse_source: open" when STREAMS streams have their
// first event. Each stream then gets one event every INTERVAL_MS; SIGUSR1 ends them all as a model ends an answer.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <unordered_map>

namespace weft::bench {
namespace {

constexpr std::size_t kRequestBytesMax = std::size_t{1} << 20;
constexpr int kTicksPerInterval = 20;  // Streams are spread over the interval in so many groups.

constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
constexpr std::string_view kFirst =
    R"(data: {"id":"s","object":"chat.completion.chunk","created":1700000000,"model":"slow","choices":[{"index":0,)"
    R"("delta":{"role":"assistant","content":"A"},"finish_reason":null}]})"
    "\n\n";
constexpr std::string_view kNext =
    R"(data: {"id":"s","object":"chat.completion.chunk","created":1700000000,"model":"slow","choices":[{"index":0,)"
    R"("delta":{"content":" word"},"finish_reason":null}]})"
    "\n\n";
constexpr std::string_view kLast =
    R"(data: {"id":"s","object":"chat.completion.chunk","created":1700000000,"model":"slow","choices":[{"index":0,)"
    R"("delta":{},"finish_reason":"stop"}]})"
    "\n\n"
    R"(data: {"id":"s","object":"chat.completion.chunk","created":1700000000,"model":"slow","choices":[],)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":10,"total_tokens":20}})"
    "\n\n"
    "data: [DONE]\n\n";

struct Connection {
  std::string request;
  bool streams = false;
};

// Whether the whole request is there: its head, and as many bytes as the head says.
bool is_whole(const std::string& request) {
  const std::size_t head = request.find("\r\n\r\n");
  if (head == std::string::npos) return false;
  std::size_t length = 0;
  for (const std::string_view name : {"content-length: ", "Content-Length: "}) {
    const std::size_t at = request.find(name);
    if (at == std::string::npos || at > head) continue;
    std::from_chars(request.data() + at + name.size(), request.data() + head, length);
  }
  return request.size() >= head + 4 + length;
}

class Source {
 public:
  explicit Source(std::size_t streams) : wanted_(streams) {}

  bool listen() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, SOMAXCONN) != 0) return false;
    ::getsockname(listener_, generic, &size);
    fmt::print("sse_source: port {}\n", ntohs(address.sin_port));
    std::fflush(stdout);
    return true;
  }

  int serve(int interval_ms) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    const int ends = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    const int ticks = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    const long tick_ns = 1'000'000L * interval_ms / kTicksPerInterval;
    const timespec tick{tick_ns / 1'000'000'000, tick_ns % 1'000'000'000};
    const itimerspec every{tick, tick};
    ::timerfd_settime(ticks, 0, &every, nullptr);
    for (const int file : {listener_, ends, ticks}) watch(file);
    while (true) {
      epoll_event events[256];
      const int count = ::epoll_wait(epoll_, events, 256, -1);
      for (int i = 0; i < count; ++i) {
        const int file = events[i].data.fd;
        if (file == listener_) {
          accept_all();
        } else if (file == ends) {
          drain(file, sizeof(signalfd_siginfo));
          end_all();
        } else if (file == ticks) {
          drain(file, sizeof(std::uint64_t));
          send_next();
        } else {
          receive(file);
        }
      }
    }
  }

 private:
  void watch(int file) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = file;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, file, &event);
  }

  static void drain(int file, std::size_t size) {
    char buffer[sizeof(signalfd_siginfo)];
    while (::read(file, buffer, size) > 0) {
    }
  }

  // What a slow reader's socket does not take is lost: events are small and rare.
  static void write(int file, std::string_view bytes) {
    [[maybe_unused]] const ssize_t sent = ::send(file, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  void accept_all() {
    while (true) {
      const int file = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (file < 0) return;
      const int on = 1;
      ::setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      connections_[file];
      watch(file);
    }
  }

  void receive(int file) {
    Connection& connection = connections_[file];
    char buffer[4096];
    const ssize_t got = ::read(file, buffer, sizeof buffer);
    if (got <= 0) return close(file);
    if (connection.streams) return;
    connection.request.append(buffer, static_cast<std::size_t>(got));
    if (connection.request.size() > kRequestBytesMax) return close(file);
    if (!is_whole(connection.request)) return;
    connection.request = std::string();
    connection.streams = true;
    write(file, kHead);
    write(file, kFirst);
    if (++open_ != wanted_) return;
    fmt::print("sse_source: open\n");
    std::fflush(stdout);
  }

  void send_next() {
    tick_ = (tick_ + 1) % kTicksPerInterval;
    for (const auto& [file, connection] : connections_) {
      if (connection.streams && file % kTicksPerInterval == tick_) write(file, kNext);
    }
  }

  void end_all() {
    for (const auto& [file, connection] : connections_) {
      if (connection.streams) write(file, kLast);
      ::close(file);
    }
    connections_.clear();
    open_ = 0;
  }

  void close(int file) {
    if (connections_[file].streams) --open_;
    connections_.erase(file);
    ::close(file);
  }

  const std::size_t wanted_;
  int listener_ = -1;
  int epoll_ = -1;
  int tick_ = 0;
  std::size_t open_ = 0;
  std::unordered_map<int, Connection> connections_;
};

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) {
  if (count != 3) {
    fmt::print(stderr, "usage: sse_source STREAMS INTERVAL_MS\n");
    return 2;
  }
  weft::bench::Source source(weft::bench::number(arguments[1]));
  if (!source.listen()) return 1;
  return source.serve(static_cast<int>(weft::bench::number(arguments[2])));
}
