#include "workflows/url_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/bytes.h"

namespace weft::workflows {
namespace {

// More rounds than any chain of servers decodes.
constexpr int kDecodingRoundsMax = 8;

std::string decode_once(std::string_view text) {
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = text[at] == '%' ? from_hex(text.substr(at + 1, 2)) : Result<std::string>(std::string());
    if (!byte || byte->size() != 1) {
      decoded += text[at];
      continue;
    }
    decoded += *byte;
    at += 2;
  }
  return decoded;
}

bool changes_path(std::string_view segment) {
  std::string text(segment);
  for (int round = 0;; ++round) {
    if (text.empty() || text == "." || text == "..") return true;
    std::string decoded = decode_once(text);
    if (decoded == text || round == kDecodingRoundsMax) return false;
    text = std::move(decoded);
  }
}

// Where the path begins: at the first '/' behind the host.
std::size_t path_begin(std::string_view url, std::size_t path_end) {
  const std::size_t scheme = url.find("://");
  return std::min(url.find('/', scheme == std::string_view::npos ? 0 : scheme + 3), path_end);
}

}  // namespace

Status check_path(std::string_view url, const std::vector<UrlValue>& values) {
  const std::size_t end = std::min(url.find_first_of("?#"), url.size());
  for (std::size_t at = path_begin(url, end); at < end;) {
    const std::size_t begin = at + 1;
    at = std::min(url.find('/', begin), end);
    std::string expressions;
    for (const UrlValue& value : values) {
      // One that is empty stands between two bytes, of which either may be the segment's border.
      if (value.begin < begin || value.end > at) continue;
      expressions += fmt::format("{}{{{{ {} }}}}", expressions.empty() ? "" : " and ", printable(value.expression));
    }
    const std::string_view segment = url.substr(begin, at - begin);
    if (expressions.empty() || !changes_path(segment)) continue;
    return invalid_argument(
        fmt::format("{} would make a segment of the URL's path {}: a value there is not empty, \".\" or \"..\", since "
                    "the request would go to another path",
                    expressions, segment.empty() ? "empty" : fmt::format("\"{}\"", segment)));
  }
  return {};
}

}  // namespace weft::workflows
