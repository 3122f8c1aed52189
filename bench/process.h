// Another process that is measured: started, awaited until it is ready, asked for its CPU and memory, and ended.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace weft::bench {

// Killed when this object goes, if it has not ended by then; also when this process ends.
class Process {
 public:
  // `environment`: settings beside this process's own, "NAME=VALUE". Its stdout is read by await(); its stderr is ours.
  static Result<Process> start(const std::vector<std::string>& command,
                               const std::vector<std::string>& environment = {});
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  // What follows `prefix` on the first line that begins with it. UNAVAILABLE where none comes within `patience`.
  Result<std::string> await(const std::string& prefix, std::chrono::seconds patience);
  void signal(int number) const;
  void stop();  // SIGTERM, then waits for its end; SIGKILL after ten seconds.
  pid_t pid() const { return pid_; }

  double cpu_seconds() const;       // User and system, all threads.
  double resident_mb() const;       // Now, in MiB.
  double resident_peak_mb() const;  // Since reset_peak(), where the kernel lets us; otherwise since its start.
  void reset_peak() const;
  double written_bytes() const;  // Handed to the block layer.

 private:
  Process(pid_t pid, int out) : pid_(pid), out_(out) {}
  pid_t pid_ = -1;  // -1: nothing to end.
  int out_ = -1;
  std::string read_;  // Of its stdout, not yet a whole line.
};

double own_cpu_seconds();

}  // namespace weft::bench
