// What listens on a unix socket, asked in bounded time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace weft::server {

inline constexpr std::chrono::seconds kProbePatience{2};

enum class Listener : std::uint8_t {
  kNone,    // Nobody.
  kEngine,  // It speaks as a server of weft does.
  kSilent,  // It takes connections and says nothing: a process that is stopped, or another program's.
};

// Sends what begins a connection of HTTP/2, which gRPC speaks, and waits for the settings that a server answers with.
Listener probe_socket(const std::string& path);

}  // namespace weft::server
