// A broken invariant aborts, in release builds too: the journal turns a crash into a restart.
#pragma once

#include <source_location>
#include <string_view>

namespace weft {

[[noreturn]] void die(std::string_view what, std::source_location where = std::source_location::current());

}  // namespace weft

#define WEFT_CHECK(condition, what) ((condition) ? void() : ::weft::die(what))
