// The real program, started as people start it: in a folder, with arguments and an environment of its own.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft::cli {

struct Outcome {
  int exit = -1;  // 128 + N where signal N ended it.
  std::string out;
  std::string err;
};

// A program that still runs. Killed when this goes.
class Program {
 public:
  // `program`: another than the product's.
  Program(const std::string& folder, const std::vector<std::string>& arguments,
          const std::map<std::string, std::string>& variables = {}, const std::string& input = "",
          const std::string& program = "");
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // What it has written on stdout or stderr, once `part` is in it; fails the test after kPatience.
  std::string wait_for_out(const std::string& part);
  std::string wait_for_err(const std::string& part);
  void signal(int number);
  Outcome wait();  // Until it ends; fails the test after kPatience.
  pid_t pid() const { return pid_; }

 private:
  bool read_some();  // False where both streams have ended.

  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  Outcome outcome_;
};

Outcome run_program(const std::string& folder, const std::vector<std::string>& arguments,
                    const std::map<std::string, std::string>& variables = {}, const std::string& input = "");

// A server at ports of its own choice; its line on stdout tells them.
inline const std::vector<std::string> kServe{"serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"};

// What a program printed, as JSON; fails the test where it is none.
Json json_of(const std::string& text);

// What follows `key` in a line, up to the next space; fails the test where `key` is not in it.
std::string word(const std::string& line, const std::string& key);

// The status with which a server on this port answers a GET, and what it says; fails the test where none comes.
std::string get(const std::string& port, const std::string& path);

// The last line of a text.
std::string last_line(const std::string& text);

}  // namespace weft::cli
