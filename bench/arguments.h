// What bench programs have in common: options `--name value` as bench/run.sh gives them, and a row as the result.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace weft::bench {

class Arguments {
 public:
  static Result<Arguments> read(int count, const char* const* arguments);
  std::string text(const std::string& name, std::string otherwise = "") const;
  std::size_t number(const std::string& name, std::size_t otherwise) const;

 private:
  std::map<std::string, std::string> values_;
};

// A bench program's main: reads the options, runs it, says on stderr what was wrong. The exit code.
int bench_main(int count, const char* const* arguments, Status (*run)(const Arguments&));

// Prints a measurement as a line of JSON, and adds it to the file that --results names.
Status report(const Json& row, const Arguments& arguments);

}  // namespace weft::bench
