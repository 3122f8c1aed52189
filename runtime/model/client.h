// Calls models over HTTP and decodes what streams back. Knows no run, no step, no price.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/http.h"
#include "base/secret_mask.h"
#include "runtime/model/dialect.h"
#include "runtime/model/endpoint.h"
#include "runtime/model/response_decoder.h"

namespace weft::model {

struct Call {
  const Dialect* dialect = nullptr;  // In which `body` is written, and the endpoint answers; never null.
  Endpoint endpoint;
  std::vector<std::shared_ptr<const std::string>> body;
  std::shared_ptr<const SecretMask> secrets = {};  // Masked in whatever comes back; may be null.
};

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
