// Another process, for what only shows between two: made by fork() before this one opens a store, since SQLite's locks
// do not survive a fork.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

namespace weft::memory::test {

// Runs `body` in a child, which may wait for go() and say things.
class Process {
 public:
  struct Ends {
    int in;
    int out;
    void wait_for_go() const {
      char byte = 0;
      (void)!::read(in, &byte, 1);
    }
    void say(const std::string& line) const { (void)!::write(out, (line + "\n").data(), line.size() + 1); }
  };

  explicit Process(const std::function<void(const Ends&)>& body) {
    int down[2];
    int up[2];
    if (::pipe(down) != 0 || ::pipe(up) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(down[1]);
      ::close(up[0]);
      body({down[0], up[1]});
      ::_exit(0);
    }
    ::close(down[0]);
    ::close(up[1]);
    to_child_ = down[1];
    from_child_ = up[0];
  }
  ~Process() {
    kill();
    ::close(to_child_);
    ::close(from_child_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void go() const { (void)!::write(to_child_, "g", 1); }
  // The child's next line; empty when it has ended.
  std::string line() const {
    std::string line;
    char byte = 0;
    while (::read(from_child_, &byte, 1) == 1 && byte != '\n') line += byte;
    return line;
  }
  // At once and for good.
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  // True: it ended by itself and well.
  bool wait() {
    int status = -1;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

 private:
  pid_t pid_ = 0;
  int to_child_ = -1;
  int from_child_ = -1;
};

}  // namespace weft::memory::test
