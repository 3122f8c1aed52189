// The operations of a running engine's store: retention, and what an operator asks for.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "memory/journal/maintenance.h"
#include "runtime/admission/admission.h"
#include "runtime/engine/maintenance/admin.h"
#include "runtime/engine/maintenance/retention.h"
#include "runtime/engine/maintenance/worker.h"
#include "runtime/engine/shard/storage_stall.h"
#include "runtime/engine/wait_reasons.h"

namespace weft::engine {

// What the operations use; owned by the engine, outlives them.
struct OperationsWorld {
  memory::Maintenance& maintenance;
  const Retention& retention;
  const StorageStall& storage_stall;
  const Clock& clock;
  const std::atomic<bool>& leaving;                    // The process is about to end: long jobs stop.
  std::function<std::size_t(Duration patience)> idle;  // Stops admission and waits; returns the runs left.
  std::function<Status()> admits;
  const WaitReasons& wait_reasons;
  const admission::Admission& admission;
  const std::atomic<std::size_t>& tool_calls;  // Under way.
};

std::unique_ptr<Admin> make_operations(OperationsWorld world);

}  // namespace weft::engine
