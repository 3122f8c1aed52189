#include "runtime/cli/signals.h"

#include <pthread.h>

#include <csignal>

namespace weft::cli {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

Signals::Signals(std::function<void(int)> on_signal) : on_signal_(std::move(on_signal)) {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] {
    const sigset_t waited = stop_signals();
    for (int count = 1;; ++count) {
      int signal = 0;
      sigwait(&waited, &signal);
      if (ending_) return;
      on_signal_(count);
    }
  });
}

Signals::~Signals() {
  ending_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

}  // namespace weft::cli
