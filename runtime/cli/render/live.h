// Live progress of one run on a terminal: a line for what happened, and one that changes for what a model is saying.
#pragma once

#include <string>

#include "runtime/cli/render/terminal.h"
#include "weft/v1/runs.pb.h"

namespace weft::cli {

class Live {
 public:
  explicit Live(Terminal& terminal) : terminal_(terminal) {}
  bool is_shown() const { return terminal_.is_text() && terminal_.err_is_tty(); }
  void show(const v1::RunsWatchResponse& message);

 private:
  Terminal& terminal_;
  std::string path_;  // Whose words are shown.
  std::string tail_;  // The last of them.
};

}  // namespace weft::cli
