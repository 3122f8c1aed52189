// The tools of a world: one of each class of effect. Each acts on the world at one instant, and its reply may be lost.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "attached.h"
#include "books.h"
#include "runtime/run/tool_table.h"
#include "tools/tool.h"
#include "workflows/loader.h"

namespace weft::simulation {

// In percent of calls.
struct ToolFaults {
  std::uint32_t failed = 0;   // Says that it did not work, and nothing was done.
  std::uint32_t unknown = 0;  // The reply is lost: done or not, nobody knows.
  std::uint32_t large = 0;    // Its result is one that the store keeps apart from events.
  std::uint32_t late = 0;     // Over the network: it takes longer than the call may.
};

// Outlives every life of the server: what has been done stays done.
class ToolServer {
 public:
  ToolServer(Schedule& schedule, Books& books, const ToolFaults& faults, Books::Say say)
      : schedule_(schedule), books_(books), faults_(faults), say_(std::move(say)) {}

  tools::ToolReply call(Life life, const tools::ToolSpec& spec, const tools::ToolRequest& request);

 private:
  Schedule& schedule_;
  Books& books_;
  const ToolFaults& faults_;
  const Books::Say say_;
  std::map<std::string, std::string> kept_;  // Of the idempotent tool: results by key.
  std::uint64_t calls_ = 0;
};

const std::vector<tools::ToolSpec>& tool_specs();
std::unique_ptr<tools::Toolbox> toolbox(ToolServer& server, Life life);
// What the core and the checker know of them.
const run::ToolTable& known_tools();
const workflows::World& known_world();

}  // namespace weft::simulation
