// The tools of the workloads: in-process, computed in microseconds, never part of the product.
#pragma once

#include "tools/tool.h"

namespace weft::bench {

// bench.step {v, i}: (v * 31 + i) % 1000003, declared as one that changes the world, so that its intent is durable
// before it and its result before the next. bench.add and bench.mul {a, b}: pure. bench.effect {v, i}, where the
// environment names a file as WEFT_BENCH_EFFECTS: as bench.step, idempotent, and a line in the file for each key.
void add_bench_tools(tools::Toolbox& toolbox);

}  // namespace weft::bench
