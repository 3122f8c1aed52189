// At the start of an engine: the runs that an earlier life left unfinished are loaded by the shards that own them. One
// that cannot be read keeps no other from going on; one that takes weft down again and again is left alone.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "memory/journal/journal.h"
#include "memory/journal/maintenance.h"
#include "runtime/engine/registry.h"
#include "runtime/engine/shard/shard.h"
#include "runtime/engine/wait_reasons.h"

namespace weft::engine {

struct TakeUpWorld {
  memory::Journal& journal;
  const memory::Claims& claims;
  memory::Maintenance* maintenance = nullptr;  // Counts crashes; null: nobody does.
  Registry& registry;
  WaitReasons& wait_reasons;
  std::uint32_t crashes_max = 0;
  std::function<Shard&(std::uint32_t partition)> shard_of;
};

// Before the shards start. `left`: how the last owner left the store. An error: the store cannot be read or written.
Status take_up_runs(const TakeUpWorld& world, memory::Left left);

}  // namespace weft::engine
