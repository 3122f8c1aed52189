// The options of a bench program: `--name value`, as bench/run.sh gives them.
#pragma once

#include <cstddef>
#include <map>
#include <string>

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

// Says on stderr what was wrong. The exit code of a program that failed.
int fail(const Error& error);

}  // namespace weft::bench
