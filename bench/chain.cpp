#include "bench/chain.h"

#include <fmt/format.h>

namespace weft::bench {

std::string chain_workflow(const std::string& name, const std::string& tool) {
  std::string yaml = fmt::format("weft: 1\nname: {}\ninput: {{id: string, seed: integer}}\nsteps:\n", name);
  for (std::size_t i = 0; i < kChainSteps; ++i) {
    const std::string before = i == 0 ? "input.seed" : fmt::format("steps.s{}.output", i - 1);
    if (tool.empty()) {
      yaml += fmt::format("  s{}: {{set: \"{{{{ ({} * 31 + {}) % 1000003 }}}}\", output: integer}}\n", i, before, i);
    } else {
      yaml += fmt::format("  s{}: {{{}tool: {}, args: {{v: \"{{{{ {} }}}}\", i: {}}}, output: integer}}\n", i,
                          i == 0 ? "needs: [], " : "", tool, before, i);
    }
  }
  return yaml + fmt::format("returns: \"{{{{ steps.s{}.output }}}}\"\n", kChainSteps - 1);
}

std::string chain_output(std::size_t seed) {
  std::size_t v = seed;
  for (std::size_t i = 0; i < kChainSteps; ++i) v = (v * 31 + i) % 1'000'003;
  return std::to_string(v);
}

Load chain_load(const std::string& hash, std::size_t runs, std::size_t in_flight) {
  return {hash, runs, in_flight, [](std::size_t i) { return fmt::format(R"({{"id":"r{}","seed":{}}})", i, i); },
          [](std::size_t i, const std::string& output) { return output == chain_output(i); }};
}

}  // namespace weft::bench
