#include "base/pattern_states.h"

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace weft {
namespace {

constexpr std::size_t kPlacesMax = 256;    // Letters and classes of the pattern, repetitions written out.
constexpr std::size_t kOthersMax = 30;     // Characters beyond ASCII that the pattern names.
constexpr std::size_t kOther = 128;        // Stands for those that it does not name.
constexpr std::size_t kSetsMax = 300;      // Of places; more are too many.
constexpr std::size_t kPartsOfOther = 12;  // States within the bytes of a character beyond ASCII,
constexpr std::size_t kPartsOfNamed = 3;   // and within those of one that is named.

using Characters = std::bitset<kOther + 1 + kOthersMax>;
using Places = std::bitset<kPlacesMax>;

struct LessPlaces {
  bool operator()(const Places& a, const Places& b) const {
    const Places differ = a ^ b;
    const std::size_t first = differ._Find_first();
    return first < kPlacesMax && b[first];
  }
};

struct Part {
  bool nullable = true;
  Places first;
  Places last;
};

// Reads a pattern into places and what may follow each (Glushkov's automaton). `failed` where it is not looked into.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(decoded(text)) {
    ignores_case_ = text.starts_with("(?i)");
    if (ignores_case_) at_ = 4;
    for (const char32_t c : text_) name(c);
    if (ignores_case_) {
      name(0x17F);   // Folds to s,
      name(0x212A);  // and this to k.
    }
    do {
      const bool anchored = accept('^');
      const Part part = concatenation();
      if (!anchored) anywhere |= part.first;
      start |= part.first;
      accept('$');
    } while (!failed && accept('|'));
    failed = failed || at_ < text_.size();
  }

  std::vector<Characters> characters;  // Of each place.
  std::vector<Places> follow;
  Places start;
  Places anywhere;  // Where a match may begin behind the start.
  std::size_t named = 0;
  bool failed = false;

 private:
  // Empty where it is no UTF-8; such a pattern is refused elsewhere.
  static std::u32string decoded(std::string_view text) {
    std::u32string out;
    for (std::size_t i = 0; i < text.size();) {
      const auto byte = static_cast<unsigned char>(text[i]);
      const std::size_t length = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
      char32_t c = length == 1 ? byte : byte & (0xFFU >> (length + 1));
      for (std::size_t k = 1; k < length && i + k < text.size(); ++k)
        c = c << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3FU);
      out += c;
      i += length;
    }
    return out;
  }
  void name(char32_t c) {
    if (c < 0x80 || std::ranges::find(others_, c) != others_.end()) return;
    if (others_.size() == kOthersMax) failed = true;
    if (!failed) others_.push_back(c);
    named = others_.size();
  }

  bool done() const { return failed || at_ >= text_.size(); }
  bool sees(char32_t c) const { return !done() && text_[at_] == c; }
  bool accept(char32_t c) {
    const bool here = sees(c);
    at_ += here;
    return here;
  }
  Part fail() {
    failed = true;
    return {};
  }

  void link(const Places& from, const Places& to) {
    for (std::size_t p = from._Find_first(); p < kPlacesMax; p = from._Find_next(p)) follow[p] |= to;
  }
  Part joined(const Part& a, const Part& b) {
    link(a.last, b.first);
    return {a.nullable && b.nullable, a.nullable ? a.first | b.first : a.first, b.nullable ? a.last | b.last : b.last};
  }

  Part alternation() {
    Part all = concatenation();
    while (accept('|')) {
      const Part other = concatenation();
      all = {all.nullable || other.nullable, all.first | other.first, all.last | other.last};
    }
    return all;
  }
  Part concatenation() {
    Part all;
    while (!done() && !sees('|') && !sees(')') && !sees('$')) all = joined(all, repetition());
    return all;
  }

  Part repetition() {
    const std::size_t begin = at_;
    Part part = atom();
    std::size_t least = 1;
    std::size_t most = 1;
    bool endless = false;
    if (accept('*')) {
      least = 0;
      endless = true;
    } else if (accept('+')) {
      endless = true;
    } else if (accept('?')) {
      least = 0;
    } else if (sees('{') && !counts(least, most, endless)) {
      return fail();
    }
    accept('?');
    if (sees('*') || sees('+') || sees('?')) return fail();
    const std::size_t behind = at_;
    const auto optional = [](Part one) {
      one.nullable = true;
      return one;
    };
    if (most == 0) return {};
    Part all = least == 0 ? optional(part) : part;
    for (std::size_t i = 1; i < most && !failed; ++i) {
      at_ = begin;
      part = atom();
      all = joined(all, i < least ? part : optional(part));
    }
    at_ = behind;
    if (endless) link(part.last, part.first);
    return all;
  }
  // {n} {n,} {n,m}
  bool counts(std::size_t& least, std::size_t& most, bool& endless) {
    accept('{');
    const auto number = [&](std::size_t& out) {
      const std::size_t begin = at_;
      for (out = 0; !done() && text_[at_] >= '0' && text_[at_] <= '9' && out < 10'000; ++at_) {
        out = out * 10 + (text_[at_] - '0');
      }
      return at_ > begin;
    };
    if (!number(least)) return false;
    most = least;
    if (accept(',')) {
      endless = !number(most);
      if (endless) most = std::max<std::size_t>(least, 1);
    }
    return accept('}') && most >= least && most <= kPlacesMax;
  }

  Part atom() {
    if (done()) return fail();
    const char32_t c = text_[at_++];
    switch (c) {
      case '(': {
        if (accept('?') && !accept(':')) return fail();
        const Part inner = alternation();
        return accept(')') ? inner : fail();
      }
      case '[': return bracketed();
      case '.': return place(~of('\n'));
      case '\\': {
        Characters escaped_ones;
        return escaped(escaped_ones) ? place(escaped_ones) : fail();
      }
      case '^':
      case '*':
      case '+':
      case '?':
      case '{': return fail();
      default: return place(of(c));
    }
  }
  Part place(const Characters& own) {
    if (characters.size() == kPlacesMax) return fail();
    characters.push_back(own);
    follow.emplace_back();
    Part part{false, {}, {}};
    part.first.set(characters.size() - 1);
    part.last = part.first;
    return part;
  }

  Characters of(char32_t c) const { return range(c, c); }
  Characters range(char32_t low, char32_t high) const {
    Characters all;
    for (char32_t c = low; c <= high && c < kOther; ++c) all.set(c);
    for (std::size_t i = 0; i < others_.size(); ++i) {
      if (others_[i] >= low && others_[i] <= high) all.set(kOther + 1 + i);
    }
    if (!ignores_case_) return all;
    for (char32_t c = 'a'; c <= 'z'; ++c) {
      if (!all[c] && !all[c - 0x20]) continue;
      all.set(c);
      all.set(c - 0x20);
      const char32_t folded = c == 's' ? 0x17F : c == 'k' ? 0x212A : 0;
      const auto other = std::ranges::find(others_, folded);
      if (other != others_.end()) all.set(kOther + 1 + static_cast<std::size_t>(other - others_.begin()));
    }
    return all;
  }
  // What stands behind a backslash.
  bool escaped(Characters& out) {
    if (done()) return false;
    const char32_t c = text_[at_++];
    const Characters word = range('0', '9') | range('a', 'z') | range('A', 'Z') | of('_');
    const Characters space = range('\t', '\n') | range('\f', '\r') | of(' ');
    switch (c) {
      case 'd': out |= range('0', '9'); return true;
      case 'D': out |= ~range('0', '9'); return true;
      case 'w': out |= word; return true;
      case 'W': out |= ~word; return true;
      case 's': out |= space; return true;
      case 'S': out |= ~space; return true;
      case 'n': out |= of('\n'); return true;
      case 't': out |= of('\t'); return true;
      case 'r': out |= of('\r'); return true;
      default:
        out |= of(c);
        return c < 0x80 && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z');
    }
  }
  Part bracketed() {
    const bool negated = accept('^');
    Characters all;
    for (bool is_first = true; is_first || !sees(']'); is_first = false) {
      if (done()) return fail();
      const char32_t low = text_[at_++];
      if (low == '[' && sees(':')) return fail();
      if (low == '\\') {
        if (!escaped(all)) return fail();
        if (sees('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') return fail();
        continue;
      }
      char32_t high = low;
      if (sees('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        high = text_[at_++];
        // A range beyond ASCII holds some of those that are not named.
        if (high == '\\' || high == '[' || high >= 0x80) return fail();
      }
      all |= range(low, high);
    }
    accept(']');
    return place(negated ? ~all : all);
  }

  const std::u32string text_;
  std::size_t at_ = 0;
  bool ignores_case_ = false;
  std::vector<char32_t> others_;
};

}  // namespace

