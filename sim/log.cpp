#include "sim/log.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace weft::sim {

Status Log::open(const std::string& path) {
  if (path.empty()) return {};
  file_.open(path, std::ios::app);
  if (!file_) return unavailable(fmt::format("the log {} cannot be opened: {}", path, std::strerror(errno)));
  wanted_ = true;
  return {};
}

void Log::write(const LogLine& line) {
  if (!wanted_) return;
  std::string text = to_text(Json{{"at", to_rfc3339(clock_.now())},
                                  {"n", line.number},
                                  {"model", line.model},
                                  {"bytes", line.bytes},
                                  {"sha256", line.sha256},
                                  {"hit", line.hit},
                                  {"miss", line.miss},
                                  {"out", line.out},
                                  {"rule", line.rule},
                                  {"status", line.status},
                                  {"end", line.end}});
  std::lock_guard lock(mutex_);
  file_ << text << '\n' << std::flush;
}

}  // namespace weft::sim
