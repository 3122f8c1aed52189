// Fields of a request, read with the provider's sentences.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "sim/request.h"

namespace weft::sim {

// Null where the member is absent or null, or `object` is none.
const Json* find(const Json& object, const char* key);
Error undeserializable(std::string_view what);
Result<std::string> read_text(const Json& object, const char* key, std::string_view where);

// The messages of `body`; `raw` are its bytes.
Status read_messages(const Json& body, std::string_view raw, Request& request);

}  // namespace weft::sim
