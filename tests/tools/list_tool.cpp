#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/tools/file_fixture.h"

namespace weft::tools::test {
namespace {

using Names = std::vector<std::string>;

Names names(const Json& listing) {
  Names all;
  for (const Json& entry : listing["entries"]) all.push_back(entry["name"]);
  return all;
}

}  // namespace

TEST_CASE("a folder is listed by the bytes of its names, with kinds and sizes") {
  const Files files;
  files.write("b.txt", "12345");
  files.write("B.txt", "");
  files.write("a/inner.txt", "x");
  files.link("b.txt", "link");
  REQUIRE(::mkfifo((files.root() / "pipe").c_str(), 0600) == 0);
  CHECK(to_text(files.result("fs.list", Json::object())) ==
        R"({"path":".","entries":[{"name":"B.txt","kind":"file","size":0},{"name":"a","kind":"folder"},)"
        R"({"name":"b.txt","kind":"file","size":5},{"name":"link","kind":"link"},{"name":"pipe","kind":"other"}],)"
        R"("truncated":false})");
  CHECK(names(files.result("fs.list", {{"path", "a"}})) == Names{"inner.txt"});
  CHECK(names(files.result("fs.list", {{"path", ""}})).size() == 5);
}

TEST_CASE("a listing goes level by level to its depth") {
  const Files files;
  files.write("a/b/c/d.txt", "");
  files.write("a/x.txt", "");
  files.write("z.txt", "");
  CHECK(names(files.result("fs.list", {{"depth", 1}})) == Names{"a", "z.txt"});
  CHECK(names(files.result("fs.list", {{"depth", 2}})) == Names{"a", "z.txt", "a/b", "a/x.txt"});
  CHECK(names(files.result("fs.list", {{"depth", 8}})) ==
        Names{"a", "z.txt", "a/b", "a/x.txt", "a/b/c", "a/b/c/d.txt"});
  CHECK(names(files.result("fs.list", {{"path", "a"}, {"depth", 2}})) == Names{"b", "x.txt", "b/c"});
}

TEST_CASE("a listing that is cut says so and keeps what lies highest") {
  const Files files({.list_entries_max = 3});
  files.write("a/inner.txt", "");
  files.write("b.txt", "");
  CHECK_FALSE(files.result("fs.list", {{"depth", 8}})["truncated"]);
  files.write("c.txt", "");
  const Json cut = files.result("fs.list", {{"depth", 8}});
  CHECK(cut["truncated"]);
  CHECK(names(cut) == Names{"a", "b.txt", "c.txt"});
}

TEST_CASE("links are shown and not entered; a link as the path is followed where it stays beneath") {
  const Files files;
  files.write("a/x.txt", "");
  files.link(".", "a/round");
  files.link("a", "to-a");
  CHECK(names(files.result("fs.list", {{"depth", 8}})) == Names{"a", "to-a", "a/round", "a/x.txt"});
  CHECK(names(files.result("fs.list", {{"path", "to-a"}})) == Names{"round", "x.txt"});
}

TEST_CASE("what is no folder is refused in words") {
  const Files files;
  files.write("a.txt", "");
  CHECK(files.refusal("fs.list", {{"path", "a.txt"}}) == "'a.txt' is not a folder, or lies beneath what is none");
  CHECK(files.refusal("fs.list", {{"path", "none"}}) == "there is no 'none' under the root");
}

}  // namespace weft::tools::test
