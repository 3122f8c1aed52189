// The tools of the workloads: in-process, never part of the product; computed in microseconds, but for bench.slow.
#pragma once

#include <chrono>

#include "tools/tool.h"

namespace weft::bench {

inline constexpr std::chrono::milliseconds kSlow{50};

// bench.step {v, i}: (v * 31 + i) % 1000003, declared as one that changes the world, so that its intent is durable
// before it and its result before the next. bench.add and bench.mul {a, b}: pure. bench.effect {v, i}, where the
// environment names a file as WEFT_BENCH_EFFECTS: as bench.step, idempotent, and a line in the file for each key.
// bench.slow {v, i}: as bench.step, and holds a thread of the pool for kSlow.
void add_bench_tools(tools::Toolbox& toolbox);

}  // namespace weft::bench
