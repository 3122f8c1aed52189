// What the model says to one request, counted in tokens and cut to the limit, and how the format writes it whole.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "sim/reply.h"
#include "sim/request.h"

namespace weft::sim {

// The first token of a text: four bytes, and what belongs to their last code point.
std::string_view first_token(std::string_view text);
std::uint64_t count_tokens(std::string_view text);

struct Answer {
  std::string id;
  std::string model;
  std::int64_t created = 0;  // Seconds since 1970.
  Thinking thinking = Thinking::kOff;
  std::string reasoning;  // Empty where thinking is off.
  std::string text;
  std::vector<Call> calls;
  std::string finish;
  std::uint64_t tokens = 0;            // A call is one, and its arguments.
  std::uint64_t reasoning_tokens = 0;  // Of them.
  std::uint64_t prompt_tokens = 0;
  std::uint64_t hit_tokens = 0;              // Of them.
  std::shared_ptr<const std::string> usage;  // JSON; null where the script wants none.
};

struct Place {
  std::uint64_t number = 0;       // Of the request, since the provider's start.
  std::uint64_t prompt_hash = 0;  // Ids of calls come from it: equal for equal prompts.
  std::uint64_t prompt_tokens = 0;
  std::uint64_t hit_tokens = 0;
  std::int64_t seconds = 0;
};

Answer make_answer(const Request& request, const Reply& reply, const Place& place);
// The body of a response that is not streamed.
std::string whole_body(const Answer& answer);
std::string json_string(std::string_view text);  // As a JSON string.

}  // namespace weft::sim
