// Workflows by content: checks them, registers their versions, and caches the loaded ones.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/time.h"
#include "memory/journal/journal.h"
#include "runtime/engine/api.h"
#include "runtime/engine/routing/routes.h"
#include "runtime/history/run_tools.h"
#include "tools/tool.h"
#include "workflows/loader.h"

namespace weft::engine {

v1::Diagnostic to_wire(const workflows::Diagnostic& diagnostic);
v1::ScheduleSpec to_wire(const workflows::Schedule& schedule);

// Thread-safe. What it is given outlives it.
class Registry {
 public:
  static constexpr std::size_t kLoadedMax = 256;  // Workflows kept parsed; the one used longest ago goes first.

  using Refuse = std::function<std::optional<std::string>(const std::string& name)>;
  Registry(memory::Journal& journal, const tools::Toolbox& tools, const Routes& routes, Refuse refuse_secret,
           const Clock& clock);

  // A stored workflow passed the checks when it was applied; what has been forbidden since is refused at its use.
  enum class Origin : std::uint8_t { kSubmitted, kStored };
  Result<workflows::Loaded> check(const v1::Bundle& bundle, bool strict, Origin origin = Origin::kSubmitted) const;
  void apply(const v1::WorkflowsApplyRequest& request, Reply<v1::WorkflowsApplyResponse> reply);
  // What a run of this version goes by that begins now.
  Result<history::RunDefinition> definition(const std::string& hash);
  // What a stored run goes by: its workflow, with the tools that it was begun with. UNAVAILABLE, DATA_LOSS;
  // FAILED_PRECONDITION where this weft refuses the workflow. Blocks on the store.
  Result<history::RunDefinition> definition_of(const memory::RunRow& run);
  // The hash of the version that a submission means: the one it names, or the last applied under its name.
  Result<std::string> resolve(const std::string& name, const std::string& hash) const;

 private:
  using Workflow = std::shared_ptr<const workflows::Workflow>;
  Result<workflows::Loaded> check(const v1::Bundle& bundle, bool strict, Origin origin,
                                  const history::RunTools& tools) const;
  Result<Workflow> by_hash(const std::string& hash, const history::RunTools& tools);
  void keep(const std::string& name, const Workflow& workflow);

  memory::Journal& journal_;
  history::ToolPins pins_;
  const Routes& routes_;
  const Refuse refuse_secret_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  struct Kept {
    Workflow workflow;
    std::uint64_t used = 0;
  };
  // Durable ones, by hash, and by tools that the server has no more. Guarded by mutex_, as `uses_` is.
  std::map<std::string, Kept> kept_;
  std::uint64_t uses_ = 0;
};

}  // namespace weft::engine
