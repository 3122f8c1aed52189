// How many states the automaton of a pattern can have, told before any text is searched. Private to pattern*.cpp.
//
// RE2 makes a state when a text first leads to it, and goes on slowly where there are too many. Most patterns have few
// (`^[A-Z]{2}-\d+$`: about 5), and then a search is as fast as reading, whatever the text is.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace weft {

inline constexpr std::size_t kFewStatesMax = 4'000;

// Nothing where there may be more than kFewStatesMax, and where the pattern uses what is not looked into: \b, \p, flags
// but a leading (?i), anchors within, more than 256 letters and classes once repetitions are written out.
std::optional<std::size_t> few_states(std::string_view pattern);

}  // namespace weft
