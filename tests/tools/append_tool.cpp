#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <map>
#include <thread>

#include "tests/tools/file_fixture.h"

namespace {

std::atomic<int> syncs = 0;
std::atomic<bool> syncs_fail = false;

}  // namespace

// In the place of the C library's, for this whole program.
extern "C" int fdatasync(int descriptor) {
  ++syncs;
  if (!syncs_fail) return static_cast<int>(::syscall(SYS_fdatasync, descriptor));
  errno = EIO;
  return -1;
}

namespace weft::tools::test {

TEST_CASE("a line is said to be added when it is synced, and is in doubt where that fails") {
  const Files files;
  syncs = 0;
  CHECK(files.call("fs.append", {{"path", "log.txt"}, {"line", "x"}}).status == ToolStatus::kDone);
  CHECK(syncs == 1);
  syncs_fail = true;
  const ToolReply reply = files.call("fs.append", {{"path", "log.txt"}, {"line", "y"}});
  syncs_fail = false;
  CHECK(reply.status == ToolStatus::kUnknown);
  CHECK(reply.output == "'log.txt' was written, but whether it is on the disk is not known: Input/output error");
}

TEST_CASE("a line is added to a file, which is made where there is none") {
  const Files files;
  CHECK(to_text(files.result("fs.append", {{"path", "log.txt"}, {"line", "first"}})) ==
        R"({"path":"log.txt","bytes":6})");
  CHECK(files.result("fs.append", {{"path", "log.txt"}, {"line", "zweite ü"}})["bytes"] == 10);
  CHECK(files.result("fs.append", {{"path", "./log.txt"}, {"line", ""}})["bytes"] == 1);
  CHECK(files.content("log.txt") == "first\nzweite ü\n\n");
  struct stat status = {};
  REQUIRE(::stat((files.root() / "log.txt").c_str(), &status) == 0);
  CHECK((status.st_mode & 0133) == 0);
}

TEST_CASE("a last line without an end gets one first") {
  const Files files;
  files.write("log.txt", "no end");
  CHECK(files.result("fs.append", {{"path", "log.txt"}, {"line", "next"}})["bytes"] == 6);
  CHECK(files.content("log.txt") == "no end\nnext\n");
}

TEST_CASE("what cannot be appended is refused, and nothing is written") {
  const Files files({.append_bytes_max = 10});
  files.write("log.txt", "x\n");
  std::filesystem::create_directory(files.root() / "folder");
  REQUIRE(::mkfifo((files.root() / "pipe").c_str(), 0600) == 0);
  const auto refused = [&](const std::string& path, const std::string& line) {
    return files.refusal("fs.append", {{"path", path}, {"line", line}});
  };
  CHECK(refused("log.txt", "a\nb") == "a line cannot hold a newline: append one line a call");
  CHECK(refused("log.txt", "12345678901") == "a line has at most 10 bytes, this one 11");
  CHECK(refused("none/log.txt", "x") == "there is no 'none/' under the root");
  CHECK(refused("folder", "x") == "'folder' is a folder, not a file");
  CHECK(refused("folder/", "x") == "'folder/' is a folder, not a file");
  CHECK(refused("pipe", "x") == "'pipe' is not a regular file");
  CHECK(refused("", "x") == "the path is empty: '.' is the root");
  CHECK(refused("../log.txt", "x") == "'../log.txt' leads out of the root: paths are relative to it and stay in it");
  CHECK(files.content("log.txt") == "x\n");
  CHECK_FALSE(std::filesystem::exists(files.outside() / "log.txt"));
}

TEST_CASE("a link is written through where it stays beneath, and nothing is made where a link leads to nothing") {
  const Files files;
  files.write("log.txt", "x\n");
  files.link("log.txt", "link");
  files.link("none.txt", "dangling");
  files.link((files.outside() / "made.txt").string(), "out");
  CHECK(files.result("fs.append", {{"path", "link"}, {"line", "y"}})["bytes"] == 2);
  CHECK(files.content("log.txt") == "x\ny\n");
  CHECK(files.refusal("fs.append", {{"path", "dangling"}, {"line", "y"}}) ==
        "'dangling' is a link to nothing, or came into being just now");
  CHECK(files.refusal("fs.append", {{"path", "out"}, {"line", "y"}}) ==
        "'out' leads out of the root: paths are relative to it and stay in it");
  CHECK_FALSE(std::filesystem::exists(files.outside() / "made.txt"));
  CHECK_FALSE(std::filesystem::exists(files.root() / "none.txt"));
}

TEST_CASE("calls at once add whole lines, each once, and one of them makes the file") {
  const Files files;
  // Longer than a page, so that a file can be seen with half a line at its end.
  constexpr std::size_t kBytes = 9'001;
  std::vector<std::thread> threads;
  std::atomic<int> failed = 0;
  for (const char letter : {'a', 'b', 'c', 'd'}) {
    threads.emplace_back([&, letter] {
      for (int i = 0; i < 50; ++i) {
        const Json arguments = {{"path", "log.txt"}, {"line", std::string(kBytes - 1, letter)}};
        if (files.call("fs.append", arguments).status != ToolStatus::kDone) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string content = files.content("log.txt");
  CHECK(failed == 0);
  REQUIRE(content.size() == 200 * kBytes);
  std::map<char, int> lines;
  for (std::size_t at = 0; at < content.size(); at += kBytes) {
    REQUIRE(content.find_first_not_of(content[at], at) == at + kBytes - 1);
    REQUIRE(content[at + kBytes - 1] == '\n');
    ++lines[content[at]];
  }
  CHECK(lines == std::map<char, int>{{'a', 50}, {'b', 50}, {'c', 50}, {'d', 50}});
}

TEST_CASE("a write that the system refuses whole is a failure; one that it cuts is in doubt") {
  const Files files;
  files.write("log.txt", "12345\n");
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before = {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto with_size_max = [&](rlim_t bytes, const std::string& line) {
    const rlimit limit = {bytes, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const ToolReply reply = files.call("fs.append", {{"path", "log.txt"}, {"line", line}});
    ::setrlimit(RLIMIT_FSIZE, &before);
    return reply;
  };
  const ToolReply refused = with_size_max(6, "abcdef");
  const ToolReply cut = with_size_max(10, "abcdef");
  std::signal(SIGXFSZ, SIG_DFL);
  CHECK(refused.status == ToolStatus::kFailed);
  CHECK(refused.output == "'log.txt' could not be written: File too large");
  CHECK(cut.status == ToolStatus::kUnknown);
  CHECK(cut.output == "'log.txt' took 4 of 7 bytes");
  CHECK(files.content("log.txt") == "12345\nabcd");
}

}  // namespace weft::tools::test
