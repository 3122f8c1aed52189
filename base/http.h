// Outgoing HTTP: libcurl's multi interface on a Loop. Thousands of streams on one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/result.h"

namespace weft {

struct HttpRequest {
  std::string method = "POST";
  std::string url;                   // http and https only.
  std::vector<std::string> headers;  // "Name: value"
  // The body is the concatenation, read in place and never copied as a whole. Content-Length is its size.
  std::vector<std::shared_ptr<const std::string>> body;

  Duration connect_timeout{10'000'000};
  Duration first_byte_timeout{0};  // From start to the first byte of the body; 0: none. Comments count as bytes.
  Duration idle_timeout{0};        // Between bytes of the body; 0: none.
  Duration total_timeout{0};       // 0: none.
  std::uint64_t response_bytes_max = std::uint64_t{64} << 20;  // Of the body, decoded.

  // A response that is encoded (gzip, deflate) is decoded either way; kOffered asks for it.
  enum class Compression : std::uint8_t { kNotAsked, kOffered };
  Compression compression = Compression::kNotAsked;
  // The proxy's URL; empty: none, whatever the environment says. Never used for this machine (`is_loopback`).
  std::string proxy;
  std::string no_proxy;  // Hosts that are reached without it, as in the variable of that name.
};

struct HttpHead {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;         // Names in lower case.
  std::string_view header(std::string_view lower_case_name) const;  // Empty where absent; the last one wins.
};

enum class HttpFault : std::uint8_t {
  kConnect,   // No connection: nothing was sent.
  kReset,     // The connection broke after something was sent: whether it was acted on is unknown.
  kTimeout,   // One of the request's timeouts; the message says which.
  kTooLarge,  // response_bytes_max
  kProtocol,  // Not HTTP, bad URL, TLS.
};

struct HttpEnd {
  bool ok = false;    // The response came whole, as its framing (length or chunks) says; any status.
  HttpFault fault{};  // Where not ok.
  std::string message;
  bool reused_connection = false;
  bool sent = false;      // Something of the request left: whether it was acted on may be unknown.
  Duration first_byte{};  // From start; zero where none came.
  Duration total{};
};

// Receives one response, on the loop's thread. on_end comes exactly once, last, unless the call is cancelled.
class HttpSink {
 public:
  virtual ~HttpSink() = default;
  virtual void on_head(const HttpHead& head) = 0;  // The final status line and headers (not 1xx).
  virtual void on_bytes(std::string_view bytes) = 0;
  virtual void on_end(const HttpEnd& end) = 0;
};

// Loop only.
//
// Invariants:
//  1. A request is put on the wire at most once: libcurl's own repetition of a POST on a reused connection that died is
//     switched off (the body is a read callback that refuses to rewind), and reported as kReset.
//  2. Redirects are not followed; no proxy is used that the request does not name; no cookie, no netrc.
//  3. After cancel() no callback comes; the sink is destroyed.
//  4. The path goes out as it is given, dot segments included; a body is handed on decoded, or the call fails.
class HttpClient {
 public:
  using CallId = std::uint64_t;
  struct Limits {
    std::size_t calls_max = 12'000;  // RESOURCE_EXHAUSTED over it.
    std::size_t idle_connections_max = 256;
  };

  HttpClient(Loop& loop, Limits limits);
  explicit HttpClient(Loop& loop) : HttpClient(loop, Limits{}) {}
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Result<CallId> start(HttpRequest request, std::unique_ptr<HttpSink> sink);
  void cancel(CallId call);  // Unknown or ended calls are ignored. May be called from a sink's callback.
  std::size_t in_flight() const;
  Loop& loop() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
