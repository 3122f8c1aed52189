// What lies in wait under a root, or leads out of it.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <thread>

#include "tests/tools/file_fixture.h"

namespace weft::tools::test {
namespace {

// Every call is to answer within this.
constexpr std::chrono::seconds kAnswerMax{2};

class Stopwatch {
 public:
  bool in_time() const { return std::chrono::steady_clock::now() - start_ < kAnswerMax; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

TEST_CASE("nothing outside the root is read, listed, searched or written, by whatever path") {
  const Files files;
  std::ofstream(files.outside() / "secret.txt") << "secret\n";
  std::filesystem::create_directory(files.outside() / "root-beside");
  files.write("folder/x.txt", "x\n");
  files.link("../secret.txt", "up");
  files.link((files.outside() / "secret.txt").string(), "absolute");
  files.link((files.root() / "folder/x.txt").string(), "absolute-within");
  files.link("..", "folder-up");
  files.link("/proc/self/root", "magic");
  const std::string secret = (files.outside() / "secret.txt").string();
  for (const std::string& path :
       std::vector<std::string>{"../secret.txt", "folder/../../secret.txt", secret, "up", "absolute", "absolute-within",
                                "folder-up/secret.txt", "magic" + secret, "/", "..", "../root-beside",
                                "/proc/self/environ", "folder/../.."}) {
    CAPTURE(path);
    CHECK(files.refusal("fs.read", {{"path", path}}).find("leads out of the root") != std::string::npos);
    CHECK(files.refusal("fs.list", {{"path", path}}).find("leads out of the root") != std::string::npos);
    CHECK(files.refusal("fs.search", {{"path", path}, {"pattern", "."}}).find("leads out") != std::string::npos);
    CHECK(files.refusal("fs.append", {{"path", path}, {"line", "x"}}).find("leads out") != std::string::npos);
  }
  const Json found = files.result("fs.search", {{"pattern", "secret|x"}});
  CHECK(found["matches"].size() == 1);
  CHECK(files.result("fs.read", {{"path", "folder/../folder/x.txt"}})["text"] == "x\n");
  std::ifstream outside(files.outside() / "secret.txt");
  CHECK(std::string(std::istreambuf_iterator<char>(outside), {}) == "secret\n");
}

TEST_CASE("a folder that is swapped for a link meanwhile leads nowhere") {
  const Files files;
  std::filesystem::create_directory(files.outside() / "out");
  std::ofstream(files.outside() / "out/x.txt") << "secret";
  files.write("inner/x.txt", "inside");
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    const auto inner = files.root() / "inner";
    const auto kept = files.root() / "kept";
    while (!done) {
      std::error_code ignored;
      std::filesystem::rename(inner, kept, ignored);
      std::filesystem::create_directory_symlink(files.outside() / "out", inner, ignored);
      std::filesystem::remove(inner, ignored);
      std::filesystem::rename(kept, inner, ignored);
    }
  });
  int inside = 0;
  int secrets = 0;
  for (int i = 0; i < 3'000; ++i) {
    const ToolReply reply = files.call("fs.read", {{"path", "inner/x.txt"}});
    inside += reply.output.find("inside") != std::string::npos ? 1 : 0;
    secrets += reply.output.find("secret") != std::string::npos ? 1 : 0;
  }
  done = true;
  swapper.join();
  CHECK(secrets == 0);
  CHECK(inside > 0);
}

TEST_CASE("the repository's folder and the store are neither shown nor read nor written, also through links") {
  const Files files;
  files.write(".git/config", "needle\n");
  files.write(".weft/weft.db", "needle\n");
  files.write("sub/.git/hooks/post-checkout", "needle\n");
  files.write(".github/x.yml", "needle\n");
  files.write("plain/x.txt", "");
  files.link("../.git", "plain/link");
  files.link("../.git/config", "plain/config");
  const Json listing = files.result("fs.list", {{"depth", 8}});
  std::vector<std::string> names;
  for (const Json& entry : listing["entries"]) names.push_back(entry["name"]);
  CHECK(names == std::vector<std::string>{".github", "plain", "sub", ".github/x.yml", "plain/config", "plain/link",
                                          "plain/x.txt"});
  CHECK(files.result("fs.search", {{"pattern", "needle"}})["matches"].size() == 1);
  for (const char* path : {".git/config", ".weft/weft.db", "sub/.git/hooks/post-checkout", "plain/config",
                           "plain/link/config", "plain/../.git/config", ".git/new-hook", "plain/link/new-hook"}) {
    CAPTURE(path);
    CHECK(files.call("fs.read", {{"path", path}}).status == ToolStatus::kFailed);
    CHECK(files.call("fs.append", {{"path", path}, {"line", "x"}}).status == ToolStatus::kFailed);
    CHECK(files.call("fs.search", {{"path", path}, {"pattern", "."}}).status == ToolStatus::kFailed);
  }
  CHECK(files.refusal("fs.list", {{"path", "plain/link"}}) ==
        "'plain/link' lies in .git or .weft, or is a weft.yaml, which these tools leave alone");
  CHECK(files.content(".git/config") == "needle\n");
  CHECK_FALSE(std::filesystem::exists(files.root() / ".git/new-hook"));
}

TEST_CASE("FIFOs, sockets and devices are refused at once") {
  const Files files;
  REQUIRE(::mkfifo((files.root() / "pipe").c_str(), 0600) == 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (files.root() / "socket").c_str(), sizeof address.sun_path - 1);
  REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  files.link("/dev/zero", "zero");
  files.link("/dev/stdin", "stdin");
  const Stopwatch watch;
  CHECK(files.refusal("fs.read", {{"path", "pipe"}}) == "'pipe' is not a regular file");
  CHECK(files.refusal("fs.read", {{"path", "socket"}}) == "'socket' is not a regular file");
  CHECK(files.refusal("fs.read", {{"path", "zero"}}).find("leads out of the root") != std::string::npos);
  CHECK(files.refusal("fs.read", {{"path", "stdin"}}).find("leads out of the root") != std::string::npos);
  CHECK(files.refusal("fs.append", {{"path", "zero"}, {"line", "x"}}).find("leads out") != std::string::npos);
  CHECK(files.result("fs.search", {{"pattern", "."}})["files_searched"] == 0);
  CHECK(files.result("fs.list", Json::object())["entries"].size() == 4);
  CHECK(watch.in_time());
  ::close(socket);
}

TEST_CASE("a device under the root itself is refused") {
  const Files files;
  if (::mknod((files.root() / "zero").c_str(), S_IFCHR | 0600, makedev(1, 5)) != 0) return;  // Needs privileges.
  CHECK(files.refusal("fs.read", {{"path", "zero"}}) == "'zero' is not a regular file");
  CHECK(files.refusal("fs.append", {{"path", "zero"}, {"line", "x"}}) == "'zero' is not a regular file");
}

TEST_CASE("a sparse file of 5 GB is refused or skipped at once") {
  const Files files;
  files.write("sparse", "text first\n");
  std::filesystem::resize_file(files.root() / "sparse", std::uintmax_t{5} << 30);
  const Stopwatch watch;
  CHECK(files.refusal("fs.read", {{"path", "sparse"}}).find("is not text") != std::string::npos);
  const Json found = files.result("fs.search", {{"pattern", "text"}});
  CHECK(found["matches"].empty());
  CHECK(found["files_skipped"] == 1);
  CHECK(files.result("fs.list", Json::object())["entries"][0]["size"] == std::int64_t{5} << 30);
  CHECK(watch.in_time());
}

TEST_CASE("a large text is read in time and says that it is cut") {
  const Files files;
  {
    std::ofstream file(files.root() / "large.txt");
    const std::string piece(1 << 20, 'x');
    for (int i = 0; i < 100; ++i) file << piece;
  }
  const Stopwatch watch;
  const Json read = files.result("fs.read", {{"path", "large.txt"}});
  CHECK(read["truncated"]);
  CHECK(read["text"].get<std::string>().size() == FileLimits{}.read_bytes_max);
  CHECK_FALSE(read.contains("lines_total"));
  CHECK(files.result("fs.read", {{"path", "large.txt"}, {"from_line", 2}})["truncated"]);
  CHECK(watch.in_time());
}

TEST_CASE("links that lead round in a circle are refused, and walks do not follow them") {
  const Files files;
  files.link("b", "a");
  files.link("a", "b");
  files.link(".", "self");
  files.write("x.txt", "needle\n");
  const Stopwatch watch;
  CHECK(files.refusal("fs.read", {{"path", "a"}}) == "'a' is a link that leads round in a circle");
  CHECK(files.refusal("fs.append", {{"path", "a"}, {"line", "x"}}) == "'a' is a link that leads round in a circle");
  CHECK(files.result("fs.search", {{"pattern", "needle"}})["matches"].size() == 1);
  CHECK(files.result("fs.list", {{"depth", 8}})["entries"].size() == 4);
  CHECK(files.result("fs.read", {{"path", "self/self/self/x.txt"}})["text"] == "needle\n");
  CHECK(watch.in_time());
}

TEST_CASE("names that are not UTF-8 or would move a terminal come as valid JSON") {
  const Files files;
  files.write("bad-\xFF\xC0.txt", "x");
  files.write("esc-\x1B[2J.txt", "x");
  files.write("line\nbreak", "x");
  files.write("folder-\xFE/inner.txt", "needle");
  const Json listing = files.result("fs.list", {{"depth", 2}});  // Parsed: what it is not, ends the test.
  CHECK(listing["entries"][0]["name"] == "bad-\\xff\\xc0.txt");
  CHECK(listing["entries"][0]["escaped"] == true);
  CHECK(listing["entries"][1]["name"] == "esc-\x1B[2J.txt");
  CHECK_FALSE(listing["entries"][1].contains("escaped"));
  CHECK(listing["entries"].size() == 5);
  const Json found = files.result("fs.search", {{"pattern", "needle"}});
  CHECK(found["matches"].empty());
  CHECK(found["files_skipped"] == 2);
  CHECK(files.refusal("fs.read", {{"path", "no\x1B[2J"}}) == "there is no 'no\\x1b[2J' under the root");
}

TEST_CASE("paths that no file has are refused in words") {
  const Files files;
  CHECK(files.refusal("fs.read", {{"path", ""}}) == "the path is empty: '.' is the root");
  CHECK(files.refusal("fs.read", {{"path", std::string("a\0b", 3)}}) == "a path cannot hold a NUL character");
  CHECK(files.refusal("fs.read", {{"path", std::string(5'000, 'a')}}) == "a path has at most 4095 bytes");
  CHECK(files.refusal("fs.read", {{"path", std::string(300, 'a')}}).find("File name too long") != std::string::npos);
}

TEST_CASE("100,000 files under the root are listed and searched in time, and what is cut says so") {
  const Files files;
  for (int folder = 0; folder < 10; ++folder) {
    const auto path = files.root() / ("folder-" + std::to_string(folder));
    std::filesystem::create_directory(path);
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY);
    ::close(::openat(descriptor, "0", O_WRONLY | O_CREAT, 0600));
    // Further names of one file: as good as files of their own here, and made much faster.
    for (int i = 1; i < 10'000; ++i) {
      REQUIRE(::linkat(descriptor, "0", descriptor, std::to_string(i).c_str(), 0) == 0);
    }
    ::close(descriptor);
  }
  {
    const Stopwatch watch;
    const Json listing = files.result("fs.list", {{"depth", 8}});
    CHECK(watch.in_time());
    CHECK(listing["truncated"]);
    CHECK(listing["entries"].size() == FileLimits{}.list_entries_max);
    CHECK(listing["entries"][9]["name"] == "folder-9");
  }
  const Stopwatch watch;
  const Json found = files.result("fs.search", {{"pattern", "x"}});
  CHECK(watch.in_time());
  CHECK(found["truncated"]);
  CHECK(found["files_searched"] <= FileLimits{}.search_files_max);
}

TEST_CASE("a pattern that is slow everywhere ends in time") {
  const Files files;
  std::string content;
  for (int i = 0; i < 60'000; ++i) content += "aaaa aaaa aaaaa\n";
  for (int i = 0; i < 20; ++i) files.write("a" + std::to_string(i), content);
  for (const char* pattern : {"(x+x+)+y", "a[^q]*z", "(?s)a.*a.*a.*z", "\\s+\\z", "(a|aa|aaa)*b"}) {
    CAPTURE(pattern);
    const Stopwatch watch;
    CHECK(files.call("fs.search", {{"pattern", pattern}}).status == ToolStatus::kDone);
    CHECK(watch.in_time());
  }
}

}  // namespace weft::tools::test
