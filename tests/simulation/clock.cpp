// Stands in for base/clock.cpp: what runs in a simulated world and asks the system's clock reads the world's.
#include "attached.h"
#include "base/time.h"

namespace weft {

Time SystemClock::now() const { return Time(simulation::attached().schedule->now()); }
Duration SystemClock::monotonic() const { return simulation::attached().schedule->now(); }

}  // namespace weft
