// Events as the journal keeps them: each preceded by its length as a varint.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "memory/journal/journal.h"
#include "weft/v1/event.pb.h"

namespace weft::history {

void append_event(const v1::Event& event, std::string& batch);
// DATA_LOSS where the bytes are not a batch.
Result<std::vector<v1::Event>> read_batch(std::string_view batch);

// Calls `on_event` with a run's durable events in order, from `from_seq` on, until it returns false or fails. One page
// of them is in memory at a time. UNAVAILABLE where they cannot be read now.
using OnEvent = std::function<Result<bool>(const v1::Event& event)>;
Status for_each_event(const memory::Reader& reader, std::string_view run, std::uint64_t from_seq,
                      const OnEvent& on_event);

}  // namespace weft::history
