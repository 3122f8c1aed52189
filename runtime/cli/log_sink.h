// Log lines on stderr: one line each, whatever stands in them, and without known secrets.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <functional>
#include <memory>
#include <mutex>

#include "base/secret_mask.h"

namespace weft::cli {

// Thread-safe.
class LogSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  using Secrets = std::function<std::shared_ptr<const SecretMask>()>;
  void mask(Secrets secrets);  // From now on.

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override;

  Secrets secrets_;  // Guarded by mutex_.
};

}  // namespace weft::cli
