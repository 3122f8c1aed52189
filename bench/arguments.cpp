#include "bench/arguments.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

namespace weft::bench {

Result<Arguments> Arguments::read(int count, const char* const* arguments) {
  Arguments read;
  for (int i = 1; i < count; i += 2) {
    const std::string_view name = arguments[i];
    if (!name.starts_with("--") || i + 1 == count) {
      return invalid_argument(fmt::format("'{}': options are --name value", name));
    }
    read.values_[std::string(name.substr(2))] = arguments[i + 1];
  }
  return read;
}

std::string Arguments::text(const std::string& name, std::string otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::move(otherwise) : found->second;
}

std::size_t Arguments::number(const std::string& name, std::size_t otherwise) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return otherwise;
  std::size_t value = 0;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

int bench_main(int count, const char* const* arguments, Status (*run)(const Arguments&)) {
  const auto read = Arguments::read(count, arguments);
  const Status status = read ? run(*read) : Status(read.error());
  if (status) return 0;
  fmt::print(stderr, "error: {}\n", status.error().message);
  return 1;
}

Status report(const Json& row, const Arguments& arguments) {
  const std::string line = to_text(row) + "\n";
  fmt::print("{}", line);
  const std::string results = arguments.text("results");
  if (results.empty()) return {};
  std::ofstream file(results, std::ios::app);
  file << line << std::flush;
  return file ? Status() : internal("cannot write " + results);
}

}  // namespace weft::bench
