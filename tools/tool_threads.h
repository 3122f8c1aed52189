// Threads of their own for tools that block, so that no blocking call holds up what shares a pool with it: DNS, files,
// other tools. Calls begin in the order in which they came, but one whose tool has its share of the threads lets others
// pass.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/loop.h"

namespace weft::tools {

struct ThreadLimits {
  std::size_t tool_threads_max = 16;     // At work at once; more wait. They begin when they are first needed.
  std::size_t threads_per_tool_max = 8;  // Of these, for calls of one tool; at most tool_threads_max.
};

class ToolThreads {
 public:
  explicit ToolThreads(const ThreadLimits& limits);
  ~ToolThreads();  // Waits for work that has begun; drops what has not.
  ToolThreads(const ToolThreads&) = delete;
  ToolThreads& operator=(const ToolThreads&) = delete;

  // What waits for a thread waits without bound: how many calls there are, admission limits.
  void run(std::string tool, Task work);
  std::size_t started() const;  // Threads so far.

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace weft::tools
