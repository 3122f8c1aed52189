// Events as JSON, for people and programs.
#pragma once

#include <google/protobuf/message.h>

#include "base/json.h"

namespace weft::cli {

// Protobuf's JSON mapping with the fields' own names, but for what is read more easily: contents are values (`*_json`)
// or text instead of base 64, digests are hexadecimal, 64-bit numbers are numbers, enumerations are short names in
// lower case ("succeeded"). Of any message of weft.v1.
Json event_json(const google::protobuf::Message& message);

}  // namespace weft::cli
