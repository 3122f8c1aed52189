#include <catch2/catch.hpp>

#include "tests/tools/file_fixture.h"

namespace weft::tools::test {

TEST_CASE("a file is read whole, byte for byte") {
  const Files files;
  files.write("a.txt", "one\r\ntwo\n\nvier: ü€😀");
  CHECK(
      to_text(files.result("fs.read", {{"path", "a.txt"}})) ==
      R"({"path":"a.txt","from_line":1,"to_line":4,"lines_total":4,"text":"one\r\ntwo\n\nvier: ü€😀","truncated":false})");
}

TEST_CASE("an empty file has no lines") {
  const Files files;
  files.write("a.txt", "");
  CHECK(to_text(files.result("fs.read", {{"path", "a.txt"}})) ==
        R"({"path":"a.txt","from_line":1,"to_line":0,"lines_total":0,"text":"","truncated":false})");
}

TEST_CASE("lines are read from one on, as many as asked for") {
  const Files files;
  files.write("a.txt", "1\n2\n3\n4\n5\n");
  const auto read = [&](int from, int lines) {
    return files.result("fs.read", {{"path", "a.txt"}, {"from_line", from}, {"lines", lines}});
  };
  CHECK(read(2, 3)["text"] == "2\n3\n4\n");
  CHECK(read(2, 3)["to_line"] == 4);
  CHECK(read(2, 3)["lines_total"] == 5);
  CHECK_FALSE(read(2, 3)["truncated"]);
  CHECK(read(5, 10)["text"] == "5\n");
  CHECK(read(6, 10)["text"] == "");
  CHECK(read(6, 10)["to_line"] == 5);
  CHECK(files.result("fs.read", {{"path", "a.txt"}, {"from_line", 4}})["text"] == "4\n5\n");
}

TEST_CASE("what is too long is cut after a whole line, and goes on at the next") {
  const Files files({.read_bytes_max = 10});
  files.write("a.txt", "1234\n678\nabcd\nefg\n");
  const Json first = files.result("fs.read", {{"path", "a.txt"}});
  CHECK(first["text"] == "1234\n678\n");
  CHECK(first["to_line"] == 2);
  CHECK(first["truncated"]);
  CHECK(first["lines_total"] == 4);
  const Json second = files.result("fs.read", {{"path", "a.txt"}, {"from_line", 3}});
  CHECK(second["text"] == "abcd\nefg\n");
  CHECK_FALSE(second["truncated"]);
}

TEST_CASE("a line that is too long is cut between characters") {
  const Files files({.read_bytes_max = 10});
  files.write("a.txt", "1234567😀89\nx\n");
  const Json cut = files.result("fs.read", {{"path", "a.txt"}});
  CHECK(cut["text"] == "1234567");
  CHECK(cut["to_line"] == 1);
  CHECK(cut["truncated"]);
}

TEST_CASE("lines that fall across the pieces in which a file is read stay whole") {
  const Files files({.read_bytes_max = 1 << 20});
  std::string content;
  for (int i = 1; i <= 30'000; ++i) content += "line " + std::to_string(i) + "\n";
  files.write("a.txt", content);
  CHECK(files.result("fs.read", {{"path", "a.txt"}})["text"] == content);
  CHECK(files.result("fs.read", {{"path", "a.txt"}, {"from_line", 29'999}})["text"] == "line 29999\nline 30000\n");
}

TEST_CASE("bytes that are not UTF-8 are replaced and counted") {
  const Files files;
  files.write("latin.txt", "caf\xE9 \xC3\xA9 \xF0\x9F\x98\n\xED\xA0\x80");
  const Json read = files.result("fs.read", {{"path", "latin.txt"}});
  CHECK(read["text"] == "caf\uFFFD é \uFFFD\uFFFD\uFFFD\n\uFFFD\uFFFD\uFFFD");
  CHECK(read["bytes_replaced"] == 7);
}

TEST_CASE("what is not text is refused in words") {
  const Files files;
  files.write("a.bin", std::string("abc\0def", 7));
  CHECK(files.refusal("fs.read", {{"path", "a.bin"}}) == "'a.bin' is not text: byte 4 of its 7 is NUL");
  files.write("d/x", "");
  CHECK(files.refusal("fs.read", {{"path", "d"}}) == "'d' is a folder, not a file");
  CHECK(files.refusal("fs.read", {{"path", "none.txt"}}) == "there is no 'none.txt' under the root");
  CHECK(files.refusal("fs.read", {{"path", "a.bin/x"}}) == "'a.bin/x' is not a folder, or lies beneath what is none");
}

}  // namespace weft::tools::test
