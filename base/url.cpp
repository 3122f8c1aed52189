#include "base/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>

#include <cstring>
#include <memory>
#include <string>

namespace weft {
namespace {

using UrlPtr = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

// Lower case, without the brackets of IPv6, a zone and the dot of a full name. Empty where there is none.
std::string host_of(std::string_view url) {
  const UrlPtr parsed(curl_url(), curl_url_cleanup);
  const std::string text(url);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return {};
  char* part = nullptr;
  // libcurl writes the many forms of an IPv4 address as four decimal numbers.
  if (curl_url_get(parsed.get(), CURLUPART_HOST, &part, CURLU_URLDECODE) != CURLUE_OK) return {};
  std::string host(part);
  curl_free(part);
  for (char& c : host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  host.resize(std::min(host.size(), host.find('%')));
  if (host.ends_with('.')) host.pop_back();
  return host;
}

bool is_loopback_v4(std::uint32_t address) { return address >> 24 == 127 || address == 0; }

bool is_loopback_v6(const in6_addr& address) {
  if (IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_UNSPECIFIED(&address)) return true;
  if (!IN6_IS_ADDR_V4MAPPED(&address)) return false;
  std::uint32_t inner = 0;
  std::memcpy(&inner, &address.s6_addr[12], sizeof inner);
  return is_loopback_v4(ntohl(inner));
}

}  // namespace

bool is_loopback(std::string_view url) {
  const std::string host = host_of(url);
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  in_addr v4 = {};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return is_loopback_v4(ntohl(v4.s_addr));
  in6_addr v6 = {};
  return ::inet_pton(AF_INET6, host.c_str(), &v6) == 1 && is_loopback_v6(v6);
}

}  // namespace weft
