#include "base/pattern.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "base/pattern_states.h"

namespace weft {
namespace {

constexpr std::int64_t kMemoryMax = 512 << 10;  // Of one pattern: its program and what a search keeps of it.
constexpr std::size_t kShownBytesMax = 60;

// What compiling takes at most, in units of a Budget; measured by tests/base/pattern_test.cpp.
constexpr std::uint64_t kUnitsPerByte = 900;
constexpr std::uint64_t kUnitsPerClass = 40'000;  // \p{…}: hundreds of ranges each.
constexpr std::uint64_t kUnitsPerRepeat = 12'000;
constexpr std::uint64_t kUnitsPerWritten = 150;  // For what a repetition writes out.
constexpr std::uint64_t kWrittenOutMax = 20'000;

// What a search takes at most: a new state at each byte, and where there are too many of them, all instructions at each
// byte. A pattern with few states keeps them all, from the first texts on.
constexpr std::int64_t kMemoryForFewStates = 16 << 20;  // Room for them; what is used is little.
constexpr std::uint64_t kUnitsPerSearch = 300;
constexpr std::uint64_t kBytesPerUnit = 2;
constexpr std::uint64_t kUnitsPerState = 300;
constexpr std::size_t kNewStatesMax = 2'048;       // Before it goes on without.
constexpr std::uint64_t kUnitsPerInstruction = 4;  // For a byte.

std::string shown(std::string_view text) {
  const bool cut = text.size() > kShownBytesMax;
  text = text.substr(0, kShownBytesMax);
  while (cut && !text.empty() && !is_utf8(text)) text.remove_suffix(1);
  return fmt::format("`{}{}`", printable(text), cut ? "…" : "");
}

RE2::Options options_for(std::int64_t memory) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(memory);
  return options;
}

}  // namespace

struct Pattern::Compiled {
  Compiled(std::string_view own, const std::string& source, const RE2::Options& options)
      : text(own), pattern(source, options) {}
  std::string text;
  RE2 pattern;
  std::size_t program = 0;
  bool has_few_states = false;
};

// Follows how many letters and classes the pattern has once its repetitions are written out.
std::uint64_t Pattern::compile_cost(std::string_view text) {
  std::uint64_t cost = kUnitsPerByte * text.size();
  std::vector<std::uint64_t> sizes{0};  // Of the groups that are open.
  std::uint64_t last = 0;               // Of what stands before a repetition.
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') {
      sizes.push_back(0);
    } else if (text[i] == ')' && sizes.size() > 1) {
      last = sizes.back();
      sizes.pop_back();
      sizes.back() += last;
    } else if (text[i] == '{') {
      std::uint64_t times = 0;
      for (std::uint64_t number = 0; ++i < text.size() && text[i] != '}';) {
        number = text[i] >= '0' && text[i] <= '9' ? std::min<std::uint64_t>(number * 10 + (text[i] - '0'), 1'000) : 0;
        times = std::max(times, number);
      }
      const std::uint64_t written = std::min(last * times, kWrittenOutMax);  // RE2 writes no more.
      cost += kUnitsPerRepeat + kUnitsPerWritten * written;
      sizes.back() += written;
      last = written;
    } else {
      if (text[i] == '\\' && ++i < text.size() && (text[i] == 'p' || text[i] == 'P')) cost += kUnitsPerClass;
      last = 1;
      ++sizes.back();
    }
  }
  return cost;
}

Result<Pattern> Pattern::compile(std::string_view text, Lines lines) {
  const auto refused = [&](std::string_view limit, std::string_view sentence) {
    return resource_exhausted(fmt::format("the pattern {} {}", shown(text), sentence))
        .with("limit", std::string(limit));
  };
  if (text.size() > kPatternBytesMax) {
    return refused("pattern_bytes_max", fmt::format("has {} bytes; the limit is {}", text.size(), kPatternBytesMax));
  }
  if (const std::uint64_t cost = compile_cost(text); cost > kPatternCompileMax) {
    return refused("pattern_compile_max", fmt::format("takes about {} units to compile; the limit is {}: fewer classes "
                                                      "\\p and repetitions {{n}} take less",
                                                      cost, kPatternCompileMax));
  }
  const std::string source = (lines == Lines::kEach ? "(?m)" : "") + std::string(text);
  auto compiled = std::make_shared<Compiled>(text, source, options_for(kMemoryMax));
  const RE2& pattern = compiled->pattern;
  const bool fits = pattern.error_code() != RE2::ErrorPatternTooLarge;
  if (fits && !pattern.ok()) {
    return invalid_argument(fmt::format("the pattern {} is refused: {}", shown(text), printable(pattern.error())));
  }
  const int forwards = fits ? pattern.ProgramSize() : -1;
  const int backwards = fits ? pattern.ReverseProgramSize() : -1;
  compiled->program = static_cast<std::size_t>(std::max({forwards, backwards, 0}));
  if (forwards < 0 || backwards < 0 || compiled->program > kPatternProgramMax) {
    const std::string size = forwards < 0 || backwards < 0 ? "far too many" : std::to_string(compiled->program);
    return refused("pattern_program_max", fmt::format("compiles to {} instructions; the limit is {}: fewer or smaller "
                                                      "repetitions and classes make it smaller",
                                                      size, kPatternProgramMax));
  }
  // An anchor at each line is one within the text.
  const bool anchors = lines == Lines::kEach && text.find_first_of("^$") != std::string_view::npos;
  if (!anchors && few_states(text)) {
    const std::size_t program = compiled->program;
    compiled = std::make_shared<Compiled>(text, source, options_for(kMemoryForFewStates));
    compiled->program = program;
    compiled->has_few_states = true;
  }
  Pattern result;
  result.compiled_ = std::move(compiled);
  return result;
}

std::uint64_t Pattern::cost(std::size_t bytes) const {
  const std::uint64_t read = kUnitsPerSearch + bytes / kBytesPerUnit;
  if (compiled_->has_few_states) return read;
  return read + kUnitsPerState * std::min(bytes, kNewStatesMax) + kUnitsPerInstruction * compiled_->program * bytes;
}

bool Pattern::found_in(std::string_view text) const {
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), compiled_->pattern);
}

std::size_t Pattern::find(std::string_view text, std::size_t from, std::size_t to) const {
  re2::StringPiece hit;
  const re2::StringPiece all(text.data(), text.size());
  to = std::min(to, text.size());
  if (from > to || !compiled_->pattern.Match(all, from, to, RE2::UNANCHORED, &hit, 1)) return std::string_view::npos;
  return static_cast<std::size_t>(hit.data() - text.data());
}

const std::string& Pattern::text() const { return compiled_->text; }
std::size_t Pattern::program_size() const { return compiled_->program; }

}  // namespace weft
