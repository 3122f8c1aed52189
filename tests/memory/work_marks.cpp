// What an owner was at when it ended, however it ended.
#include "memory/journal/work_marks.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>

#include "memory/journal/maintenance.h"
#include "memory/journal/sqlite_store.h"
#include "process.h"
#include "tests/conformance/journal_fixture.h"

using namespace weft;
using namespace weft::memory;

namespace {

std::vector<std::string> at_work(const std::string& path) {
  auto journal = open_sqlite({.path = path});
  REQUIRE(journal);
  const auto left = (*journal)->maintenance()->left(all_partitions());
  REQUIRE(left);
  auto runs = left->at_work;
  std::ranges::sort(runs);
  return runs;
}

}  // namespace

TEST_CASE("the next owner learns which runs the last one's threads were at when it was killed, and no others") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  const pid_t owner = ::fork();
  if (owner == 0) {
    auto journal = open_sqlite({.path = path});
    WorkMarks& marks = *(*journal)->maintenance()->marks();
    {
      const auto past = marks.mark("01OVER");
    }
    const auto first = marks.mark("01FIRST");
    const auto second = marks.mark("01SECOND");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(owner, &status, 0) == owner);
  REQUIRE(WIFSIGNALED(status));
  CHECK(at_work(path) == std::vector<std::string>{"01FIRST", "01SECOND"});
  // An owner that was at nothing leaves nothing.
  CHECK(at_work(path).empty());
}

TEST_CASE("where more threads are at runs than there are marks, the rest is not noted") {
  const test::TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  {
    auto journal = open_sqlite({.path = path});
    REQUIRE(journal);
    WorkMarks* marks = (*journal)->maintenance()->marks();
    REQUIRE(marks != nullptr);
    std::vector<WorkMarks::Mark> taken;
    for (int i = 0; i < 100; ++i) taken.push_back(marks->mark("01RUN" + std::to_string(i)));
    taken.push_back(marks->mark(std::string(200, 'x')));
  }
  CHECK(at_work(path).empty());
}
