// Stores that somebody else made or changed: what is opened, what is not, and what a file cannot do to whoever reads
// it.
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "memory/journal/identity.h"
#include "memory/journal/inspection.h"
#include "memory/journal/maintenance.h"
#include "memory/journal/sqlite.h"
#include "memory/journal/sqlite_store.h"
#include "memory/journal/sqlite_tables.h"
#include "tests/conformance/journal_fixture.h"

namespace weft::memory::test {
namespace {

constexpr uid_t kOther = 65'534;  // nobody

Error refusal(const std::string& path) {
  const auto journal = open_sqlite({path});
  return journal ? Error{Code::kUnknown, "it was opened", {}} : journal.error();
}

// As another program would, with all that SQLite allows.
void change(const std::string& path, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  char* fault = nullptr;
  const int code = sqlite3_exec(database, sql, nullptr, nullptr, &fault);
  INFO((fault != nullptr ? fault : ""));
  REQUIRE(code == SQLITE_OK);
  sqlite3_close(database);
}

void make_store(const std::string& path) {
  const auto journal = open_sqlite({path});
  REQUIRE(journal);
  must_append(**journal, first_append("a", claim_all(**journal)));
}

int mode_of(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<int>(status.st_mode & 07777) : -1;
}

}  // namespace

TEST_CASE("a store with a view, trigger, index or table of foreign make is not opened, and costs no time") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  make_store(path);
  const char* sql = nullptr;
  std::string names;
  SECTION("a view with an endless query in a table's place") {
    sql =
        "DROP TABLE labels; CREATE VIEW labels AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i "
        "AS run, i AS position, '' AS name, '' AS value FROM n";
    names = "the view labels";
  }
  SECTION("a trigger") {
    sql = "CREATE TRIGGER rename AFTER INSERT ON runs BEGIN UPDATE runs SET workflow = 'other'; END";
    names = "the trigger rename";
  }
  SECTION("an index over an expression") {
    sql = "CREATE INDEX costly ON runs (hex(zeroblob(100000000)) || id)";
    names = "the index costly";
  }
  SECTION("a table of ours with another definition") {
    sql =
        "DROP TABLE crashes; CREATE TABLE crashes (run INTEGER PRIMARY KEY, seq INTEGER NOT NULL, count INTEGER NOT "
        "NULL "
        "CHECK (length(zeroblob(100000000)) > 0))";
    names = "the table crashes";
  }
  SECTION("one table more") {
    sql = "CREATE TABLE notes (x)";
    names = "the table notes";
  }
  SECTION("one table less") {
    sql = "DROP TABLE crashes";
    names = "CREATE TABLE crashes";
  }
  change(path, sql);
  const auto begun = std::chrono::steady_clock::now();
  for (const Error& error : {refusal(path), open_sqlite_reader(path).error(), Inspection::open(path).error(),
                             backup_sqlite(path, folder / "copy.db").error(), identify_sqlite(path).error()}) {
    CHECK(error.code == Code::kFailedPrecondition);
    INFO(error.message);
    CHECK(error.message.find(names) != std::string::npos);
  }
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(2));
}

TEST_CASE("what ANALYZE makes in a store does not keep it from being opened") {
  const TemporaryFolder folder;
  make_store(folder / "weft.db");
  change(folder / "weft.db", "ANALYZE");
  CHECK(open_sqlite({folder / "weft.db"}));
}

TEST_CASE("a connection runs no view and no trigger, and writes no schema by itself") {
  const TemporaryFolder folder;
  const std::string path = folder / "other.db";
  change(path,
         "CREATE TABLE t (x); CREATE VIEW v AS SELECT x FROM t; CREATE TABLE seen (x); CREATE TRIGGER r AFTER INSERT "
         "ON t BEGIN INSERT INTO seen VALUES (1); END");
  const auto connection = Connection::open(path, Connection::Mode::kWrite).value();
  CHECK_FALSE(connection.integer("SELECT count(*) FROM v"));
  REQUIRE(connection.execute("INSERT INTO t VALUES (1)"));
  CHECK(connection.integer("SELECT count(*) FROM seen").value() == 0);
  (void)connection.execute("PRAGMA writable_schema=ON");
  CHECK_FALSE(connection.execute("UPDATE sqlite_schema SET sql = 'CREATE TABLE t (y)' WHERE name = 't'"));
}

