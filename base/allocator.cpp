#include "base/allocator.h"

#include <malloc.h>

#include <cstddef>

// jemalloc's control interface (https://jemalloc.net/jemalloc.3.html), in programs that link it (weft_allocator).
extern "C" int mallctl(const char* name, void* old, std::size_t* old_bytes, void* value, std::size_t value_bytes)
    __attribute__((weak));

namespace weft {

void return_free_memory() {
  if (mallctl == nullptr) {
    ::malloc_trim(0);
  } else {
    (void)mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);  // 4096: all arenas.
  }
}

}  // namespace weft
