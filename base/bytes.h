// Bytes, their SHA-256, and how they are written for people.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weft {

using Digest = std::array<std::uint8_t, 32>;

Digest sha256(std::string_view bytes);

// SHA-256 over bytes that arrive in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256& other);  // Goes on from where the other is.
  Sha256& operator=(const Sha256& other);

  void update(std::string_view bytes);
  Digest finish();  // Once; the object then starts anew.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string_view view(const Digest& digest);  // The 32 bytes.
std::string to_hex(std::string_view bytes);   // Lower case.
Result<std::string> from_hex(std::string_view hex);
bool is_utf8(std::string_view bytes);  // Well-formed, no surrogates, no overlong forms.
// Text for JSON: bytes that are not UTF-8 become U+FFFD each, and are counted.
std::string as_utf8(std::string_view bytes, std::size_t& replaced);
// Foreign text for a terminal or a log: control characters become \xNN, so no escape sequence is obeyed.
std::string printable(std::string_view text);
std::uint64_t hash64(std::string_view bytes);  // First 8 bytes of the SHA-256, little endian: for jitter.

}  // namespace weft
