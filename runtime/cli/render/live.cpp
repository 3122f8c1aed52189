#include "runtime/cli/render/live.h"

#include <algorithm>

#include "runtime/cli/render/event_line.h"

namespace weft::cli {
namespace {

constexpr std::size_t kTailBytesMax = 400;

// From the end, so that the newest words are seen.
std::string last_columns(const std::string& text, std::size_t columns) {
  std::size_t begin = text.size() - std::min(text.size(), columns);
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) ++begin;
  return text.substr(begin);
}

}  // namespace

void Live::show(const v1::RunsWatchResponse& message) {
  if (!is_shown()) return;
  if (message.has_event()) {
    const std::string line = event_line(message.event(), terminal_.err_look());
    if (!line.empty()) terminal_.err_line(line);
    if (message.event().path() == path_) tail_.clear();
  } else if (message.has_progress()) {
    if (message.progress().path() != path_) tail_.clear();
    path_ = message.progress().path();
    tail_ += message.progress().reasoning() + message.progress().text();
    if (tail_.size() > kTailBytesMax) tail_ = last_columns(tail_, kTailBytesMax);
    const std::size_t width = terminal_.err_look().width;
    const std::size_t room = width > path_.size() + 4 ? width - path_.size() - 4 : 0;
    terminal_.transient(path_ + "  " + last_columns(tail_, room));
  }
}

}  // namespace weft::cli
