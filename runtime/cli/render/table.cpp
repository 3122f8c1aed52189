#include "runtime/cli/render/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft::cli {

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    text += '\n';
  }
  return text;
}

void print_list(Terminal& terminal, const std::string& plural, const Json& items, const std::string& next_page_token) {
  if (terminal.format() == Format::kNdjson) {
    for (const Json& item : items) terminal.out_line(to_text(item));
    return;
  }
  Json json = Json::object();
  json[plural] = items;
  json["next_page_token"] = next_page_token;
  terminal.out_line(to_text(json));
}

void print_next(Terminal& terminal, const std::string& token) {
  if (!token.empty()) terminal.err_line("more with --page " + token);
}

}  // namespace weft::cli
