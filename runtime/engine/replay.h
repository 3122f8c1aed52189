// Replays of runs (runtime/history/replay.h) with the routes and the tools of this machine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "memory/journal/journal.h"
#include "runtime/engine/config.h"
#include "runtime/engine/routing/routes.h"
#include "tools/tool.h"
#include "weft/v1/traces.pb.h"

namespace weft::engine {

// `offered`: the tools of this engine. The file tools are added where they are missing: the run may have been that of
// another server, with a root for its files.
Result<v1::TracesReplayResponse> replay(const memory::Reader& reader, const Routes& routes,
                                        std::vector<const tools::ToolSpec*> offered, const run::Limits& limits,
                                        const v1::TracesReplayRequest& request, const std::function<bool()>& is_over);

// Replays a run of a store on which no engine runs.
Result<v1::TracesReplayResponse> replay_archive(const std::string& store, const Config& config,
                                                const Getenv& environment, const v1::TracesReplayRequest& request);

}  // namespace weft::engine
