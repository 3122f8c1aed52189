// The bytes of a snapshot: the state of a run as of one of its events, and what the engine keeps beside it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

struct RunSnapshot {
  std::string state;  // run::Run::snapshot().
  v1::Run summary{};
  std::string model{};
  std::uint64_t epoch = 0;
  std::uint64_t got_on_seq = 0;
  bool may_wait = false;
  bool begun = false;
  // By path of an attempt with a timeout: by how much it is due later than its events say.
  std::map<std::string, std::int64_t> later_us{};
  std::map<std::string, std::uint64_t> agents{};  // As history::Conversations::begun().
};

std::string encode(const RunSnapshot& snapshot);
// DATA_LOSS where the bytes are damaged, or another version of weft wrote them.
Result<RunSnapshot> decode_snapshot(std::string_view bytes);

}  // namespace weft::engine
