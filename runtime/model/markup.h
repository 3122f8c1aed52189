// Watches streamed text for DeepSeek's own markup of tool calls ("<｜DSML｜invoke …"), which at times comes as text
// instead of as calls: nobody may see it as an answer, and nothing may be run from it.
#pragma once

#include <string>
#include <string_view>

namespace weft::model {

class MarkupWatch {
 public:
  // Hands on what cannot be the beginning of the markup; the rest is held until it is decided. Markers are recognised
  // across pieces and with the bars that were seen in their place (| and ‖, single or double). After the first one
  // nothing is handed on.
  template <class Show>
  void push(std::string_view text, Show&& show) {
    if (found_) return;
    if (held_.empty() && !text.contains('<')) return show(text);
    held_ += text;
    std::string_view rest = held_;
    while (!rest.empty()) {
      const std::size_t start = rest.find('<');
      if (start != 0) show(rest.substr(0, start));
      rest = start == std::string_view::npos ? std::string_view() : rest.substr(start);
      if (rest.empty()) break;
      const Match match = look(rest);
      if (match == Match::kNo) {
        show(rest.substr(0, 1));
        rest.remove_prefix(1);
        continue;
      }
      found_ = match == Match::kYes;
      break;
    }
    held_ = found_ ? std::string() : std::string(rest);
  }
  // At the end: what was held for nothing.
  template <class Show>
  void flush(Show&& show) {
    if (!held_.empty()) show(std::string_view(held_));
    held_.clear();
  }
  bool found() const { return found_; }

 private:
  enum class Match { kNo, kMaybe, kYes };
  static Match look(std::string_view text);  // `text` begins with '<'.

  std::string held_;  // At most one marker long.
  bool found_ = false;
};

}  // namespace weft::model
