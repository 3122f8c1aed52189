// What a URL says, as libcurl reads it.
#pragma once

#include <string_view>

namespace weft {

// True where the host of `url` is this machine: `localhost`, a name beneath it, or an address of the loopback or the
// unspecified network, however it is written (127.1, 0x7f.1, [::ffff:127.0.0.1]). False where `url` cannot be read.
bool is_loopback(std::string_view url);

}  // namespace weft
