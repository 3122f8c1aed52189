#include "runtime/server/probe.h"

#include <poll.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "runtime/server/address.h"
#include "runtime/server/socket.h"

namespace weft::server {
namespace {

using Steady = std::chrono::steady_clock;

// RFC 9113, 3.4: the client's preface and an empty SETTINGS frame.
constexpr std::string_view kPreface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 33);
constexpr std::size_t kFrameHeaderBytes = 9;
constexpr std::size_t kTypeAt = 3;
constexpr unsigned char kSettings = 4;

// False where it did not come to that in time.
bool wait_for(int descriptor, short event, Steady::time_point until) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now());
    if (left.count() <= 0) return false;
    pollfd wanted{descriptor, event, 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

}  // namespace

Listener probe_socket(const std::string& path) {
  if (path.size() > kUnixPathMax) return Listener::kNone;
  const Socket socket(AF_UNIX, SOCK_NONBLOCK);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    // Its line of connections is full: somebody listens and takes none.
    return errno == EAGAIN ? Listener::kSilent : Listener::kNone;
  }
  const auto until = Steady::now() + kProbePatience;
  if (::send(socket.get(), kPreface.data(), kPreface.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(kPreface.size())) {
    return Listener::kSilent;
  }
  std::array<unsigned char, kFrameHeaderBytes> header{};
  for (std::size_t read = 0; read < header.size();) {
    const ssize_t count = ::recv(socket.get(), header.data() + read, header.size() - read, 0);
    if (count == 0) return Listener::kSilent;
    if (count < 0 && errno != EAGAIN && errno != EINTR) return Listener::kSilent;
    if (count > 0) {
      read += static_cast<std::size_t>(count);
    } else if (!wait_for(socket.get(), POLLIN, until)) {
      return Listener::kSilent;
    }
  }
  return header[kTypeAt] == kSettings ? Listener::kEngine : Listener::kSilent;
}

}  // namespace weft::server
