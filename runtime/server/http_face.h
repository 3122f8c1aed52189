// The HTTP face: GET /healthz (the process answers) and GET /readyz (it takes work; 503 with the sentence why not) are
// free, everything else takes a token.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "runtime/server/address.h"
#include "runtime/server/tokens.h"

namespace weft::server {

// Connections at once. Over it the oldest goes, so that whoever holds many shuts nobody out.
inline constexpr std::size_t kHttpConnectionsMax = 128;
// From the first byte of a request to its last, and between two requests of a connection.
inline constexpr Duration kHttpRequestMax{10'000'000};
// The request line and all headers of a request.
inline constexpr std::size_t kHttpHeadBytesMax = std::size_t{16} << 10;

// One thread with an event loop: a slow connection holds up no other.
//
// Invariants:
//  1. A connection costs at most kHttpHeadBytesMax and what the kernel buffers, whatever it sends.
//  2. Only requests for a loopback name are answered: a page of another site that has made its name point here
//     (DNS rebinding) reaches nothing.
// Thread-safe. Stops serving when destroyed.
class HttpFace {
 public:
  // `admits` says whether new work is taken; called on the face's thread. `tokens` outlives it. REQUIRES: `address` is
  // kTcp.
  static Result<std::unique_ptr<HttpFace>> start(const Address& address, Tokens& tokens,
                                                 std::function<Status()> admits);
  virtual ~HttpFace() = default;
  virtual std::string address() const = 0;
  virtual void set_draining() = 0;
};

}  // namespace weft::server
