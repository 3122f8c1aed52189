#include "runtime/server/http_face.h"

#include <fmt/format.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>

#include "runtime/server/caller.h"
#include "runtime/server/http_connections.h"

namespace weft::server {
namespace {

constexpr int kLookEveryMs = 500;
constexpr std::size_t kPlacesKeptFree = 8;  // For connections that come while the oldest is being closed.

struct Page {
  unsigned status = 200;
  std::string text;
};

// What "Host" names, without its port; lower case. What stands behind a bracket and is no port belongs to the name.
std::string host_name(std::string_view host) {
  const std::size_t bracket = host.starts_with('[') ? host.find(']') : std::string_view::npos;
  const std::size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  std::string name(host.substr(0, colon));
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return name;
}

bool is_loopback_name(const std::string& name) { return name == "127.0.0.1" || name == "localhost" || name == "[::1]"; }

// The one value of a header; nothing where there is none, or more than one.
struct Header {
  std::string_view name;
  std::size_t count = 0;
  std::string value;
};

MHD_Result collect(void* into, MHD_ValueKind, const char* key, const char* value) {
  auto& header = *static_cast<Header*>(into);
  if (::strcasecmp(key, std::string(header.name).c_str()) != 0) return MHD_YES;
  ++header.count;
  header.value = value == nullptr ? "" : value;
  return MHD_YES;
}

Header header_of(MHD_Connection* connection, std::string_view name) {
  Header header{name, 0, {}};
  MHD_get_connection_values(connection, MHD_HEADER_KIND, collect, &header);
  return header;
}

// A listening socket of the address, or -1. Without SO_REUSEPORT: two servers would share a port unnoticed.
int listen_on(const Address& address, int& port) {
  const bool six = address.host == "[::1]";
  const int descriptor = ::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  const int reuse = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_addr = in6addr_loopback;
  in6.sin6_port = htons(static_cast<std::uint16_t>(address.port));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  in.sin_port = htons(static_cast<std::uint16_t>(address.port));
  auto* name = six ? reinterpret_cast<sockaddr*>(&in6) : reinterpret_cast<sockaddr*>(&in);
  socklen_t size = six ? sizeof in6 : sizeof in;
  if (::bind(descriptor, name, size) != 0 || ::listen(descriptor, SOMAXCONN) != 0 ||
      ::getsockname(descriptor, name, &size) != 0) {
    ::close(descriptor);
    return -1;
  }
  port = ntohs(six ? in6.sin6_port : in.sin_port);
  return descriptor;
}

class MicroHttpFace final : public HttpFace {
 public:
  MicroHttpFace(Tokens& tokens, std::function<Status()> admits) : tokens_(tokens), admits_(std::move(admits)) {}
  ~MicroHttpFace() override {
    stopping_ = true;
    if (thread_.joinable()) {
      const std::uint64_t one = 1;
      (void)!::write(wake_, &one, sizeof one);
      thread_.join();
    }
    if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
    if (wake_ >= 0) ::close(wake_);
  }

  Status listen(const Address& address) {
    wake_ = ::eventfd(0, EFD_CLOEXEC);
    int port = 0;
    const int listening = listen_on(address, port);
    if (listening < 0)
      return failed_precondition(fmt::format("cannot listen on {}: the port is taken", to_text(address)));
    const auto seconds = static_cast<unsigned>(kHttpRequestMax / std::chrono::seconds(1));
    daemon_ = MHD_start_daemon(MHD_USE_EPOLL, 0, nullptr, nullptr, &MicroHttpFace::on_request, this,  //
                               MHD_OPTION_LISTEN_SOCKET, listening, MHD_OPTION_CONNECTION_LIMIT,
                               static_cast<unsigned>(kHttpConnectionsMax), MHD_OPTION_CONNECTION_TIMEOUT, seconds,
                               MHD_OPTION_CONNECTION_MEMORY_LIMIT, kHttpHeadBytesMax, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                               MHD_OPTION_NOTIFY_CONNECTION, &MicroHttpFace::on_connection, this,
                               MHD_OPTION_NOTIFY_COMPLETED, &MicroHttpFace::on_completed, this, MHD_OPTION_END);
    if (daemon_ == nullptr || wake_ < 0) {
      if (daemon_ == nullptr) ::close(listening);
      return internal(fmt::format("cannot serve HTTP on {}", to_text(address)));
    }
    address_ = fmt::format("{}:{}", address.host, port);
    thread_ = std::thread([this] { serve(); });
    return {};
  }

  std::string address() const override { return address_; }
  void set_draining() override { draining_ = true; }

