// Where the server listens: `unix:PATH`, `127.0.0.1:PORT`, `[::1]:PORT`, `localhost:PORT`. Nothing else, until
// there is TLS: a token would be read on the way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::server {

// What the kernel takes as the path of a socket, without its closing zero.
inline constexpr std::size_t kUnixPathMax = 107;

struct Address {
  enum class Kind : std::uint8_t { kUnix, kTcp } kind = Kind::kTcp;
  std::string path;  // kUnix
  std::string host;  // kTcp: "127.0.0.1" or "[::1]".
  int port = 0;      // kTcp; 0 picks one.
  bool operator==(const Address&) const = default;
};

Result<Address> parse_address(std::string_view text);
std::string to_text(const Address& address);
// As gRPC's core takes it: in a path whatever a URI gives a meaning is percent-encoded.
std::string to_target(const Address& address);

// Whether another socket listens on it. REQUIRES: kTcp.
bool is_taken(const Address& address);
// Makes way for a socket at `path`: one whose owner is dead is removed. FAILED_PRECONDITION where somebody listens on
// it, or where it is no socket.
Status clear_dead_socket(const std::string& path);

}  // namespace weft::server
