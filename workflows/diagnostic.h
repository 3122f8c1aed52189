// What the checker says about a file: place, code, sentence, and where it can the way out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

  explicit Diagnostics(std::string file) : file_(std::move(file)) {}
  void error(Mark mark, std::string code, std::string message, std::string suggestion = {}, std::string witness = {});
  void warning(Mark mark, std::string code, std::string message, std::string suggestion = {}, std::string witness = {});
  bool has_errors() const { return errors_ > 0; }
  // Whether nothing more is stored, so that the search for a suggestion would be in vain.
  bool full() const { return items_.size() >= kDiagnosticsMax; }
  // Sorted by file and place.
  std::vector<Diagnostic> take();

 private:
  void add(Diagnostic diagnostic);

  std::string file_;
  std::vector<Diagnostic> items_;
  std::size_t errors_ = 0;
};

// "FILE:LINE:COLUMN: error: SENTENCE [code]" and, indented, the suggestion.
std::string to_text(const Diagnostic& diagnostic);

// The candidate nearest to `name` by edit distance, or empty where none is near enough to be meant.
std::string nearest(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace weft::workflows