std::optional<std::size_t> few_states(std::string_view pattern) {
  const Reader reader(pattern);
  if (reader.failed) return std::nullopt;
  // Characters that stand in the same places lead to the same states.
  std::set<Places, LessPlaces> columns;
  bool beyond_ascii = false;
  for (std::size_t c = 0; c <= kOther + reader.named; ++c) {
    Places in;
    for (std::size_t p = 0; p < reader.characters.size(); ++p) in[p] = reader.characters[p][c];
    beyond_ascii = beyond_ascii || (c >= kOther && in.any());
    columns.insert(in);
  }
  std::set<Places, LessPlaces> seen;
  std::vector<Places> open;
  const auto reach = [&](const Places& places) {
    for (const Places& column : columns) {
      const Places next = places & column;
      if (seen.insert(next).second) open.push_back(next);
    }
  };
  reach(reader.start);
  while (!open.empty() && seen.size() <= kSetsMax) {
    const Places here = open.back();
    open.pop_back();
    Places behind = reader.anywhere;
    for (std::size_t p = here._Find_first(); p < kPlacesMax; p = here._Find_next(p)) behind |= reader.follow[p];
    reach(behind);
  }
  const std::size_t within = beyond_ascii ? kPartsOfOther + kPartsOfNamed * reader.named : 1;
  const std::size_t states = (seen.size() + 1) * within;
  return open.empty() && states <= kFewStatesMax ? std::optional(states) : std::nullopt;
}

}  // namespace weft
