// Runs a run again from its record, without the network: the decisions, the bodies of model calls and the arguments of
// tool calls come out as they are recorded, or the places where they do not are named.
#pragma once

#include <string>
#include <vector>

#include "memory/journal.h"
#include "runtime/engine/api.h"
#include "runtime/engine/config.h"
#include "runtime/engine/routes.h"
#include "tools/tool.h"

namespace weft::engine {

// Differences that one answer names; more are counted.
inline constexpr std::size_t kDifferencesMax = 20;

struct ReplayWorld {
  const memory::Reader& reader;
  const Routes& routes;
  std::vector<const tools::ToolSpec*> tools;  // That a server offers. Outlive the call.
};

// Errors: NOT_FOUND; FAILED_PRECONDITION where the run's workflow cannot be read by this version. Blocks on the store.
Result<v1::TracesReplayResponse> replay(const ReplayWorld& world, const v1::TracesReplayRequest& request);

// The same of a store at rest, with the tools that every server may offer.
Result<v1::TracesReplayResponse> replay_archive(const std::string& store, const Config& config,
                                                const Getenv& environment, const v1::TracesReplayRequest& request);

}  // namespace weft::engine
