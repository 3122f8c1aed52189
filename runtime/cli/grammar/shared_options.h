// Options that several commands have in common.
#pragma once

#include "runtime/cli/grammar/option.h"

namespace weft::cli {

// Which run: an id, a unique beginning of one, or @latest.
Option run_argument(std::string& run);
Option reason_option(std::string& reason);

// One page of a list.
struct PageValues {
  std::uint32_t limit = 50;
  std::string token;
};
// `prefix` stands before the help of each: "list: " where only one action of a command has pages.
void add_page_options(PageValues& page, Options& options, const std::string& prefix = "");

}  // namespace weft::cli
