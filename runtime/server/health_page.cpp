#include "runtime/server/health_page.h"

#include <fmt/format.h>
#include <httplib.h>

#include <atomic>
#include <thread>

namespace weft::server {
namespace {

constexpr std::size_t kThreads = 2;
constexpr std::size_t kBodyBytesMax = 4096;
constexpr std::size_t kRequestsPerConnectionMax = 100;
constexpr std::time_t kReadSecondsMax = 5;

class HttplibHealthPage final : public HealthPage {
 public:
  explicit HttplibHealthPage(std::function<Status()> admits) : admits_(std::move(admits)) {}
  ~HttplibHealthPage() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Status listen(const Address& address) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_payload_max_length(kBodyBytesMax);
    server_.set_keep_alive_max_count(kRequestsPerConnectionMax);
    server_.set_read_timeout(kReadSecondsMax);
    server_.set_write_timeout(kReadSecondsMax);
    // Without SO_REUSEPORT, which the library sets: two servers would then share a port unnoticed.
    server_.set_socket_options([](socket_t socket) {
      const int reuse = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    });
    server_.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("ok\n", "text/plain");
    });
    server_.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
      const Status admitted = draining_ ? Status(unavailable("draining")) : admits_();
      response.status = admitted ? 200 : 503;
      response.set_content(admitted ? "ok\n" : admitted.error().message + "\n", "text/plain");
    });
    const std::string host = address.host == "[::1]" ? "::1" : address.host;
    const int port = address.port == 0                          ? server_.bind_to_any_port(host)
                     : server_.bind_to_port(host, address.port) ? address.port
                                                                : -1;
    if (port < 0) return failed_precondition(fmt::format("cannot listen on {}: the port is taken", to_text(address)));
    address_ = fmt::format("{}:{}", address.host, port);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();  // stop() before that would be lost.
    return {};
  }

  std::string address() const override { return address_; }
  void set_draining() override { draining_ = true; }

 private:
  const std::function<Status()> admits_;
  httplib::Server server_;
  std::string address_;
  std::atomic<bool> draining_{false};
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HealthPage>> HealthPage::start(const Address& address, std::function<Status()> admits) {
  auto page = std::make_unique<HttplibHealthPage>(std::move(admits));
  WEFT_RETURN_IF_ERROR(page->listen(address));
  return std::unique_ptr<HealthPage>(std::move(page));
}

}  // namespace weft::server
