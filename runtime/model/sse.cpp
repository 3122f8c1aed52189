#include "runtime/model/sse.h"

namespace weft::model {

bool SseParser::take(std::string_view line) {
  if (line.empty()) return has_data_;
  constexpr std::string_view kField = "data";
  if (!line.starts_with(kField)) return false;
  line.remove_prefix(kField.size());
  if (!line.empty()) {
    if (line.front() != ':') return false;  // Another field, "database: x".
    line.remove_prefix(1);
    if (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  }
  if (has_data_) data_ += '\n';
  has_data_ = true;
  data_ += line;
  return data_ == "[DONE]";
}

}  // namespace weft::model
