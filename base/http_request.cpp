#include "base/http_request.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft {
namespace {

constexpr std::size_t kHeaderBytesMax = 1 << 16;

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || kMarks.contains(c);
  });
}

}  // namespace

Status check_request(const HttpRequest& request) {
  if (!is_token(request.method)) return invalid_argument("the method of an HTTP request is not a word");
  if (request.method == "HEAD" && !request.body.empty()) return invalid_argument("a HEAD request has no body");
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (request.url.empty() ||
      std::any_of(request.url.begin(), request.url.end(), [&](char c) { return control(c) || c == ' '; })) {
    return invalid_argument("the URL of an HTTP request is empty or holds blanks or control characters");
  }
  for (const std::string& header : request.headers) {
    const std::size_t colon = header.find(':');
    if (colon == std::string::npos || !is_token(std::string_view(header).substr(0, colon)) ||
        header.size() > kHeaderBytesMax ||
        std::any_of(header.begin(), header.end(), [&](char c) { return control(c) && c != '\t'; })) {
      return invalid_argument(fmt::format("the header \"{}\" is not one line of the form Name: value",
                                          colon == std::string::npos ? "?" : header.substr(0, colon)));
    }
  }
  return {};
}

std::string origin(std::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t end = url.find_first_of("/?#", scheme == std::string_view::npos ? 0 : scheme + 3);
  return std::string(url.substr(0, end));
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view without_blanks(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace weft
