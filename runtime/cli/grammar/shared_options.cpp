#include "runtime/cli/grammar/shared_options.h"

namespace weft::cli {
namespace {

constexpr std::int64_t kPageRowsMax = 1'000;

}  // namespace

Option run_argument(std::string& run) { return required("RUN", "An id, a unique beginning of one, or @latest", &run); }

Option reason_option(std::string& reason) { return option("--reason", "TEXT", "Kept with the run", &reason); }

void add_page_options(PageValues& page, Options& options, const std::string& prefix) {
  options.push_back(between(1, kPageRowsMax,
                            option("--limit", "N", prefix + "at most N rows, 1 to 1000; 50 by default", &page.limit)));
  options.push_back(option("--page", "TOKEN", prefix + "go on where the list before ended", &page.token));
}

}  // namespace weft::cli
