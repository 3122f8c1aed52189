// weft's own files, the repository's, and other names for them: neither shown, read, written nor opened.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/tools/file_fixture.h"

namespace weft::tools::test {
namespace {

// Checks that no tool does anything with `path`, and that what is there stays as it is.
void check_out_of_reach(const Files& files, const std::string& path) {
  CAPTURE(path);
  const bool was_file = std::filesystem::is_regular_file(files.root() / path);
  const bool was_there = std::filesystem::exists(files.root() / path);
  const std::string before = was_file ? files.content(path) : std::string();
  CHECK(files.call("fs.read", {{"path", path}}).status == ToolStatus::kFailed);
  CHECK(files.call("fs.search", {{"path", path}, {"pattern", "."}}).status == ToolStatus::kFailed);
  CHECK(files.call("fs.list", {{"path", path}}).status == ToolStatus::kFailed);
  CHECK(files.call("fs.append", {{"path", path}, {"line", "x"}}).status == ToolStatus::kFailed);
  CHECK(std::filesystem::is_regular_file(files.root() / path) == was_file);
  if (was_file) CHECK(files.content(path) == before);
  CHECK(std::filesystem::exists(files.root() / path) == was_there);
}

std::vector<std::string> listed(const Files& files) {
  std::vector<std::string> names;
  const Json listing = files.result("fs.list", {{"depth", 8}});
  for (const Json& entry : listing["entries"]) names.push_back(entry["name"]);
  return names;
}

// Whether another process would be kept from `path` by a lock.
bool is_locked_for_others(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    const int file = ::open(path.c_str(), O_RDWR);
    ::_exit(file >= 0 && ::fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

}  // namespace

TEST_CASE("a configuration, the repository and the store's folder are out of reach in upper case and lower") {
  const Files files;
  for (const char* path : {"weft.yaml", "sub/Weft.YAML", ".GIT/config", ".Weft/weft.db", "sub/.gIT/hooks/x"}) {
    files.write(path, "needle\n");
  }
  files.write("sub/weft.yaml.txt", "needle\n");
  for (const char* path : {"weft.yaml", "sub/Weft.YAML", "sub/weft.yaml", "WEFT.yaml", "new/../weft.yaml",
                           ".GIT/config", ".GIT", ".git/new", ".Weft/weft.db", "sub/.gIT/hooks/x", ".weft"}) {
    check_out_of_reach(files, path);
  }
  CHECK(listed(files) == std::vector<std::string>{"sub", "sub/weft.yaml.txt"});
  CHECK(files.result("fs.search", {{"pattern", "needle"}})["matches"].size() == 1);
  CHECK(files.refusal("fs.append", {{"path", "weft.yaml"}, {"line", "providers: {}"}}) ==
        "'weft.yaml' lies in .git or .weft, or is a weft.yaml, which these tools leave alone");
}

TEST_CASE("the files of a store and of the configuration are out of reach under every name") {
  const Files files({}, {"data/runs.db"}, {"conf/own.yaml", "data/new.yaml"});
  // Made behind the tools: what stands there at the call counts.
  for (const char* path : {"data/runs.db", "data/runs.db-wal", "data/runs.db-shm", "data/runs.db.lock",
                           "data/runs.token", "data/runs.tokens", "data/runs.sock", "conf/own.yaml"}) {
    files.write(path, "needle\n");
  }
  files.write("data/runs.csv", "needle\n");
  files.write("conf/other.yaml", "needle\n");
  files.write("plain/x", "");
  files.link("../data/runs.db", "plain/link");
  files.link("../data", "plain/data");
  files.hard_link("data/runs.db", "plain/hard");
  files.hard_link("data/runs.db-wal", "hard-wal");
  files.hard_link("conf/own.yaml", "plain/own");
  for (const char* path : {"data/runs.db", "data/runs.db-wal", "data/runs.db-shm", "data/runs.db.lock",
                           "data/runs.token", "data/runs.tokens", "data/runs.sock", "conf/own.yaml", "plain/link",
                           "plain/data/runs.db", "plain/hard", "hard-wal", "plain/own", "data/RUNS.DB",
                           "data/runs.db-journal", "data/RUNS.db-backup", "plain/data/Runs.Token", "data/new.yaml"}) {
    check_out_of_reach(files, path);
  }
  CHECK(listed(files) == std::vector<std::string>{"conf", "data", "plain", "conf/other.yaml", "data/runs.csv",
                                                  "plain/data", "plain/link", "plain/x"});
  CHECK(files.result("fs.search", {{"pattern", "needle"}})["matches"].size() == 2);
  CHECK(files.refusal("fs.read", {{"path", "plain/hard"}}) ==
        "'plain/hard' is a file of weft's own (store, configuration, socket or token), which these tools leave alone");
  // Another file takes its place.
  files.write("data/next.db", "needle\n");
  std::filesystem::rename(files.root() / "data/next.db", files.root() / "data/runs.db");
  check_out_of_reach(files, "data/runs.db");
  files.hard_link("data/runs.db", "plain/hard-again");
  check_out_of_reach(files, "plain/hard-again");
}

TEST_CASE("a lock that this process holds on a closed file outlives every attempt to get at it") {
  const Files files({}, {"runs.db"});
  files.write("runs.db", "needle\n");
  files.hard_link("runs.db", "hard");
  files.link("runs.db", "link");
  const std::string path = (files.root() / "runs.db").string();
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  REQUIRE(::fcntl(file, F_SETLK, &lock) == 0);
  REQUIRE(is_locked_for_others(path));
  for (const char* name : {"runs.db", "hard", "link"}) {
    files.call("fs.read", {{"path", name}});
    files.call("fs.append", {{"path", name}, {"line", "x"}});
    files.call("fs.search", {{"path", name}, {"pattern", "needle"}});
    files.call("fs.list", {{"path", name}});
  }
  CHECK(files.result("fs.search", {{"pattern", "needle"}})["matches"].empty());
  files.call("fs.list", {{"depth", 8}});
  CHECK(is_locked_for_others(path));
  ::close(file);
}

TEST_CASE("a file with several names is read where none of them is the repository's, and written nowhere") {
  const Files files;
  files.write("store/package.json", "needle\n");
  files.hard_link("store/package.json", "package.json");
  CHECK(files.result("fs.read", {{"path", "package.json"}})["text"] == "needle\n");
  CHECK(files.result("fs.search", {{"pattern", "needle"}})["matches"].size() == 2);
  CHECK(
      files.refusal("fs.append", {{"path", "package.json"}, {"line", "x"}}) ==
      "'package.json' is one of 2 names of a file (hard links), and what is appended would stand under the others too: "
      "make a copy of it");
  CHECK(files.content("package.json") == "needle\n");

  files.write(".git/config", "[remote] token\n");
  files.write("sub/.git/hooks/pre-push", "#!/bin/sh token\n");
  files.write(".git/objects/ab/cd", "token packed\n");
  files.write(".weft/weft.db", "token\n");
  files.write("weft.yaml", "token: 1\n");
  files.hard_link(".git/config", "notes.txt");
  files.hard_link("sub/.git/hooks/pre-push", "sub/hook.txt");
  files.hard_link(".weft/weft.db", "sub/db.txt");
  files.hard_link("weft.yaml", "sub/conf.txt");
  files.hard_link(".git/objects/ab/cd", "object.txt");
  for (const char* path : {"notes.txt", "sub/hook.txt", "sub/db.txt", "sub/conf.txt"}) {
    CAPTURE(path);
    CHECK_THAT(files.refusal("fs.read", {{"path", path}}), Catch::Contains("is a hard link to a file of "));
    CHECK(files.call("fs.append", {{"path", path}, {"line", "x"}}).status == ToolStatus::kFailed);
  }
  const Json found = files.result("fs.search", {{"pattern", "token"}});
  REQUIRE(found["matches"].size() == 1);
  CHECK(found["matches"][0]["path"] == "object.txt");
}

TEST_CASE("where a hidden folder is too large to be looked through, a file with several names is not read") {
  const Files files;
  files.write("a", "text\n");
  files.hard_link("a", "b");
  const auto folder = files.root() / ".git/refs";
  std::filesystem::create_directories(folder);
  for (std::size_t i = 0; i <= Fence::kHiddenFilesMax; ++i) {
    ::close(::open((folder / std::to_string(i)).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  }
  CHECK_THAT(files.refusal("fs.read", {{"path", "b"}}), Catch::Contains("holds more than 20000 files"));
  files.write("c", "text\n");
  CHECK(files.result("fs.read", {{"path", "c"}})["text"] == "text\n");
}

TEST_CASE("what the kernel makes up is no file, whatever the root is") {
  Toolbox box;
  REQUIRE(add_file_tools(box, "/"));
  const Cancelled cancelled = false;
  for (const char* path : {"proc/self/environ", "proc/self/status", "sys/kernel/profiling"}) {
    CAPTURE(path);
    const ToolReply reply = box.find("fs.read")->run({"fs.read", to_text(Json{{"path", path}}), "key"}, cancelled);
    CHECK(reply.status == ToolStatus::kFailed);
    if (std::filesystem::exists(std::string("/") + path)) {
      CHECK_THAT(reply.output, Catch::Contains("a file system of the kernel's"));
    }
  }
}

TEST_CASE("a read and a search whose time is over give what they have and say that it is not all") {
  FileLimits limits;
  limits.time_max = Duration(0);
  const Files files(limits);
  files.write("large.txt", "first\n" + std::string(1 << 20, 'x') + "\nlast\n");
  const Json read = files.result("fs.read", {{"path", "large.txt"}});
  CHECK(read["truncated"]);
  CHECK(read["text"] == "");
  CHECK_FALSE(read.contains("lines_total"));  // It has not seen the end.
  const Json found = files.result("fs.search", {{"pattern", "first|last"}});
  CHECK(found["truncated"]);
  CHECK(found["matches"].empty());
  CHECK(files.result("fs.search", {{"pattern", "first"}, {"path", "large.txt"}})["matches"].empty());
  const Cancelled cancelled = true;
  CHECK(files.call("fs.read", {{"path", "large.txt"}}, cancelled).output == "the call was cancelled");
  CHECK(files.call("fs.search", {{"pattern", "first"}}, cancelled).output == "the call was cancelled");
}

TEST_CASE("a call that is over stops between the names of a folder, and one that waits for another's end is told") {
  FileLimits limits;
  limits.time_max = Duration(0);
  const Files files(limits);
  for (int i = 0; i < 3'000; ++i) files.write("f" + std::to_string(i), "");
  const Json listing = files.result("fs.list", Json::object());
  CHECK(listing["truncated"]);
  CHECK(listing["entries"].empty());
  const Cancelled cancelled = true;
  CHECK(files.call("fs.list", Json::object(), cancelled).output == "the call was cancelled");
}

}  // namespace weft::tools::test