 private:
  void serve() {
    const int events = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    Duration looked = clock_.monotonic();
    while (!stopping_) {
      MHD_UNSIGNED_LONG_LONG wait_ms = 0;
      const bool has_wait = MHD_get_timeout(daemon_, &wait_ms) == MHD_YES;
      std::array<pollfd, 2> ready{{{events, POLLIN, 0}, {wake_, POLLIN, 0}}};
      ::poll(ready.data(), ready.size(),
             has_wait ? static_cast<int>(std::min<std::uint64_t>(wait_ms, kLookEveryMs)) : kLookEveryMs);
      MHD_run(daemon_);
      const Duration now = clock_.monotonic();
      if (now - looked < std::chrono::milliseconds(kLookEveryMs) && connections_.places_left() > kPlacesKeptFree)
        continue;
      looked = now;
      connections_.close_slow(now);
    }
  }

  static void on_connection(void* self, MHD_Connection* connection, void**, MHD_ConnectionNotificationCode what) {
    auto& face = *static_cast<MicroHttpFace*>(self);
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) return face.connections_.closed(connection);
    const auto* descriptor = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    face.connections_.opened(connection, descriptor->connect_fd, face.clock_.monotonic());
  }

  static void on_completed(void* self, MHD_Connection* connection, void**, MHD_RequestTerminationCode) {
    auto& face = *static_cast<MicroHttpFace*>(self);
    face.connections_.answered(connection, face.clock_.monotonic());
  }

  static MHD_Result on_request(void* self, MHD_Connection* connection, const char* path, const char* method,
                               const char* version, const char*, std::size_t*, void**) {
    auto& face = *static_cast<MicroHttpFace*>(self);
    const Page page = face.page_for(connection, path, method, version);
    MHD_Response* response =
        MHD_create_response_from_buffer(page.text.size(), const_cast<char*>(page.text.data()), MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (page.status == MHD_HTTP_UNAUTHORIZED) MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (page.status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, "Allow", "GET, HEAD");
    const MHD_Result queued = MHD_queue_response(connection, page.status, response);
    MHD_destroy_response(response);
    return queued;
  }

  Page page_for(MHD_Connection* connection, std::string_view path, std::string_view method, std::string_view version) {
    const Header host = header_of(connection, "Host");
    const bool may_lack_host = host.count == 0 && version == MHD_HTTP_VERSION_1_0;
    if (!may_lack_host && (host.count != 1 || !is_loopback_name(host_name(host.value)))) {
      return {MHD_HTTP_MISDIRECTED_REQUEST, "this server answers to 127.0.0.1, [::1] and localhost alone\n"};
    }
    if (method != "GET" && method != "HEAD") return {MHD_HTTP_METHOD_NOT_ALLOWED, "GET alone\n"};
    if (path == "/healthz") return {MHD_HTTP_OK, "ok\n"};
    if (path == "/readyz") {
      const Status admitted = draining_ ? Status(unavailable("draining")) : admits_();
      if (admitted) return {MHD_HTTP_OK, "ok\n"};
      return {MHD_HTTP_SERVICE_UNAVAILABLE, admitted.error().message + "\n"};
    }
    const auto token = authenticate(tokens_, bearer(header_of(connection, "Authorization").value));
    if (!token) return {MHD_HTTP_UNAUTHORIZED, token.error().message + "\n"};
    if (token->scope.reach != Scope::Reach::kAll) {
      return {MHD_HTTP_FORBIDDEN, fmt::format("the token {} has the scope {}, which does not reach this page\n",
                                              token->name, to_text(token->scope))};
    }
    return {MHD_HTTP_NOT_FOUND, "there is /healthz and /readyz\n"};
  }

  Tokens& tokens_;
  const std::function<Status()> admits_;
  const SystemClock clock_;
  HttpConnections connections_;  // Of the thread.
  MHD_Daemon* daemon_ = nullptr;
  int wake_ = -1;
  std::string address_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace

void HttpConnections::answered(MHD_Connection* connection, Duration now) {
  if (const auto found = open_.find(connection); found != open_.end()) found->second.since = now;
}

std::size_t HttpConnections::places_left() const {
  return kHttpConnectionsMax - std::min(kHttpConnectionsMax, open_.size());
}

void HttpConnections::close_slow(Duration now) {
  Open* oldest = nullptr;
  for (auto& [connection, open] : open_) {
    if (open.descriptor < 0) continue;
    // The library sees that its client is gone, and closes it.
    if (now - open.since > kHttpRequestMax) {
      ::shutdown(std::exchange(open.descriptor, -1), SHUT_RDWR);
    } else if (oldest == nullptr || open.since < oldest->since) {
      oldest = &open;
    }
  }
  if (places_left() <= kPlacesKeptFree && oldest != nullptr)
    ::shutdown(std::exchange(oldest->descriptor, -1), SHUT_RDWR);
}

Result<std::unique_ptr<HttpFace>> HttpFace::start(const Address& address, Tokens& tokens,
                                                  std::function<Status()> admits) {
  auto face = std::make_unique<MicroHttpFace>(tokens, std::move(admits));
  WEFT_RETURN_IF_ERROR(face->listen(address));
  return std::unique_ptr<HttpFace>(std::move(face));
}

}  // namespace weft::server
