// Opening a store: who owns it, what its files look like, and what is refused.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "memory/journal/sqlite_store.h"
#include "tests/conformance/journal_fixture.h"
#include "tests/memory/process.h"

namespace weft::memory::test {
namespace {

Error refusal(const std::string& path) {
  const auto journal = open_sqlite({path});
  return journal ? Error{Code::kUnknown, "it was opened", {}} : journal.error();
}

int mode_of(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<int>(status.st_mode & 07777) : -1;
}

void execute(const std::string& path, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  REQUIRE(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
}

}  // namespace

TEST_CASE("a new store's folders are its owner's alone, whatever the umask") {
  const TemporaryFolder folder;
  const mode_t mask = GENERATE(0, 0077, 0777);
  const mode_t before = ::umask(mask);
  {
    const auto journal = open_sqlite({folder / "a/b/weft.db"});
    REQUIRE(journal);
    must_append(**journal, first_append("a", claim_all(**journal)));
    CHECK(mode_of(folder / "a") == 0700);
    CHECK(mode_of(folder / "a/b") == 0700);
    for (const char* name : {"weft.db", "weft.db-wal", "weft.db-shm", "weft.db.lock"}) {
      CAPTURE(name);
      CHECK(mode_of(folder / "a/b/" + name) == 0600);
    }
  }
  ::umask(before);
}

TEST_CASE("a second owner is refused with the first one's process, also by another name of the file") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  Process second([&](const Process::Ends& ends) {
    ends.wait_for_go();
    const Error error = refusal(path);
    ends.say(std::string(code_name(error.code)) + " " + error.message);
  });
  {
    const auto first = open_sqlite({path});
    REQUIRE(first);
    const std::string sentence = path + " is in use by process " + std::to_string(::getpid());
    second.go();
    CHECK(second.line() == "FAILED_PRECONDITION " + sentence);
    CHECK(refusal(path).message == sentence);
    std::filesystem::create_symlink(path, folder / "link.db");
    CHECK(refusal(folder / "link.db").message == sentence);
    CHECK(open_sqlite_reader(path));
  }
  CHECK(open_sqlite({path}));
}

TEST_CASE("a killed owner's lock is gone with it") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  Process owner([&](const Process::Ends& ends) {
    const auto journal = open_sqlite({path});
    ends.say(journal ? "open" : journal.error().message);
    ends.wait_for_go();
  });
  REQUIRE(owner.line() == "open");
  CHECK(refusal(path).message == path + " is in use by process " + std::to_string(owner.pid()));
  owner.kill();
  CHECK(open_sqlite({path}));
}

TEST_CASE("what is not a weft store is refused in one sentence and left as it is") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  SECTION("a folder") {
    std::filesystem::create_directory(path);
    CHECK(refusal(path).message == path + " is not a regular file, so it is no weft store");
  }
  SECTION("a FIFO, without waiting for its writer") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK(refusal(path).message == path + " is not a regular file, so it is no weft store");
    CHECK(open_sqlite_reader(path).error().code == Code::kFailedPrecondition);
  }
  SECTION("a text") {
    std::ofstream(path) << std::string(5'000, 'x');
    CHECK(refusal(path).code == Code::kFailedPrecondition);
    CHECK(refusal(path).message.find("is not a weft store") != std::string::npos);
    CHECK(open_sqlite_reader(path).error().code == Code::kFailedPrecondition);
    CHECK(std::filesystem::file_size(path) == 5'000);
  }
  SECTION("another program's database") {
    execute(path, "CREATE TABLE t (x)");
    CHECK(refusal(path).message == path + " is a database of another program, not a weft store");
    CHECK(open_sqlite_reader(path).error().code == Code::kFailedPrecondition);
    CHECK_FALSE(std::filesystem::exists(path + "-wal"));
  }
  SECTION("a store of a newer format") {
    REQUIRE(open_sqlite({path}));
    execute(path, "PRAGMA user_version = 99");
    CHECK(refusal(path).code == Code::kFailedPrecondition);
    CHECK(refusal(path).message.find("has store format 99, and this weft knows formats up to 5") != std::string::npos);
    CHECK(open_sqlite_reader(path).error().code == Code::kFailedPrecondition);
  }
  SECTION("an empty path") { CHECK(refusal("").code == Code::kInvalidArgument); }
  SECTION("a path below a file") {
    std::ofstream(path) << "x";
    CHECK(refusal(path + "/weft.db").code == Code::kFailedPrecondition);
  }
}

TEST_CASE("an empty file becomes a store; names that SQLite reads otherwise are names of files") {
  const TemporaryFolder folder;
  for (const char* name : {"empty.db", "file:weft.db?mode=memory", ":memory:", "100%.db"}) {
    const std::string path = folder / name;
    std::ofstream(path).flush();
    CHECK(open_sqlite_reader(path).error().code == Code::kNotFound);
    {
      const auto journal = open_sqlite({path});
      REQUIRE(journal);
      CHECK(append_now(**journal, first_append("a", claim_all(**journal))));
    }
    const auto reader = open_sqlite_reader(path);
    REQUIRE(reader);
    CHECK((*reader)->run("a"));
    CHECK(std::filesystem::file_size(path) > 0);
  }
}

}  // namespace weft::memory::test
