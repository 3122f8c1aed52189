// Events as the journal keeps them: each preceded by its length as a varint.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

void append_event(const v1::Event& event, std::string& batch);
// DATA_LOSS where the bytes are not a batch.
Result<std::vector<v1::Event>> read_batch(std::string_view batch);

}  // namespace weft::engine