TEST_CASE("a statement over its steps ends, and the next ones go on when the limit is over") {
  const TemporaryFolder folder;
  change(folder / "x.db", "CREATE TABLE t (x)");
  const auto connection = Connection::open(folder / "x.db", Connection::Mode::kRead).value();
  constexpr const char* kEndless =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
  {
    const StepLimit limit(connection, 100'000);
    const auto ended = connection.integer(kEndless);
    REQUIRE_FALSE(ended);
    CHECK(ended.error().code == Code::kFailedPrecondition);
  }
  CHECK(connection.integer("SELECT count(*) FROM t").value() == 0);
}

TEST_CASE("a store whose format no weft wrote is refused") {
  const TemporaryFolder folder;
  make_store(folder / "weft.db");
  change(folder / "weft.db", "PRAGMA user_version = -5");
  CHECK(refusal(folder / "weft.db").message.find("has store format -5") != std::string::npos);
  CHECK(open_sqlite_reader(folder / "weft.db").error().code == Code::kFailedPrecondition);
}

TEST_CASE("no lock is made beside a file that is no store") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  SECTION("a text") { std::ofstream(path) << std::string(5'000, 'x'); }
  SECTION("a few bytes") { std::ofstream(path) << "x"; }
  SECTION("another program's database") { change(path, "CREATE TABLE t (x)"); }
  SECTION("one that says whose it is") { change(path, "PRAGMA application_id = 7; CREATE TABLE t (x)"); }
  CHECK(refusal(path).code == Code::kFailedPrecondition);
  CHECK_FALSE(std::filesystem::exists(path + ".lock"));
  CHECK_FALSE(std::filesystem::exists(path + "-wal"));
}

TEST_CASE("a store that a crash left without its first checkpoint is one all the same") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  std::ofstream(path).flush();
  {
    const auto connection = Connection::open(path, Connection::Mode::kWrite).value();
    REQUIRE(connection.execute("PRAGMA journal_mode=WAL"));
    std::filesystem::copy_file(path, folder / "bare.db");
    REQUIRE(create_tables(connection));
    // All that says whose it is stands in the WAL.
    std::filesystem::copy_file(path, folder / "killed.db");
    std::filesystem::copy_file(path + "-wal", folder / "killed.db-wal");
  }
  CHECK(open_sqlite({folder / "bare.db"}));
  CHECK(open_sqlite({folder / "killed.db"}));
}

TEST_CASE("a store, or a file of it, that belongs to another user is refused, for root too") {
  if (::geteuid() != 0) return;  // Only root can give a file away.
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "s");
  const std::string path = folder / "s/weft.db";
  make_store(path);
  std::string foreign;
  SECTION("the store") { foreign = path; }
  SECTION("its folder") { foreign = folder / "s"; }
  SECTION("its WAL") { foreign = path + "-wal"; }
  SECTION("its shared memory") { foreign = path + "-shm"; }
  SECTION("its lock") { foreign = path + ".lock"; }
  SECTION("a rollback journal beside it") {
    foreign = path + "-journal";
    std::ofstream(foreign) << "x";
  }
  REQUIRE(::chown(foreign.c_str(), kOther, static_cast<gid_t>(-1)) == 0);
  for (const Error& error : {refusal(path), open_sqlite_reader(path).error(), Inspection::open(path).error(),
                             identify_sqlite(path).error()}) {
    CHECK(error.code == Code::kPermissionDenied);
    INFO(error.message);
    CHECK(error.message.find(foreign + " belongs to nobody") != std::string::npos);
  }
}

TEST_CASE("no store is made in a folder that others may write") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "open");
  REQUIRE(::chmod((folder / "open").c_str(), 0777) == 0);
  CHECK(refusal(folder / "open/weft.db").code == Code::kPermissionDenied);
  CHECK_FALSE(std::filesystem::exists(folder / "open/weft.db"));
}

TEST_CASE(
    "a store that others may read is closed to them when an engine opens it; a folder is where it is weft's own") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "a/.weft");
  for (const std::string name : {"a/.weft/weft.db", "a/weft.db"}) {
    const std::string path = folder / name;
    make_store(path);
    for (const char* companion : {"", "-wal", "-shm", ".lock"}) REQUIRE(::chmod((path + companion).c_str(), 0644) == 0);
  }
  REQUIRE(::chmod((folder / "a").c_str(), 0755) == 0);
  REQUIRE(::chmod((folder / "a/.weft").c_str(), 0755) == 0);
  for (const std::string name : {"a/.weft/weft.db", "a/weft.db"}) {
    const std::string path = folder / name;
    REQUIRE(open_sqlite({path}));
    for (const char* companion : {"", "-wal", "-shm", ".lock"}) CHECK(mode_of(path + companion) == 0600);
  }
  CHECK(mode_of(folder / "a/.weft") == 0700);
  CHECK(mode_of(folder / "a") == 0755);
}

TEST_CASE("a store keeps the identity that it was made with; a copy has the id and another inode") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  make_store(path);
  const IdentifiedStore made = identify_sqlite(path).value();
  CHECK(made.identity.id != 0);
  CHECK(made.work.runs == 1);
  CHECK(made.work.runs_unfinished == 1);
  REQUIRE(open_sqlite({path}));
  CHECK(identify_sqlite(path).value().identity == made.identity);
  std::filesystem::create_symlink(path, folder / "link.db");
  CHECK(identify_sqlite(folder / "link.db").value().identity == made.identity);

  REQUIRE(backup_sqlite(path, folder / "copy.db"));
  const StoreIdentity copy = identify_sqlite(folder / "copy.db").value().identity;
  CHECK(copy.id == made.identity.id);
  CHECK(copy.inode != made.identity.inode);
  make_store(folder / "other.db");
  CHECK(identify_sqlite(folder / "other.db").value().identity.id != made.identity.id);

  // What was written in the place of a file is not that file, though its number may be the same.
  std::filesystem::copy_file(folder / "copy.db", folder / "next.db");
  std::filesystem::rename(folder / "next.db", path);
  CHECK_FALSE(identify_sqlite(path).value().identity == made.identity);
}

TEST_CASE(
    "a store of an earlier format has no identity before an engine opens it; an empty file is a store with nothing") {
  const TemporaryFolder folder;
  std::filesystem::copy_file(std::string(WEFT_SOURCE_DIR) + "/tests/memory/stores/format-3.db", folder / "weft.db");
  std::filesystem::permissions(folder / "weft.db", std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  CHECK(identify_sqlite(folder / "weft.db").value().identity.id == 0);
  CHECK(identify_sqlite(folder / "weft.db").value().work.runs_unfinished == 1);
  REQUIRE(open_sqlite({folder / "weft.db"}));
  CHECK(identify_sqlite(folder / "weft.db").value().identity.id != 0);
  std::ofstream(folder / "empty.db").flush();
  const IdentifiedStore empty = identify_sqlite(folder / "empty.db").value();
  CHECK(empty.identity.id == 0);
  CHECK(empty.work.runs == 0);
}

}  // namespace weft::memory::test
