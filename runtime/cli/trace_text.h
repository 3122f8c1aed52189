// The trace as people read it: a tree of steps with what each attempt asked of models and tools.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/cli/json_view.h"
#include "runtime/cli/terminal.h"
#include "runtime/cli/trace_tree.h"

namespace weft::cli {

struct TraceView {
  bool full = false;     // Prompts, answers, arguments and results whole.
  bool failed = false;   // Only what failed, is in doubt or was lost, and what is above it.
};

// NOT_FOUND where `step` is given and there is none, or several.
Result<std::string> trace_text(const TraceTree& tree, const v1::Run& run, const std::string& step,
                               const TraceView& view, const Look& look, const FetchContent& fetch);
// The same, for programs: the run, and its steps within steps.
Result<Json> trace_json(const TraceTree& tree, const v1::Run& run, const std::string& step, const FetchContent& fetch);

// What both say of parts.
std::string counted(std::size_t count, std::string_view what);   // "1 step", "2 steps"
std::string usd_text(const v1::Cost* cost);                   // "$0.000123"; "-" where it is not known.
std::string usage_text(const v1::Usage& usage);               // "hit 64 / miss 32 / out 12"; "-" for what is not known.
std::string skip_text(const v1::StepResult& result, const std::string& cause);   // "skipped (b): classify has no result"
std::string skip_letter(const std::string& reason);           // Of docs/language.md; "" where none applies.
std::string took_text(std::int64_t from_us, std::int64_t to_us);
// One line for each run, as it stands: status, time, tokens, cost.
std::string run_line(const v1::Run& run, const Look& look);

}  // namespace weft::cli
