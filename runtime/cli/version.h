// What this program is.
#pragma once

#include <string_view>

namespace weft::cli {

inline constexpr std::string_view kVersion = WEFT_VERSION;  // Set by CMake: project(weft VERSION …).
inline constexpr int kLanguageVersion = 1;                  // The newest `weft: N` that it reads.

}  // namespace weft::cli
