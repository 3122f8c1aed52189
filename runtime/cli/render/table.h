// How lists are printed.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "runtime/cli/render/terminal.h"

namespace weft::cli {

// Text columns, each as wide as its widest cell.
std::string table(const std::vector<std::vector<std::string>>& rows);
// The list under its resource's plural name; with ndjson a line for each.
void print_list(Terminal& terminal, const std::string& plural, const Json& items, const std::string& next_page_token);
// How to go on, where there is more.
void print_next(Terminal& terminal, const std::string& token);

}  // namespace weft::cli
