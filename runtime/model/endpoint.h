// Where the calls of a model go, and how long they may take.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace weft::model {

struct Endpoint {
  std::string base_url;                       // "https://api.deepseek.com"; what follows it, the dialect says.
  std::string key;                            // Empty: none is sent. Never logged, never recorded.
  std::string proxy;                          // URL of the proxy; empty: none.
  std::string no_proxy;                       // Hosts that are reached without it.
  Duration first_token_timeout{600'000'000};  // From sending; comments do not count.
  Duration idle_timeout{300'000'000};         // Between bytes; comments count.
  Duration total_timeout{3'600'000'000};      // The whole call.
  std::uint64_t response_bytes_max = std::uint64_t{256} << 20;
};

}  // namespace weft::model
