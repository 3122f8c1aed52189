#include "runtime/engine/shard/run_line.h"

#include <utility>

#include "runtime/engine/shard/active_run.h"

namespace weft::engine {

void RunLine::stand(ActiveRun& run) {
  line_.push_back(run.weak_from_this());
  serve_later();
}

void RunLine::serve_later() {
  if (std::exchange(served_, true)) return;
  loop_.post([this] { serve(); });
}

void RunLine::serve() {
  served_ = false;
  bool served = false;
  while (!line_.empty() && !served) {
    const auto run = line_.front().lock();
    line_.pop_front();
    if (run == nullptr || run->is_gone() || !run->presence.is_in_line()) continue;  // It was called out of line.
    run->presence.take_stretch();
    served = true;
  }
  if (!line_.empty()) serve_later();
}

}  // namespace weft::engine
