// The care of a running engine's store: its retention, and what an operator asks for.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "memory/care.h"
#include "runtime/engine/admin.h"
#include "runtime/engine/caretaker.h"
#include "runtime/engine/frozen.h"
#include "runtime/engine/parked.h"
#include "runtime/engine/places.h"
#include "runtime/engine/retention.h"

namespace weft::engine {

// What the care stands on; owned by the engine, outlives it.
struct CareWorld {
  memory::Care& care;
  const Retention& retention;
  const Frozen& frozen;
  const Clock& clock;
  const std::atomic<bool>& leaving;                    // The process is about to end: what takes long stops.
  std::function<std::size_t(Duration patience)> idle;  // Admits nothing more and waits; the runs that are left.
  std::function<Status()> admits;
  const Parked& parked;
  const Places& places;
  const std::atomic<std::size_t>& tool_calls;  // Under way.
};

std::unique_ptr<Admin> make_store_admin(CareWorld world);

}  // namespace weft::engine
