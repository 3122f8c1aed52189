#include "runtime/server/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

#include "runtime/server/probe.h"
#include "runtime/server/socket.h"

namespace weft::server {
namespace {

Error not_loopback(std::string_view text) {
  return invalid_argument(
      fmt::format("cannot listen on \"{}\": only unix:PATH, 127.0.0.1:PORT and [::1]:PORT are allowed until there is "
                  "TLS",
                  text));
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  Address address;
  if (text.starts_with("unix:")) {
    address.kind = Address::Kind::kUnix;
    address.path = text.substr(5);
    if (address.path.starts_with("//")) address.path.erase(0, 2);
    if (address.path.empty()) return invalid_argument("a unix address needs a path: unix:PATH");
    if (address.path.size() > kUnixPathMax) {
      return invalid_argument(fmt::format("the path of the socket {} has {} bytes; the kernel takes at most {}",
                                          address.path, address.path.size(), kUnixPathMax));
    }
    return address;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return invalid_argument(fmt::format("\"{}\" has no port: HOST:PORT", text));
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host == "127.0.0.1" || host == "localhost") {
    address.host = "127.0.0.1";
  } else if (host == "[::1]") {
    address.host = host;
  } else {
    return not_loopback(text);
  }
  const auto [end, fault] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (fault != std::errc() || end != port.data() + port.size() || address.port < 0 || address.port > 65535) {
    return invalid_argument(fmt::format("\"{}\" is no port: 0 to 65535", port));
  }
  return address;
}

std::string to_text(const Address& address) {
  if (address.kind == Address::Kind::kUnix) return "unix:" + address.path;
  return fmt::format("{}:{}", address.host, address.port);
}

std::string to_target(const Address& address) {
  if (address.kind != Address::Kind::kUnix) return to_text(address);
  std::string target = "unix:";
  for (const char c : address.path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
                       c == '.' || c == '_' || c == '-' || c == '~';
    target += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return target;
}

bool is_taken(const Address& address) {
  if (address.port == 0) return false;
  const bool six = address.host == "[::1]";
  const Socket socket(six ? AF_INET6 : AF_INET);
  // As gRPC does it: a port in TIME_WAIT is free, one that somebody listens on is not.
  const int reuse = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_in);
  if (six) {
    auto* in = reinterpret_cast<sockaddr_in6*>(&storage);
    in->sin6_family = AF_INET6;
    in->sin6_addr = in6addr_loopback;
    in->sin6_port = htons(static_cast<std::uint16_t>(address.port));
    size = sizeof(sockaddr_in6);
  } else {
    auto* in = reinterpret_cast<sockaddr_in*>(&storage);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons(static_cast<std::uint16_t>(address.port));
  }
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0) return true;
  return ::listen(socket.get(), 1) != 0;
}

Status clear_dead_socket(const std::string& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode)) return failed_precondition(fmt::format("{} exists and is no socket", path));
  if (probe_socket(path) != Listener::kNone)
    return failed_precondition(fmt::format(
        "another server listens on {}; stop it first, or give this one a store of its own (--store)", path));
  if (::unlink(path.c_str()) != 0) {
    return permission_denied(fmt::format("cannot remove the dead socket {}: {}", path, std::strerror(errno)));
  }
  return {};
}

}  // namespace weft::server
