// What the checker says about a file: place, code, sentence, and where it can the way out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/budget.h"

namespace weft::workflows {

// A place in a source text. Line and column count from 1; column counts bytes.
struct Mark {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  auto operator<=>(const Mark&) const = default;
};

enum class Severity : std::uint8_t { kError, kWarning };

struct Diagnostic {
  std::string file;
  Mark mark;
  std::string code;  // Stable, for programs: "unknown-key", "cycle", "type".
  Severity severity = Severity::kError;
  std::string message;     // One plain sentence.
  std::string suggestion;  // The way out, or empty.
  std::string witness;     // The value or path that shows the fault, for programs that mend workflows, or empty.
  bool operator==(const Diagnostic&) const = default;
};

// Collects diagnostics, bounded: after `kDiagnosticsMax` it keeps counting and stores no more, except that an error
// takes the place of a warning.
class Diagnostics {
 public:
  static constexpr std::size_t kDiagnosticsMax = 200;
  static constexpr std::size_t kSentenceBytesMax = 1000;  // A longer message, suggestion or witness is cut.

  // Units of a Budget that checking one bundle may cost.
  static constexpr std::uint64_t kCheckWorkMax = 80'000'000;
  static constexpr std::uint64_t kSuggestionWorkMax = 10'000'000;  // Of them, for suggestions.

  explicit Diagnostics(std::string file);
  // For a part of the same work, whose faults go elsewhere.
  Diagnostics(std::string file, const Diagnostics& around);
  void error(Mark mark, std::string code, std::string message, std::string suggestion = {}, std::string witness = {});
  void warning(Mark mark, std::string code, std::string message, std::string suggestion = {}, std::string witness = {});
  bool has_errors() const { return errors_ > 0; }
  // Whether nothing more is stored, so that what would be said need not be worded.
  bool full() const { return items_.size() >= kDiagnosticsMax; }
  // nearest(), where it is shown; empty also where suggestions have cost too much.
  std::string nearest(const std::string& name, const std::vector<std::string>& candidates);
  // What checking is spent out of; where it is over, the loader refuses the whole.
  Budget& work() { return work_->all; }
  // Sorted by file and place.
  std::vector<Diagnostic> take();

 private:
  struct Work {
    Budget all{kCheckWorkMax};
    Budget suggestions{kSuggestionWorkMax, nullptr, &all};
  };
  void add(Diagnostic diagnostic);

  std::string file_;
  std::shared_ptr<Work> work_;
  std::vector<Diagnostic> items_;
  std::size_t errors_ = 0;
};

// "FILE:LINE:COLUMN: error: SENTENCE [code]" and, indented, the suggestion.
std::string to_text(const Diagnostic& diagnostic);

// The candidate nearest to `name` by edit distance, or empty where none is near enough to be meant, or where looking
// took more than the budget.
std::string nearest(const std::string& name, const std::vector<std::string>& candidates, Budget& budget);
std::string nearest(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace weft::workflows
