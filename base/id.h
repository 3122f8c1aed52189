// Identifiers of runs: 26 characters of Crockford base 32, sortable by time of creation (the ULID layout).
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace weft {

// Where randomness comes in. Thread-safe.
class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual std::uint64_t next() = 0;
};

class SystemEntropy final : public Entropy {
 public:
  std::uint64_t next() override;
};

std::string new_id(Time now, Entropy& entropy);

}  // namespace weft
