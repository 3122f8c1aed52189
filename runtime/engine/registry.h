// Workflows by content: checks them, registers versions, and keeps the loaded ones at hand.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/time.h"
#include "memory/journal.h"
#include "runtime/engine/api.h"
#include "runtime/engine/routes.h"
#include "runtime/run/tool_table.h"
#include "tools/tool.h"
#include "workflows/loader.h"

namespace weft::engine {

workflows::Bundle from_wire(const v1::Bundle& bundle);
v1::Diagnostic to_wire(const workflows::Diagnostic& diagnostic);
v1::ScheduleSpec to_wire(const workflows::Schedule& schedule);
// What the core and the checker know of a toolbox.
run::ToolTable tool_table(const std::vector<const tools::ToolSpec*>& specs);

// Thread-safe. What it is given outlives it.
class Registry {
 public:
  static constexpr std::size_t kLoadedMax = 256;  // Workflows kept parsed; the one used longest ago goes first.

  using Refuse = std::function<std::optional<std::string>(const std::string& name)>;
  Registry(memory::Journal& journal, const tools::Toolbox& tools, const Routes& routes, Refuse refuse_secret,
           const Clock& clock);

  // A stored workflow was let in when it was applied; what has been forbidden since is refused where it is used.
  enum class Origin : std::uint8_t { kSubmitted, kStored };
  Result<workflows::Loaded> check(const v1::Bundle& bundle, bool strict, Origin origin = Origin::kSubmitted) const;
  void apply(const v1::WorkflowsApplyRequest& request, Done<v1::WorkflowsApplyResponse> done);
  Result<std::shared_ptr<const workflows::Workflow>> by_hash(const std::string& hash);
  // The hash of the version that a submission means: the one it names, or the last applied under its name.
  Result<std::string> resolve(const std::string& name, const std::string& hash) const;

 private:
  void keep(const std::shared_ptr<const workflows::Workflow>& workflow);

  memory::Journal& journal_;
  const tools::Toolbox& tools_;
  const Routes& routes_;
  const Refuse refuse_secret_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  struct Kept {
    std::shared_ptr<const workflows::Workflow> workflow;
    std::uint64_t used = 0;
  };
  std::map<std::string, Kept> kept_;  // Durable ones. Guarded by mutex_, as `uses_` is.
  std::uint64_t uses_ = 0;
};

}  // namespace weft::engine
