// Regular expressions that come from outside (RE2): how large one may be, and what a search with it costs.
//
// RE2 takes linear time, but for some patterns the factor is the size of their program: `[ab]*a[ab]{900}c` takes 20 µs
// for a byte. So a search is charged by that measure before it begins, and what is too large is never compiled.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/budget.h"
#include "base/result.h"

namespace weft {

inline constexpr std::size_t kPatternBytesMax = 4'096;     // Of its text.
inline constexpr std::size_t kPatternProgramMax = 10'000;  // Instructions, forwards or backwards: RE2's own measure.
inline constexpr std::uint64_t kPatternCompileMax = 4'000'000;  // Units of a Budget: classes and repetitions are dear.

// Immutable, thread-safe; copying shares.
class Pattern {
 public:
  enum class Lines : std::uint8_t { kOne, kEach };  // kEach: `^` and `$` stand for the ends of each line.

  // INVALID_ARGUMENT with what RE2 says of it; RESOURCE_EXHAUSTED with its measure and the limit, by name.
  static Result<Pattern> compile(std::string_view text, Lines lines = Lines::kOne);
  // Units of a Budget that compile() takes at most.
  static std::uint64_t compile_cost(std::string_view text);

  // Units of a Budget that a search in so many bytes takes at most.
  std::uint64_t cost(std::size_t bytes) const;
  bool found_in(std::string_view text) const;
  // Where the first match within [from, to) begins; npos. What stands around it is seen by `^`, `$` and `\b`.
  std::size_t find(std::string_view text, std::size_t from, std::size_t to = std::string_view::npos) const;
  const std::string& text() const;
  std::size_t program_size() const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace weft
