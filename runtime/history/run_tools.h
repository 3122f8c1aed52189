// The server's tools as a run was begun with: what they promise is pinned by content, so that a server which is started
// again with other tools changes no run that it takes up.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "memory/journal/journal.h"
#include "runtime/run/tool_table.h"
#include "tools/tool.h"
#include "workflows/workflow.h"

namespace weft::history {

// Immutable.
class RunTools {
 public:
  // REQUIRES: their schemas are shapes; in the order of names.
  explicit RunTools(std::vector<tools::ToolSpec> specs);
  const run::ToolTable& table() const { return table_; }
  const tools::ToolSpec* find(std::string_view name) const;  // Null where the run has none of that name.
  const std::vector<tools::ToolSpec>& specs() const { return specs_; }
  const std::string& json() const { return json_; }      // As a run records them; equal ones have equal bytes.
  const std::string& digest() const { return digest_; }  // Of these, in hex.

 private:
  const std::vector<tools::ToolSpec> specs_;
  const run::ToolTable table_;
  const std::string json_;
  const std::string digest_;
};

// What a run goes by, whatever the server has now.
struct RunDefinition {
  std::shared_ptr<const workflows::Workflow> workflow;
  std::shared_ptr<const RunTools> tools;
};

// Whether the workflow names a tool that is not its own.
bool names_server_tools(const workflows::Workflow& workflow);

// Pins tools for new runs, and finds what stored runs have pinned. Thread-safe.
class ToolPins {
 public:
  // What a server offers.
  explicit ToolPins(const std::vector<const tools::ToolSpec*>& offered);

  const std::shared_ptr<const RunTools>& offered() const { return offered_; }
  // Whether the server offers all of them, and as they are here.
  bool are_offered(const RunTools& tools) const;
  // Those of the server that the workflow names: for a run that begins now.
  std::shared_ptr<const RunTools> named_in(const workflows::Workflow& workflow);
  // Those of a stored run; what the server offers where it has recorded none. UNAVAILABLE, DATA_LOSS. Blocks on the
  // store.
  Result<std::shared_ptr<const RunTools>> recorded(const memory::Reader& reader, const std::string& run_id);

 private:
  std::shared_ptr<const RunTools> kept(std::vector<tools::ToolSpec> specs);

  const std::shared_ptr<const RunTools> offered_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const RunTools>> kept_;  // By json(). Guarded by mutex_.
};

}  // namespace weft::history
