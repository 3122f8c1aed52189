// The allocator's unused memory.
#pragma once

namespace weft {

// Gives it back to the system. Takes milliseconds; thread-safe.
void return_free_memory();

}  // namespace weft
