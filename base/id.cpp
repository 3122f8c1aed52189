#include "base/id.h"

#include <sys/random.h>

#include "base/check.h"

namespace weft {

std::uint64_t SystemEntropy::next() {
  std::uint64_t value = 0;
  WEFT_CHECK(getrandom(&value, sizeof value, 0) == sizeof value, "the kernel gives no random bytes");
  return value;
}

std::string new_id(Time now, Entropy& entropy) {
  constexpr char kAlphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
  auto milliseconds =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  std::string id(26, '0');
  for (int i = 9; i >= 0; --i, milliseconds >>= 5) id[static_cast<std::size_t>(i)] = kAlphabet[milliseconds & 31];
  std::uint64_t high = entropy.next();
  std::uint64_t low = entropy.next();
  for (std::size_t i = 10; i < 18; ++i, high >>= 5) id[i] = kAlphabet[high & 31];
  for (std::size_t i = 18; i < 26; ++i, low >>= 5) id[i] = kAlphabet[low & 31];
  return id;
}

}  // namespace weft
