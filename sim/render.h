// A request as the model reads it: one text, whose beginning is what a prefix cache compares.
//
// The order is that of DeepSeek V4: effort, system messages (all of them, also late ones), tools, format, then the
// turns. Tools and system messages stand in it with the bytes of the request's body, so that one tool in another place,
// one key in another order, one space more is another prefix.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "sim/request.h"

namespace weft::sim {

struct Rendered {
  std::string text;
  std::vector<std::size_t> ends;  // Behind each message (and the head): where a unit of the cache may end.
};

Rendered render(const Request& request);

// What the model wrote, as the next request will bring it back.
std::string render_answer(std::string_view reasoning, std::string_view text, const std::vector<Call>& calls);

}  // namespace weft::sim
