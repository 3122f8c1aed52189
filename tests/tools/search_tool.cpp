#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "tests/tools/file_fixture.h"

namespace weft::tools::test {
namespace {

// "path:line:text" of each match.
std::vector<std::string> lines(const Json& found) {
  std::vector<std::string> all;
  for (const Json& match : found["matches"]) {
    all.push_back(match["path"].get<std::string>() + ":" + std::to_string(match["line"].get<int>()) + ":" +
                  match["text"].get<std::string>());
  }
  return all;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("matching lines come by path and line") {
  const Files files;
  files.write("b.txt", "x\nneedle 1\nneedle needle\n");
  files.write("a/z.txt", "needle 2");
  files.write("a.txt", "needle 3\n");
  const Json found = files.result("fs.search", {{"pattern", "needle"}});
  CHECK(lines(found) == Lines{"a/z.txt:1:needle 2", "a.txt:1:needle 3", "b.txt:2:needle 1", "b.txt:3:needle needle"});
  CHECK(found["files_searched"] == 3);
  CHECK(found["files_skipped"] == 0);
  CHECK_FALSE(found["truncated"]);
}

TEST_CASE("a search keeps to one folder or one file") {
  const Files files;
  files.write("a/x.txt", "needle\n");
  files.write("b/x.txt", "needle\n");
  CHECK(lines(files.result("fs.search", {{"pattern", "needle"}, {"path", "a"}})) == Lines{"a/x.txt:1:needle"});
  CHECK(lines(files.result("fs.search", {{"pattern", "needle"}, {"path", "b/"}})) == Lines{"b/x.txt:1:needle"});
  CHECK(lines(files.result("fs.search", {{"pattern", "needle"}, {"path", "b/x.txt"}})) == Lines{"b/x.txt:1:needle"});
  CHECK(files.refusal("fs.search", {{"pattern", "x"}, {"path", "c"}}) == "there is no 'c' under the root");
}

TEST_CASE("a pattern sees one line at a time") {
  const Files files;
  files.write("a.txt", "foo\nbar\n\nfoo bar\r\nend");
  const auto search = [&](const std::string& pattern) {
    return lines(files.result("fs.search", {{"pattern", pattern}}));
  };
  CHECK(search("^foo$") == Lines{"a.txt:1:foo"});
  CHECK(search("foo\\s+bar") == Lines{"a.txt:4:foo bar"});
  CHECK(search("bar$") == Lines{"a.txt:2:bar", "a.txt:4:foo bar"});
  CHECK(search("[^q]bar") == Lines{"a.txt:4:foo bar"});
  CHECK(search("^$") == Lines{"a.txt:3:"});
  CHECK(search("(?i)END") == Lines{"a.txt:5:end"});
  CHECK(search("") == Lines{"a.txt:1:foo", "a.txt:2:bar", "a.txt:3:", "a.txt:4:foo bar", "a.txt:5:end"});
  CHECK(search("d|^b") == Lines{"a.txt:2:bar", "a.txt:5:end"});
}

TEST_CASE("a pattern that is none is refused in words") {
  const Files files;
  CHECK(files.refusal("fs.search", {{"pattern", "(a"}}) == "the pattern `(a` is refused: missing ): (?m)(a");
  CHECK(files.refusal("fs.search", {{"pattern", std::string(5'000, 'a')}}) ==
        "the pattern `" + std::string(60, 'a') + "…` has 5000 bytes; the limit is 4096");
  CHECK(files.refusal("fs.search", {{"pattern", "((a{1000}){1000}){1000}"}}).starts_with("the pattern `((a{1000})"));
}

TEST_CASE("large, binary and foreign files are skipped and counted") {
  const Files files({.search_file_bytes_max = 100});
  files.write("large.txt", "needle" + std::string(100, 'x'));
  files.write("binary", std::string("needle\0", 7));
  files.write("bad-\xFF-name.txt", "needle");
  files.write("fits.txt", "needle" + std::string(94, 'x'));
  files.write("latin.txt", "needle \xE9\n");
  const Json found = files.result("fs.search", {{"pattern", "needle"}});
  CHECK(lines(found) == Lines{"fits.txt:1:needle" + std::string(94, 'x'), "latin.txt:1:needle \uFFFD"});
  CHECK(found["files_searched"] == 2);
  CHECK(found["files_skipped"] == 3);
}

TEST_CASE("what is found beyond a limit is cut and says so") {
  const Files files({.search_matches_max = 2, .search_files_max = 3});
  for (const char* name : {"a", "b", "c"}) files.write(name, "x\n");
  CHECK(files.result("fs.search", {{"pattern", "nothing"}})["truncated"] == false);
  CHECK(lines(files.result("fs.search", {{"pattern", "x"}})) == Lines{"a:1:x", "b:1:x"});
  CHECK(files.result("fs.search", {{"pattern", "x"}})["truncated"] == true);
  files.write("d", "y\n");
  CHECK(files.result("fs.search", {{"pattern", "y"}})["truncated"] == true);
}

TEST_CASE("a search with a slow pattern ends at its time, and its thread is free") {
  const Files files;
  std::string text;
  std::uint64_t random = 1;
  for (int i = 0; i < 1 << 20; ++i) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    text += (random >> 33) % 2 == 0 ? 'a' : 'b';
  }
  files.write("long.txt", text);
  Cancelled cancelled = false;
  const auto begin = std::chrono::steady_clock::now();
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    cancelled = true;
  });
  const ToolReply reply = files.call("fs.search", {{"pattern", "[ab]*a[ab]{900}c|[ab]*b[ab]{900}d"}}, cancelled);
  const auto took = std::chrono::steady_clock::now() - begin;
  later.join();
  CHECK(took < std::chrono::seconds(3));
}

TEST_CASE("a long line is searched to its end") {
  const Files files;
  files.write("a.txt", std::string(300'000, 'x') + "needle" + std::string(300'000, 'x') + "\nsecond needle\n");
  const Json found = files.result("fs.search", {{"pattern", "x+needlex+"}});
  CHECK(found["matches"].size() == 1);
  CHECK(files.result("fs.search", {{"pattern", "needle"}})["matches"].size() == 2);
  CHECK(files.result("fs.search", {{"pattern", "^needle"}})["matches"].empty());
}

TEST_CASE("a long line is shown cut between characters") {
  const Files files;
  files.write("a.txt", "needle" + std::string(493, 'x') + "😀 and more\n");
  CHECK(lines(files.result("fs.search", {{"pattern", "more"}})) ==
        Lines{"a.txt:1:needle" + std::string(493, 'x') + "…"});
}

}  // namespace weft::tools::test
