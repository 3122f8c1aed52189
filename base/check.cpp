#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace weft {

void die(std::string_view what, std::source_location where) {
  std::fprintf(stderr, "weft: invariant broken: %.*s (%s:%u)\n", static_cast<int>(what.size()), what.data(),
               where.file_name(), where.line());
  std::abort();
}

}  // namespace weft
