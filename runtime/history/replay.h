// Replays a run from its record, without the network: forms its decisions, the bodies of its model calls and the
// arguments of its tool calls again, and names each place where they differ from what is recorded.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "memory/journal/journal.h"
#include "runtime/model/catalog.h"
#include "runtime/model/prefix.h"
#include "runtime/run/run.h"
#include "tools/tool.h"
#include "weft/v1/traces.pb.h"

namespace weft::history {

// Differences that one answer names; more are counted.
inline constexpr std::size_t kDifferencesMax = 20;

// What a replay has beside the record.
struct ReplayWorld {
  const memory::Reader& reader;
  // How requests to a model of a provider are written, both as a run recorded them.
  std::function<model::WireFormat(const std::string& provider, const std::string& model)> format;
  // The price list; nothing where a model has no price at that time.
  std::function<std::optional<model::Price>(const std::string& model, Time at)> list_price;
  std::vector<const tools::ToolSpec*> tools;  // That a server offers. Outlive the call.
  run::Limits limits;                         // Within which the run decides.
  // Asked between two pages whether the caller has left; empty: it never does.
  std::function<bool()> is_over = {};
};

// Errors: NOT_FOUND; FAILED_PRECONDITION where this version cannot load the run's workflow; DATA_LOSS where a recorded
// content was removed; CANCELLED where `is_over` says so. Blocks on the store.
Result<v1::TracesReplayResponse> replay(const ReplayWorld& world, const v1::TracesReplayRequest& request);

}  // namespace weft::history
