// Times, tokens, costs and reasons in words, the same wherever people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/cli/render/terminal.h"
#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"

namespace weft::cli {

std::string counted(std::size_t count, std::string_view what);  // "1 step", "2 steps"
std::string usd_text(const v1::Cost* cost);                     // "$0.000123"; "-" where it is not known.
std::string usage_text(const v1::Usage& usage);  // "hit 64 / miss 32 / out 12"; "-" for what is not known.
std::string skip_text(const v1::StepResult& result, const std::string& cause);  // "skipped (b): classify has no result"
std::string skip_letter(const std::string& reason);  // Of docs/language.md; "" where none applies.
std::string took_text(std::int64_t from_us, std::int64_t to_us);
// One line for each run, as it stands: status, time, tokens, cost.
std::string run_line(const v1::Run& run, const Look& look);

}  // namespace weft::cli
