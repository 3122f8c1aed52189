// The OpenAI ChatCompletions format, as OpenAI, DeepSeek, OpenRouter and servers on one's own machine speak it.
#pragma once

#include "runtime/model/dialect.h"

namespace weft::model {

const Dialect& openai_dialect();

}  // namespace weft::model
