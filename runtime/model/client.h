// Calls models over HTTP and decodes what streams back. Knows no run, no step, no price.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/http.h"
#include "base/secret_mask.h"
#include "runtime/model/message.h"

namespace weft::model {

struct Endpoint {
  std::string base_url;                       // "https://api.deepseek.com"; "/chat/completions" is appended.
  std::string key;                            // Empty: no Authorization header. Never logged, never recorded.
  std::string proxy;                          // URL of the proxy; empty: none.
  std::string no_proxy;                       // Hosts that are reached without it.
  Duration first_token_timeout{600'000'000};  // From sending; comments do not count.
  Duration idle_timeout{300'000'000};         // Between bytes; comments count.
  Duration total_timeout{3'600'000'000};      // The whole call.
  std::uint64_t response_bytes_max = std::uint64_t{256} << 20;
};

struct Call {
  Endpoint endpoint;
  std::vector<std::shared_ptr<const std::string>> body;
  std::shared_ptr<const SecretMask> secrets = {};  // Masked in whatever comes back; may be null.
};

enum class Stream : std::uint8_t { kText, kReasoning };

using Outcome = std::variant<Answer, Failure>;
using OnProgress = std::move_only_function<void(Stream, std::string_view)>;
using OnOutcome = std::move_only_function<void(Outcome)>;

// Loop only. An outcome comes exactly once unless the call is cancelled; nothing that streamed in counts before it.
class Client {
 public:
  using CallId = std::uint64_t;
  explicit Client(HttpClient& http);
  ~Client();  // Cancels what is in flight.
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  CallId start(Call call, OnProgress on_progress, OnOutcome on_outcome);
  void cancel(CallId call);  // Closes the socket, which frees the account's place at the provider.

 private:
  struct State;
  HttpClient& http_;
  std::unique_ptr<State> state_;
};

}  // namespace weft::model
