#include "runtime/cli/log_sink.h"

#include <cstdio>
#include <string>
#include <utility>

#include "base/bytes.h"

namespace weft::cli {

void LogSink::mask(Secrets secrets) {
  const std::lock_guard lock(mutex_);
  secrets_ = std::move(secrets);
}

void LogSink::sink_it_(const spdlog::details::log_msg& message) {
  std::string text(message.payload.data(), message.payload.size());
  if (secrets_) secrets_()->mask_cut(text);
  text = printable(text);
  spdlog::details::log_msg shown = message;
  shown.payload = {text.data(), text.size()};
  spdlog::memory_buf_t line;
  formatter_->format(shown, line);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void LogSink::flush_() { std::fflush(stderr); }

}  // namespace weft::cli
