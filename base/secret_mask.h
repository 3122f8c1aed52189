// Known secrets, and their masks in whatever text repeats them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace weft {

struct Secret {
  std::string name;
  std::string value;
  bool operator==(const Secret&) const = default;
};

// Finds values as they are and as they are usually written, and puts `[secret NAME]` in their place:
//   in base64, standard and URL alphabet, wherever they begin within a longer text, with line breaks or without;
//   in hexadecimal, upper and lower case;
//   each of these and the value itself with any escapes of base/escapes.h, also several beside each other.
// Secrets that overlap are masked both, one behind the other.
// Not found: a value that is split, compressed, reversed or encrypted, or of which a part alone is repeated.
//
// Invariants:
//  1. A text without a secret keeps its bytes.
//  2. What a Stream gives out for the pieces of a text is what `mask` makes of the whole, wherever it is cut.
// Immutable, thread-safe. One pass, whatever the number of secrets.
class SecretMask {
 public:
  static constexpr std::size_t kSecretBytesMin = 8;
  static constexpr std::size_t kDifferentBytesMin = 5;
  static constexpr std::size_t kWordBytesMax =
      15;  // So long a value is not letters of one case alone, nor digits alone.
  static constexpr std::size_t kSecretBytesMax = 16 << 10;

  // Values that cannot be masked are left out: `unmaskable` says why.
  explicit SecretMask(const std::vector<Secret>& secrets);

  // Why this value is not masked, as the end of a sentence ("it has fewer than 8 bytes"); nothing where it is. What is
  // short or a mere word would be masked wherever those letters stand.
  static std::optional<std::string> unmaskable(std::string_view value);

  bool empty() const { return needles_.empty(); }
  // True where something was masked.
  bool mask(std::string& text) const;
  // The same for a text that was, or will be, cut off at its end: what may be the beginning of a secret there goes too.
  bool mask_cut(std::string& text) const;
  // Every string, name and number of a value.
  bool mask(Json& value) const;
  // Bytes that may be JSON: as JSON they are masked value by value, and otherwise as text. Their bytes stay where there
  // is no secret in them.
  bool mask_body(std::string& bytes) const;

  // A text that comes in pieces. What may be the beginning of a secret is held back until it is known.
  class Stream {
   public:
    explicit Stream(std::shared_ptr<const SecretMask> mask) : mask_(std::move(mask)) {}
    std::string feed(std::string_view piece);
    std::string finish();  // What was held back. Once.

   private:
    std::shared_ptr<const SecretMask> mask_;
    std::string held_;
  };

 private:
  enum class Alphabet : std::uint8_t { kBytes, kHex, kBase64 };
  // A byte fits where its number in the alphabet, under `mask`, is `value`: of a character of base64, some bits may be
  // another byte's.
  struct Unit {
    std::uint8_t mask = 0xFF;
    std::uint8_t value = 0;
  };
  struct Needle {
    Alphabet alphabet = Alphabet::kBytes;
    std::vector<Unit> units;
    std::size_t secret = 0;
    std::size_t cut_min = 0;      // So many units at the end of a text that is cut count as the secret.
    std::size_t backslashes = 0;  // Units that it begins with.
  };
  enum class End : std::uint8_t { kGoesOn, kWhole, kCut };
  struct Found {
    std::size_t end = 0;  // 0: none.
    std::size_t secret = 0;
    bool more = false;  // What comes behind the text may make it a secret.
  };
  struct Hit {
    std::size_t at = 0;
    Found found;
  };

  bool mask_names(Json& object) const;
  static bool fits(const Needle& needle, std::size_t unit, char byte);
  void add(Needle needle);
  void note_pairs(const Needle& needle);
  void note_escapes(unsigned char byte);
  void set_pair(std::size_t first, std::size_t second) {
    pairs_[(first << 8 | second) >> 6] |= std::uint64_t{1} << (second & 63);
  }
  bool has_pair(unsigned char first, unsigned char second) const {
    return (pairs_[(std::size_t{first} << 8 | second) >> 6] >> (second & 63) & 1) != 0;
  }
  Found find_at(std::string_view text, std::size_t at, End end) const;
  Found match(const Needle& needle, std::string_view text, std::size_t at, End end) const;
  Hit next(std::string_view text, std::size_t from, std::size_t to, std::size_t past, End end) const;
  bool may_begin(std::string_view text, std::size_t at, std::size_t behind) const;
  std::size_t pass_backslashes(std::string_view text, std::size_t at, End end) const;
  // Appends `text` to `out`, masked, up to what must be held back; returns where that begins.
  std::size_t scan(std::string_view text, End end, std::string& out, bool& masked) const;

  std::vector<std::string> masks_;  // By secret.
  std::vector<Needle> needles_;
  std::array<std::vector<std::uint32_t>, 256> by_first_;  // Needles whose first unit this byte fits.
  std::array<std::uint64_t, 65536 / 64> pairs_{};  // Two bytes with which a secret, or an escape of one, may begin.
  std::size_t backslashes_ = 0;                    // With so many a secret begins, at most.
  bool has_numbers_ = false;                       // A secret is a number, which may stand in JSON as one.
};

}  // namespace weft
