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
// Foreign text for a terminal or a log, on one line: what is not seen or moves what is (control characters, line
// breaks, marks of direction, zero-width characters, what is not UTF-8) is written out as \n, \xNN or \uNNNN. So
// nothing is obeyed, makes a line of its own or hides.
std::string printable(std::string_view text);
std::string printable_lines(std::string_view text);  // The same, but line breaks and tabs stay.
// The same for a JSON text, which stays the same value.
std::string shown_json(std::string_view json);
std::uint64_t hash64(std::string_view bytes);  // First 8 bytes of the SHA-256, little endian: for jitter.

}  // namespace weft
