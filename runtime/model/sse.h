// Server-sent events: bytes in any pieces in, the data of whole events out.
// Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace weft::model {

class SseParser {
 public:
  explicit SseParser(std::size_t line_bytes_max) : limit_(line_bytes_max) {}

  // Calls `on_data(std::string_view)` with the data of each event that is complete; it returns false to stop. Event
  // names, ids and comments are dropped; so is what an unterminated last line holds. False where a line, or the lines
  // of one event together, are over the limit, or where on_data said so. Lines end with CR LF, LF or CR.
  // `[DONE]` is handed over with the end of its line, since not every server ends it with an empty one.
  template <class OnData>
  bool feed(std::string_view bytes, OnData&& on_data) {
    while (!bytes.empty()) {
      if (skip_newline_ && bytes.front() == '\n') {
        skip_newline_ = false;
        bytes.remove_prefix(1);
        continue;
      }
      skip_newline_ = false;
      const std::size_t end = line_end(bytes);
      const std::string_view part = bytes.substr(0, end);
      if (line_.size() + part.size() > limit_) return false;
      if (end == std::string_view::npos) {
        line_ += part;
        return true;
      }
      skip_newline_ = bytes[end] == '\r';
      bytes.remove_prefix(end + 1);
      bool whole = false;
      if (line_.empty()) {
        whole = take(part);
      } else {
        line_ += part;
        whole = take(line_);
        line_.clear();
      }
      if (data_.size() > limit_) return false;
      if (whole) {
        const bool go_on = on_data(std::string_view(data_));
        data_.clear();
        has_data_ = false;
        if (!go_on) return false;
      }
    }
    return true;
  }

 private:
  // Two searches that the library does by machine words, and not one that it does byte by byte.
  static std::size_t line_end(std::string_view bytes) {
    const std::size_t lf = bytes.find('\n');
    return std::min(lf, bytes.substr(0, lf).find('\r'));
  }

  // True where the line ends an event that has data.
  bool take(std::string_view line);

  std::size_t limit_;
  bool skip_newline_ = false;  // After a CR, whose LF may come with the next piece.
  bool has_data_ = false;
  std::string line_;
  std::string data_;
};

}  // namespace weft::model
