// The gRPC server over an engine, and the small HTTP face beside it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/engine/api.h"
#include "runtime/server/tokens.h"

namespace weft::server {

// One message, in both directions.
inline constexpr std::size_t kMessageBytesMax = std::size_t{64} << 20;
// How long an answer, or a message of a stream, may wait for its client to read before it is cut off.
inline constexpr Duration kWatchStallMax{30'000'000};
// What gRPC holds of requests while they arrive, in all; over it the largest are refused by the transport.
inline constexpr std::size_t kArrivingBytesMax = std::size_t{512} << 20;
// How often a client may ping a connection, with calls or without.
inline constexpr Duration kPingEveryMin{5'000'000};

struct Listen {
  std::string address;  // runtime/server/address.h says which.
  enum class IfTaken : std::uint8_t { kFail, kLeaveOut } if_taken = IfTaken::kFail;
};

struct ServerOptions {
  std::vector<Listen> grpc;
  std::optional<Listen> http;
  enum class Reflection : std::uint8_t { kOff, kOn } reflection = Reflection::kOff;
  Duration watch_stall_max = kWatchStallMax;
  TokenFiles tokens;  // Of the store.
};

// Whether a server could listen on all of them, so that one that cannot is refused before anything begins. Errors: as
// Server::start's.
Status check_free(const std::vector<Listen>& wanted);

// Thread-safe.
//
// Invariants:
//  1. Nothing listens on an address that other machines can reach.
//  2. A unix socket is there with mode 0600, and is removed by stop().
//  3. On a port every call but health brings a token of the store; on the socket none does.
class Server {
 public:
  // Listens when it returns. `api` outlives the server. Errors: INVALID_ARGUMENT (an address that is not allowed),
  // FAILED_PRECONDITION (one that is taken).
  static Result<std::unique_ptr<Server>> start(engine::Api& api, const ServerOptions& options);
  virtual ~Server() = default;                                  // Stops.
  virtual std::vector<std::string> grpc_addresses() const = 0;  // With the ports that were picked.
  virtual std::string http_address() const = 0;                 // Empty: none.
  // Why there is no HTTP face where one was wanted and could be left out; empty otherwise.
  virtual std::string http_missing() const = 0;
  // Health says NOT_SERVING and /readyz 503; calls are still answered.
  virtual void set_draining() = 0;
  // Ends watches and waits with UNAVAILABLE, lets other calls finish within `patience`, and closes. Once.
  virtual void stop(Duration patience) = 0;
};

}  // namespace weft::server
