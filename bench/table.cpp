// Reads result lines (one JSON object each) on stdin and prints medians, one row for each engine, variant, model
// latency and number in flight. Rows of weft have a ratio to every other engine's row of the same number in flight.
//
// table COLUMN… (names of the result lines' numbers); the first is the one whose ratio is printed.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft::bench {
namespace {

struct Row {
  std::string engine;
  std::string latency;
  double in_flight = 0;
  std::size_t lines = 0;
  std::map<std::string, std::vector<double>> numbers;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[(values.size() - 1) / 2];
}

std::string shown(double value) {
  if (value >= 100) return fmt::format("{:.0f}", value);
  return value >= 10 ? fmt::format("{:.1f}", value) : fmt::format("{:.3f}", value);
}

// In the order in which they first came.
std::vector<Row> read_rows(std::istream& in) {
  std::vector<Row> rows;
  for (std::string line; std::getline(in, line);) {
    const Result<Json> json = parse_untrusted(line);
    if (!json || !json->is_object()) continue;
    const auto text = [&](const char* key) { return json->contains(key) ? json->at(key).get<std::string>() : ""; };
    const std::string variant = text("variant");
    std::string engine = text("engine") + (variant.empty() ? "" : ", " + variant);
    const bool own = engine.starts_with("weft") || engine.starts_with("floor") || engine.starts_with("layout");
    if (!own) engine = "foreign: " + engine;
    const std::string latency = json->contains("latMs") ? to_text(json->at("latMs")) : "";
    const double in_flight = json->value("c", 0.0);
    auto row = std::ranges::find_if(rows, [&](const Row& known) {
      return known.engine == engine && known.latency == latency && known.in_flight == in_flight;
    });
    if (row == rows.end()) row = rows.insert(rows.end(), Row{engine, latency, in_flight, 0, {}});
    ++row->lines;
    for (const auto& [key, value] : json->items()) {
      if (value.is_number()) row->numbers[key].push_back(value.get<double>());
    }
  }
  return rows;
}

void print(const std::vector<Row>& rows, const std::vector<std::string>& columns) {
  fmt::print("| engine | model ms | in flight | of | {} |\n", fmt::join(columns, " | "));
  fmt::print("|---|---|---|---|{}\n", fmt::join(std::vector<std::string>(columns.size(), "---|"), ""));
  for (const Row& row : rows) {
    fmt::print("| {} | {} | {} | {} |", row.engine, row.latency, row.in_flight, row.lines);
    for (const std::string& column : columns) {
      const auto found = row.numbers.find(column);
      fmt::print(" {} |", found == row.numbers.end() ? "–" : shown(median(found->second)));
    }
    fmt::print("\n");
  }
}

bool is_slowed(const std::string& engine) { return engine.find("sync + 2 ms") != std::string::npos; }

void print_ratios(const std::vector<Row>& rows, const std::string& column) {
  const auto number = [&](const Row& row) {
    const auto found = row.numbers.find(column);
    return found == row.numbers.end() ? 0 : median(found->second);
  };
  for (const Row& weft : rows) {
    if (!weft.engine.starts_with("weft")) continue;
    for (const Row& other : rows) {
      const bool same = other.in_flight == weft.in_flight && other.latency == weft.latency &&
                        is_slowed(other.engine) == is_slowed(weft.engine);
      if (!same || other.engine.starts_with("weft") || number(other) == 0) continue;
      fmt::print("- {} at {}{}: {:.2f} of the {} of {}\n", weft.engine, weft.in_flight,
                 weft.latency.empty() ? "" : ", model " + weft.latency + " ms", number(weft) / number(other), column,
                 other.engine);
    }
  }
}

}  // namespace
}  // namespace weft::bench

int main(int count, char** arguments) {
  const std::vector<std::string> columns(arguments + 1, arguments + count);
  const auto rows = weft::bench::read_rows(std::cin);
  weft::bench::print(rows, columns);
  if (columns.empty()) return 0;
  fmt::print("\n");
  weft::bench::print_ratios(rows, columns.front());
  return 0;
}
