#include "runtime/engine/effects/prefix_cache.h"

#include <fmt/format.h>

#include "runtime/history/prefixes.h"

namespace weft::engine {

Result<std::shared_ptr<const model::Prefix>> PrefixCache::find(const workflows::Workflow& workflow,
                                                               workflows::StepId step, const Route& route,
                                                               const history::RunTools& tools) {
  const std::string key =
      fmt::format("{}:{}:{}:{}:{}", workflow.hash, step, route.provider, route.wire, tools.digest());
  if (auto kept = prefixes_[key].lock()) return kept;
  WEFT_TRY(model::Prefix built, history::build_prefix(workflow, step, route.wire, route.format,
                                                      [&tools](const std::string& name) { return tools.find(name); }));
  auto shared = std::make_shared<const model::Prefix>(std::move(built));
  std::erase_if(prefixes_, [](const auto& entry) { return entry.second.expired(); });
  prefixes_[key] = shared;
  return shared;
}

}  // namespace weft::engine
