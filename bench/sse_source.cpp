// A model server for thousands of slow streams.
//
// sse_source STREAMS INTERVAL_MS. Prints "sse_source: port N", and "sse_source: open" when STREAMS streams have their
// first event. Each stream then gets one event every INTERVAL_MS; SIGUSR1 ends them all as a model ends an answer.
#include <fmt/format.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "bench/http_host.h"

namespace weft::bench {
namespace {

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

class Source {
 public:
  Source(std::size_t streams, std::chrono::milliseconds interval)
      : wanted_(streams), tick_every_(interval / kTicksPerInterval) {}

  int serve() {
    if (!host_.listen()) return 1;
    host_.on_signal(SIGUSR1, [this] { end_all(); });
    fmt::print("sse_source: port {}\n", host_.port());
    std::fflush(stdout);
    send_next();
    host_.serve([this](int connection, std::string_view, std::string_view) { begin(connection); },
                [this](int connection) { open_.erase(connection); });
  }

 private:
  void begin(int connection) {
    if (!open_.insert(connection).second) return;
    host_.send(connection, kHead);
    host_.send(connection, kFirst);
    if (open_.size() != wanted_) return;
    fmt::print("sse_source: open\n");
    std::fflush(stdout);
  }

  void send_next() {
    tick_ = (tick_ + 1) % kTicksPerInterval;
    for (const int connection : open_) {
      if (connection % kTicksPerInterval == tick_) host_.send(connection, kNext);
    }
    host_.at(HttpHost::Clock::now() + tick_every_, [this] { send_next(); });
  }

  void end_all() {
    for (const int connection : std::vector<int>(open_.begin(), open_.end())) {
      host_.send(connection, kLast);
      host_.close(connection);
    }
  }

  const std::size_t wanted_;
  const std::chrono::milliseconds tick_every_;
  HttpHost host_;
  int tick_ = 0;
  std::unordered_set<int> open_;
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
  using weft::bench::number;
  return weft::bench::Source(number(arguments[1]), std::chrono::milliseconds(number(arguments[2]))).serve();
}
