#include "runtime/engine/replay.h"

#include <algorithm>
#include <utility>

#include "memory/journal/sqlite_store.h"
#include "runtime/history/replay.h"
#include "tools/files.h"

namespace weft::engine {

Result<v1::TracesReplayResponse> replay(const memory::Reader& reader, const Routes& routes,
                                        std::vector<const tools::ToolSpec*> offered, const run::Limits& limits,
                                        const v1::TracesReplayRequest& request, const std::function<bool()>& is_over) {
  const std::vector<tools::ToolSpec> files = tools::file_tool_specs();
  for (const tools::ToolSpec& spec : files) {
    const bool known = std::ranges::any_of(offered, [&](const auto* own) { return own->name == spec.name; });
    if (!known) offered.push_back(&spec);
  }
  const history::ReplayWorld world{
      reader,
      [&routes](const std::string& provider, const std::string& model) {
        return routes.recorded_format(provider, model);
      },
      [&routes](const std::string& model, Time at) { return routes.list_price(model, at); },
      std::move(offered),
      limits,
      is_over};
  return history::replay(world, request);
}

Result<v1::TracesReplayResponse> replay_archive(const std::string& store, const Config& config,
                                                const Getenv& environment, const v1::TracesReplayRequest& request) {
  WEFT_TRY(const std::unique_ptr<memory::Reader> reader, memory::open_sqlite_reader(store));
  return replay(*reader, Routes(config, environment), {}, run_limits(config.limits), request, {});
}

}  // namespace weft::engine
