// The trace as people read it: a tree of steps with what each attempt asked of models and tools.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/cli/render/figures.h"
#include "runtime/cli/render/json_view.h"
#include "runtime/cli/render/terminal.h"
#include "runtime/history/trace_tree.h"

namespace weft::cli {

using history::TraceAttempt;
using history::TraceBuilder;
using history::TraceModelCall;
using history::TraceNode;
using history::TraceToolCall;
using history::TraceTree;

struct TraceView {
  bool full = false;    // Prompts, answers, arguments and results whole.
  bool failed = false;  // Only what failed, is in doubt or was lost, and what is above it.
};

// NOT_FOUND where `step` is given and there is none, or several.
Result<std::string> trace_text(const TraceTree& tree, const v1::Run& run, const std::string& step,
                               const TraceView& view, const Look& look, const FetchContent& fetch);
// The same, for programs: the run, and its steps within steps.
Result<Json> trace_json(const TraceTree& tree, const v1::Run& run, const std::string& step, const FetchContent& fetch);

}  // namespace weft::cli
