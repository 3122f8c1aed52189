#include "sim/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "base/check.h"

namespace weft::sim {
namespace {

thread_local Connection* serving = nullptr;

constexpr std::size_t kReadBytes = 16 << 10;
constexpr int kDrainWaitsMax = 1'000;
constexpr std::chrono::milliseconds kDrainWait{1};

// Waits for any of `events` (or the end of the connection) until `due`; returns what happened, 0 where nothing did.
int poll_until(int socket, short events, SteadyTime due) {
  while (true) {
    auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(due - std::chrono::steady_clock::now()).count();
    if (left < 0) left = 0;
    timespec wait{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
    pollfd watched{.fd = socket, .events = events, .revents = 0};
    int ready = ppoll(&watched, 1, &wait, nullptr);
    if (ready > 0) return watched.revents;
    if (ready == 0) return 0;
    if (errno != EINTR) return POLLERR;
  }
}

SteadyTime after(std::chrono::milliseconds delay) { return std::chrono::steady_clock::now() + delay; }

void name_of(const sockaddr_storage& address, std::string& ip, int& port) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    port = ntohs(v4.sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    port = ntohs(v6.sin6_port);
  }
  ip = text;
}

}  // namespace

Connection& Connection::current() {
  WEFT_CHECK(serving != nullptr, "a connection is asked for outside of a handler");
  return *serving;
}

Connection::Wait Connection::wait_until(SteadyTime due) const {
  return poll_until(socket_, POLLRDHUP, due) == 0 ? Wait::kElapsed : Wait::kGone;
}

void Connection::wait_until_gone() const {
  while (wait_until(after(std::chrono::hours(1))) == Wait::kElapsed) continue;
}

void Connection::reset() {
  // What was sent first arrives first: a reset drops what still waits to be sent.
  int unsent = 0;
  for (int i = 0; i < kDrainWaitsMax && ioctl(socket_, TIOCOUTQ, &unsent) == 0 && unsent > 0; ++i) {
    if (wait_until(after(kDrainWait)) == Wait::kGone) break;
  }
  reset_ = true;
  linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

bool Connection::await_request() {
  if (unread_from_ < unread_.size()) return true;
  return (poll_until(socket_, POLLIN | POLLRDHUP, after(limits_.keep_alive)) & POLLIN) != 0;
}

bool Connection::is_readable() const {
  return unread_from_ < unread_.size() || poll_until(socket_, POLLIN, after(limits_.read_timeout)) != 0;
}

bool Connection::is_writable() const {
  int happened = poll_until(socket_, POLLOUT | POLLRDHUP, after(limits_.write_timeout));
  return (happened & POLLOUT) != 0 && (happened & (POLLERR | POLLHUP | POLLRDHUP)) == 0;
}

ssize_t Connection::read(char* bytes, std::size_t size) {
  if (unread_from_ == unread_.size()) {
    if (!is_readable()) return -1;
    unread_.resize(kReadBytes);
    ssize_t got = recv(socket_, unread_.data(), unread_.size(), 0);
    unread_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    unread_from_ = 0;
    if (got <= 0) return got;
  }
  std::size_t count = std::min(size, unread_.size() - unread_from_);
  unread_.copy(bytes, count, unread_from_);
  unread_from_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* bytes, std::size_t size) {
  if (reset_) return -1;
  // Without a wait first: most writes find room.
  while (true) {
    ssize_t sent = send(socket_, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    if (errno == EAGAIN && !is_writable()) return -1;
    if (errno != EAGAIN && errno != EINTR) return -1;
  }
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &length) == 0) name_of(address, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length) == 0) name_of(address, ip, port);
}

// A thread a connection, up to `threads_max`; what comes over it waits in the kernel's queue, since enqueue() then does
// not return to the one who accepts.
class HttpServer::Threads final : public httplib::TaskQueue {
 public:
  explicit Threads(HttpServer& server) : server_(server), threads_max_(server.limits_.connections_max) {}
  ~Threads() override {
    std::lock_guard lock(server_.mutex_);
    server_.threads_ = nullptr;
  }

  void enqueue(std::function<void()> serve) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ending_ || waiting_.empty(); });
    waiting_.push_back(std::move(serve));
    if (idle_ > 0 || threads_.size() >= threads_max_) {
      work_.notify_one();
    } else {
      threads_.emplace_back([this] { work(); });
    }
    changed_.wait(lock, [this] { return ending_ || waiting_.empty(); });
  }

  void release() {
    std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
    work_.notify_all();
  }

  void shutdown() override {
    release();
    for (auto& thread : threads_) thread.join();
    for (auto& serve : waiting_) serve();
    waiting_.clear();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      work_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      --idle_;
      if (waiting_.empty()) return;
      auto serve = std::move(waiting_.front());
      waiting_.pop_front();
      changed_.notify_all();
      lock.unlock();
      serve();
      lock.lock();
    }
  }

  HttpServer& server_;
  const std::size_t threads_max_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;  // At most one, but while the server ends.
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool ending_ = false;
};

HttpServer::HttpServer(const ServerLimits& limits) : limits_(limits) {
  set_payload_max_length(limits_.body_bytes_max);
  // The library's own choice, SO_REUSEPORT, would let two servers share one port unnoticed.
  set_socket_options([this](socket_t socket) {
    listening_ = socket;
    int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  set_keep_alive_max_count(limits_.requests_max);
  set_keep_alive_timeout(std::chrono::duration_cast<std::chrono::seconds>(limits_.keep_alive).count());
  new_task_queue = [this] {
    auto* threads = new Threads(*this);  // The library deletes it.
    std::lock_guard lock(mutex_);
    threads_ = threads;
    if (ending_) threads->release();
    return threads;
  };
}

int HttpServer::bind(const std::string& host, int port) {
  int bound = port == 0 ? bind_to_any_port(host) : (bind_to_port(host, port) ? port : -1);
  // The library listens with a queue of five, in which a burst of clients loses seconds.
  if (bound > 0) ::listen(listening_, limits_.backlog);
  return bound;
}

void HttpServer::end() {
  std::lock_guard lock(mutex_);
  ending_ = true;
  for (int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  if (threads_ != nullptr) threads_->release();
  stop();
}

bool HttpServer::enter(int socket) {
  std::lock_guard lock(mutex_);
  if (!ending_) sockets_.insert(socket);
  return !ending_;
}

void HttpServer::leave(int socket) {
  std::lock_guard lock(mutex_);
  sockets_.erase(socket);
}

bool HttpServer::process_and_close_socket(socket_t socket) {
  bool served = false;
  if (enter(socket)) {
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Connection connection(socket, limits_);
    serving = &connection;
    for (std::size_t left = limits_.requests_max; left > 0 && connection.await_request(); --left) {
      bool closed = false;
      bool last = left == 1;
      served = process_request(connection, last, closed, nullptr);
      if (!served || closed) break;
    }
    serving = nullptr;
    leave(socket);
  }
  ::close(socket);
  return served;
}

}  // namespace weft::sim
