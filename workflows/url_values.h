// Values that stand in a URL: what they must not make of its path.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weft::workflows {

// One value's place in a URL, percent-encoded already.
struct UrlValue {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string_view expression;  // As it stands in the template, for the error.
};

// INVALID_ARGUMENT where a segment of the path to which a value belongs is empty, "." or "..", however often it is
// percent-encoded: servers and proxies between take such segments out, and the request then means another path.
// `values` are in their order in `url`.
Status check_path(std::string_view url, const std::vector<UrlValue>& values);

}  // namespace weft::workflows
