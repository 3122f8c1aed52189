// What the provider received, for tests and people to read.
#pragma once

#include <cstdint>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace weft::sim {

// What the log says about one request.
struct LogLine {
  std::uint64_t number = 0;
  std::string model;
  std::size_t bytes = 0;
  std::string sha256;
  std::uint64_t hit = 0;
  std::uint64_t miss = 0;
  std::uint64_t out = 0;
  std::string rule;
  int status = 200;
  std::string_view end;
};

// One JSON object a line. Thread-safe.
class Log {
 public:
  // An empty path: no log.
  Status open(const std::string& path);
  bool wanted() const { return wanted_; }
  void write(const LogLine& line);

 private:
  SystemClock clock_;
  bool wanted_ = false;
  std::mutex mutex_;
  std::ofstream file_;  // Guarded by mutex_.
};

}  // namespace weft::sim
