// A store beneath the root of the file tools: what they try takes no lock of SQLite's away.
#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "memory/journal/sqlite_store.h"
#include "tests/conformance/journal_fixture.h"
#include "tests/memory/process.h"
#include "tools/files.h"

namespace weft::memory::test {
namespace {

// SQLite has no lock on the WAL's own file, so it may be opened and closed here.
bool holds(const std::string& path, std::string_view text) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  return bytes.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("another process that opens and closes a store in use removes no WAL, whatever the file tools tried before") {
  const TemporaryFolder folder;
  const std::string path = folder / "runs.db";
  // As `sqlite3 runs.db 'select …'`: the last connection that closes takes the WAL in and removes it.
  Process other([&](const Process::Ends& ends) {
    ends.wait_for_go();
    sqlite3* database = nullptr;
    const bool opened = ::sqlite3_open(path.c_str(), &database) == SQLITE_OK;
    const bool read = ::sqlite3_exec(database, "select count(*) from runs", nullptr, nullptr, nullptr) == SQLITE_OK;
    ::sqlite3_close(database);
    ends.say(opened && read ? "read" : "not read");
  });
  const auto journal = open_sqlite({path}).value();
  const Epoch epoch = claim_all(*journal);
  REQUIRE(append_now(*journal, first_append("a", epoch)));
  std::filesystem::create_symlink("runs.db", folder / "link");
  std::filesystem::create_hard_link(path, folder / "hard");

  tools::Toolbox box;
  REQUIRE(tools::add_file_tools(box, folder / "", {}, {.files = {}, .folders = {}, .stores = {path}}));
  const tools::Cancelled cancelled = false;
  const auto call = [&](const std::string& tool, const Json& arguments) {
    return box.find(tool)->run({tool, to_text(arguments), "key"}, cancelled);
  };
  for (const char* name : {"runs.db", "runs.db-wal", "runs.db-shm", "runs.db.lock", "link", "hard"}) {
    CAPTURE(name);
    CHECK(call("fs.read", {{"path", name}}).status == tools::ToolStatus::kFailed);
    CHECK(call("fs.append", {{"path", name}, {"line", "x"}}).status == tools::ToolStatus::kFailed);
    CHECK(call("fs.search", {{"path", name}, {"pattern", "."}}).status == tools::ToolStatus::kFailed);
  }
  CHECK(call("fs.search", {{"pattern", "."}}).status == tools::ToolStatus::kDone);
  CHECK(call("fs.list", {{"depth", 8}}).status == tools::ToolStatus::kDone);

  const auto wal = std::filesystem::file_size(path + "-wal");
  other.go();
  CHECK(other.line() == "read");
  REQUIRE(std::filesystem::exists(path + "-wal"));
  CHECK(std::filesystem::file_size(path + "-wal") == wal);
  // What is acknowledged now is in the WAL that the next process finds.
  REQUIRE(append_now(*journal, next_append("a", epoch, 2, 2)));
  CHECK(holds(path + "-wal", "e2 of a"));
}

}  // namespace weft::memory::test
