#include "workflows/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "base/bytes.h"

namespace weft::workflows {
namespace {

// A name longer than this is no slip of the finger, and the distance to it would cost much.
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kCellsPerUnit = 2;  // Of the table of an edit distance.

std::string clip(std::string text) {
  if (text.size() <= Diagnostics::kSentenceBytesMax) return text;
  std::size_t end = Diagnostics::kSentenceBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + "…";
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Insertions, deletions, changes and swaps of neighbours, each one; upper and lower case are the same. `most` where it
// is that or more. REQUIRES: neither is longer than kNameBytesMax.
std::size_t distance(std::string_view a, std::string_view b, std::size_t most) {
  using Row = std::array<std::size_t, kNameBytesMax + 1>;
  Row rows[3];
  Row *before = &rows[0], *last = &rows[1], *row = &rows[2];
  for (std::size_t j = 0; j <= b.size(); ++j) (*last)[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t least = (*row)[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
      std::size_t best = std::min({(*last)[j] + 1, (*row)[j - 1] + 1, (*last)[j - 1] + change});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) best = std::min(best, (*before)[j - 2] + 1);
      (*row)[j] = best;
      least = std::min(least, best);
    }
    if (least > most) return most;  // A swap reaches back two rows, and costs one.
    std::swap(before, last);
    std::swap(last, row);
  }
  return std::min((*last)[b.size()], most);
}

}  // namespace

Diagnostics::Diagnostics(std::string file) : file_(std::move(file)), work_(std::make_shared<Work>()) {}

Diagnostics::Diagnostics(std::string file, const Diagnostics& around) : file_(std::move(file)), work_(around.work_) {}

std::string Diagnostics::nearest(const std::string& name, const std::vector<std::string>& candidates) {
  return full() ? std::string() : workflows::nearest(name, candidates, work_->suggestions);
}

void Diagnostics::error(Mark mark, std::string code, std::string message, std::string suggestion, std::string witness) {
  ++errors_;
  add({file_, mark, std::move(code), Severity::kError, std::move(message), std::move(suggestion), std::move(witness)});
}

void Diagnostics::warning(Mark mark, std::string code, std::string message, std::string suggestion,
                          std::string witness) {
  add({file_, mark, std::move(code), Severity::kWarning, std::move(message), std::move(suggestion),
       std::move(witness)});
}

void Diagnostics::add(Diagnostic diagnostic) {
  if (full()) {
    if (diagnostic.severity == Severity::kWarning) return;
    const auto warning = std::ranges::find(items_, Severity::kWarning, &Diagnostic::severity);
    if (warning == items_.end()) return;
    items_.erase(warning);
  }
  diagnostic.message = clip(std::move(diagnostic.message));
  diagnostic.suggestion = clip(std::move(diagnostic.suggestion));
  diagnostic.witness = clip(std::move(diagnostic.witness));
  items_.push_back(std::move(diagnostic));
}

std::vector<Diagnostic> Diagnostics::take() {
  std::ranges::stable_sort(items_, [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.file, a.mark) < std::tie(b.file, b.mark);
  });
  // What an alias repeats has the same faults in the same place.
  const auto repeated = std::ranges::unique(items_);
  items_.erase(repeated.begin(), repeated.end());
  return std::exchange(items_, {});
}

std::string to_text(const Diagnostic& diagnostic) {
  const char* severity = diagnostic.severity == Severity::kError ? "error" : "warning";
  std::string text = fmt::format("{}:{}:{}: {}: {} [{}]", printable(diagnostic.file), diagnostic.mark.line,
                                 diagnostic.mark.column, severity, printable(diagnostic.message), diagnostic.code);
  if (!diagnostic.suggestion.empty()) text += "\n    " + printable(diagnostic.suggestion);
  return text;
}

std::string nearest(const std::string& name, const std::vector<std::string>& candidates, Budget& budget) {
  if (name.empty() || name.size() > kNameBytesMax) return {};
  std::size_t best_distance = std::max<std::size_t>(name.size() / 3, 1) + 1;
  std::string best;
  for (const std::string& candidate : candidates) {
    const std::size_t longer = std::max(name.size(), candidate.size());
    const std::size_t shorter = std::min(name.size(), candidate.size());
    if (!budget.spend(1)) return {};
    if (longer - shorter >= best_distance || longer > kNameBytesMax) continue;
    if (!budget.spend(name.size() * candidate.size() / kCellsPerUnit + 4)) return {};
    const std::size_t apart = distance(name, candidate, best_distance);
    // A name of which no letter is left was not meant.
    if (apart >= best_distance || apart >= longer) continue;
    best_distance = apart;
    best = candidate;
  }
  return best;
}

std::string nearest(const std::string& name, const std::vector<std::string>& candidates) {
  Budget budget(Diagnostics::kSuggestionWorkMax);
  return nearest(name, candidates, budget);
}

}  // namespace weft::workflows
