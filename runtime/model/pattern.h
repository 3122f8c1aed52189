// The chunks of one stream are mostly the same bytes but for one string. Once the parser has read such a chunk, those
// that differ from it inside that string alone are read by comparison, many times faster.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace weft::model {

class ChunkPatterns {
 public:
  // What the one string is appended to.
  enum class Place : std::uint8_t { kText, kReasoning, kArguments };

  struct Match {
    Place place;
    std::optional<std::int64_t> index;  // kArguments: of the tool call, as the chunk gives it.
    std::string_view text;              // The string's value; valid until the next call.
  };

  // Nothing where the whole parser must look at the chunk.
  std::optional<Match> match(std::string_view chunk);

  // REQUIRES: the parser has read `chunk`, and all that it did was to append one string at `place`.
  void learn(std::string_view chunk, Place place);

 private:
  static constexpr int kLearnTriesMax = 16;

  struct Pattern {
    std::string before;
    std::string after;
    std::optional<std::int64_t> index;
  };

  std::array<std::optional<Pattern>, 3> patterns_;  // By Place.
  int tries_ = 0;
  std::string literal_;
};

}  // namespace weft::model
