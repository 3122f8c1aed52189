#include "runtime/model/markup.h"

#include <array>

namespace weft::model {
namespace {

// U+FF5C, U+2016 and the ASCII bar.
constexpr std::array<std::string_view, 3> kBars = {"\xEF\xBD\x9C", "\xE2\x80\x96", "|"};
constexpr int kBarsMax = 4;

// Takes bars from the front of `text`; `ends_inside` where it ends within one.
int take_bars(std::string_view& text, bool& ends_inside) {
  int bars = 0;
  for (bool taken = true; taken && bars < kBarsMax;) {
    taken = false;
    for (const std::string_view bar : kBars) {
      if (text.starts_with(bar)) {
        text.remove_prefix(bar.size());
        ++bars;
        taken = true;
        break;
      }
      if (!text.empty() && bar.starts_with(text)) ends_inside = true;
    }
  }
  return bars;
}

}  // namespace

MarkupWatch::Match MarkupWatch::look(std::string_view text) {
  text.remove_prefix(1);
  if (text.starts_with('/')) text.remove_prefix(1);
  bool ends_inside = false;
  const int before = take_bars(text, ends_inside);
  if (text.empty() || ends_inside) return Match::kMaybe;
  if (before == 0) return Match::kNo;
  constexpr std::string_view kName = "DSML";
  if (kName.starts_with(text)) return Match::kMaybe;
  if (!text.starts_with(kName)) return Match::kNo;
  text.remove_prefix(kName.size());
  const int after = take_bars(text, ends_inside);
  if (after > 0) return Match::kYes;
  return text.empty() || ends_inside ? Match::kMaybe : Match::kNo;
}

}  // namespace weft::model
