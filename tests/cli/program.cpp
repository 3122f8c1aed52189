#include "tests/cli/program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace weft::cli {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);

struct Pipe {
  Pipe() { REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0); }
  std::array<int, 2> ends{};
};

[[noreturn]] void become(const std::string& program, const std::string& folder,
                         const std::vector<std::string>& arguments, const std::map<std::string, std::string>& variables,
                         int in, int out, int err) {
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (::chdir(folder.c_str()) != 0) ::_exit(126);
  std::vector<std::string> texts{program};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  std::map<std::string, std::string> all{
      {"PATH", "/usr/bin:/bin"}, {"LC_ALL", "C.UTF-8"}, {"TZ", "UTC"}, {"HOME", folder}};
  for (const auto& [name, value] : variables) all[name] = value;
  std::vector<std::string> environment;
  for (const auto& [name, value] : all) environment.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (auto& text : environment) envp.push_back(text.data());
  envp.push_back(nullptr);
  ::execve(argv.front(), argv.data(), envp.data());
  ::_exit(127);
}

}  // namespace

Program::Program(const std::string& folder, const std::vector<std::string>& arguments,
                 const std::map<std::string, std::string>& variables, const std::string& input,
                 const std::string& program) {
  const Pipe in;
  const Pipe out;
  const Pipe err;
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    become(program.empty() ? WEFT_PROGRAM : program, folder, arguments, variables, in.ends[0], out.ends[1],
           err.ends[1]);
  }
  ::close(in.ends[0]);
  ::close(out.ends[1]);
  ::close(err.ends[1]);
  // Less than a pipe holds, so it is written at once.
  REQUIRE(::write(in.ends[1], input.data(), input.size()) == static_cast<ssize_t>(input.size()));
  ::close(in.ends[1]);
  out_ = out.ends[0];
  err_ = err.ends[0];
}

Program::~Program() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (out_ >= 0) ::close(out_);
  if (err_ >= 0) ::close(err_);
}

bool Program::read_some() {
  std::array<pollfd, 2> fds{{{out_, POLLIN, 0}, {err_, POLLIN, 0}}};
  if (out_ < 0 && err_ < 0) return false;
  if (::poll(fds.data(), fds.size(), 100) <= 0) return true;
  const auto read_one = [](const pollfd& ready, int& descriptor, std::string& into) {
    if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) == 0) return;
    std::array<char, 64 << 10> buffer;
    const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
    if (count > 0) {
      into.append(buffer.data(), static_cast<std::size_t>(count));
    } else {
      ::close(descriptor);
      descriptor = -1;
    }
  };
  read_one(fds[0], out_, outcome_.out);
  read_one(fds[1], err_, outcome_.err);
  return true;
}

std::string Program::wait_for_out(const std::string& part) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (outcome_.out.find(part) == std::string::npos && std::chrono::steady_clock::now() < deadline && read_some()) {
  }
  INFO("stdout: " << outcome_.out << "\nstderr: " << outcome_.err);
  REQUIRE(outcome_.out.find(part) != std::string::npos);
  return outcome_.out;
}

std::string Program::wait_for_err(const std::string& part) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (outcome_.err.find(part) == std::string::npos && std::chrono::steady_clock::now() < deadline && read_some()) {
  }
  INFO("stdout: " << outcome_.out << "\nstderr: " << outcome_.err);
  REQUIRE(outcome_.err.find(part) != std::string::npos);
  return outcome_.err;
}

void Program::signal(int number) { ::kill(pid_, number); }

Outcome Program::wait() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline && read_some()) {
  }
  INFO("stdout: " << outcome_.out << "\nstderr: " << outcome_.err);
  REQUIRE(out_ < 0);
  int status = 0;
  REQUIRE(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  outcome_.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome_;
}

Outcome run_program(const std::string& folder, const std::vector<std::string>& arguments,
                    const std::map<std::string, std::string>& variables, const std::string& input) {
  return Program(folder, arguments, variables, input).wait();
}

Json json_of(const std::string& text) {
  const auto value = parse_untrusted(text);
  INFO(text);
  REQUIRE(value);
  return *value;
}

std::string word(const std::string& line, const std::string& key) {
  const std::size_t begin = line.find(key);
  REQUIRE(begin != std::string::npos);
  const std::size_t value = begin + key.size();
  return line.substr(value, line.find_first_of(" \n", value) - value);
}

std::string get(const std::string& port, const std::string& path) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port)));
  REQUIRE(::connect(socket, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
  REQUIRE(::send(socket, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
  std::string answer;
  pollfd ready{socket, POLLIN, 0};
  std::array<char, 4096> buffer;
  while (::poll(&ready, 1, 30'000) > 0) {
    const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
  ::close(socket);
  INFO(answer);
  REQUIRE(answer.starts_with("HTTP/1.1 "));
  return answer.substr(9, 3) + " " + answer.substr(answer.find("\r\n\r\n") + 4);
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  const std::size_t begin = text.rfind('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

}  // namespace weft::cli
