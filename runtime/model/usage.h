// Token counts as servers report them, in five disjoint counts.
#pragma once

#include "base/json.h"
#include "runtime/model/message.h"

namespace weft::model {

// `usage` is the response's usage object, `timings` llama.cpp's addition; either may be null.
//
// Forms: DeepSeek (prompt_cache_hit_tokens, prompt_cache_miss_tokens), OpenAI (prompt_tokens_details.cached_tokens and
// cache_write_tokens, both part of prompt_tokens), llama.cpp (timings.cache_n, prompt_n, predicted_n).
// Where the parts do not add up, the total is believed. Where no cache hits are reported, input_hit is absent and
// input_miss is the whole input. Where reasoning is not reported, it is absent and part of output.
Usage read_usage(const Json* usage, const Json* timings);

}  // namespace weft::model
