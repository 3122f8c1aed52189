#include "runtime/cli/connect/trust_list.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/environment.h"
#include "tests/folder.h"

namespace weft::cli {
namespace {

memory::StoreIdentity store(const std::string& path, std::uint64_t id, std::uint64_t inode) {
  return {path, id, 5, inode, 1'700'000'000'000'000};
}

TrustList opened(const Folder& folder) {
  auto list = TrustList::open(variables({{"XDG_STATE_HOME", folder.path()}}));
  REQUIRE(list);
  return *std::move(list);
}

}  // namespace

TEST_CASE("a store is known by its id and its file, wherever it is and whatever its device is called now") {
  const Folder folder;
  {
    TrustList list = opened(folder);
    CHECK_FALSE(list.has(store("/a/weft.db", 1, 10)));
    REQUIRE(list.add(store("/a/weft.db", 1, 10)));
  }
  const TrustList list = opened(folder);
  const memory::StoreIdentity known = store("/a/weft.db", 1, 10);
  CHECK(list.has(known));
  memory::StoreIdentity other = known;
  other.path = "/moved/weft.db";
  CHECK(list.has(other));
  other.device = 6;
  CHECK_FALSE(list.has(other));
  other.path = known.path;
  CHECK(list.has(other));
  CHECK_FALSE(list.has(store("/a/weft.db", 2, 10)));  // Another store was written into the file.
  CHECK_FALSE(list.has(store("/a/weft.db", 1, 11)));  // Another file stands there.
  other = known;
  other.born_us += 1;  // The inode's number was used again.
  CHECK_FALSE(list.has(other));
  CHECK(list.copied_from(store("/b/weft.db", 1, 11)) == "/a/weft.db");
  CHECK(list.copied_from(store("/b/weft.db", 3, 11)).empty());
  CHECK(list.copied_from(store("/b/weft.db", 0, 11)).empty());
}

TEST_CASE("two programs that add at once lose nothing") {
  const Folder folder;
  constexpr int kEach = 40;
  const auto add = [&](int from) {
    auto list = TrustList::open(variables({{"XDG_STATE_HOME", folder.path()}}));
    for (int i = from; list && i < from + kEach; ++i) {
      (void)list->add(store("/s/" + std::to_string(i), 1, static_cast<std::uint64_t>(i) + 1));
    }
  };
  std::thread first(add, 0);
  std::thread second(add, kEach);
  first.join();
  second.join();
  CHECK(opened(folder).stores().size() == 2 * kEach);
}

TEST_CASE("a list that is full lets go of what is gone, and then takes no more") {
  const Folder folder;
  const std::string there = folder.write("there", "");
  struct stat status{};
  REQUIRE(::stat(there.c_str(), &status) == 0);
  const std::string inode = std::to_string(status.st_ino);
  std::string lines;
  for (std::size_t i = 0; i < TrustList::kEntriesMax; ++i) {
    lines +=
        R"({"path": ")" + (i == 0 ? there : "/none/" + std::to_string(i)) + R"(", "id": 1, "inode": )" + inode + "}\n";
  }
  folder.write("weft/stores", lines);
  TrustList list = opened(folder);
  CHECK(list.stores().size() == TrustList::kEntriesMax);
  REQUIRE(list.add(store(folder.path(), 9, 9)));
  CHECK(list.stores().size() == 2);

  lines.clear();
  for (std::size_t i = 0; i < TrustList::kEntriesMax; ++i) {
    lines += R"({"path": ")" + there + R"(", "id": )" + std::to_string(i + 1) + R"(, "inode": )" + inode + "}\n";
  }
  folder.write("weft/stores", lines);
  const Status full = opened(folder).add(store(folder.path(), 9, 9));
  REQUIRE_FALSE(full);
  CHECK(full.error().code == Code::kResourceExhausted);
  CHECK(full.error().message.find("weft trust --revoke PATH") != std::string::npos);
}

TEST_CASE("a list is in the state's folder, else under the home; neither may be relative") {
  const Folder folder;
  auto at_home = TrustList::open(variables({{"HOME", folder.path()}, {"XDG_STATE_HOME", "state"}}));
  REQUIRE(at_home);
  REQUIRE(at_home->add("/a/weft.yaml", std::string(64, 'a')));
  CHECK(std::filesystem::exists(folder / ".local/state/weft/configurations"));
  struct stat status{};
  REQUIRE(::stat((folder / ".local/state/weft").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  CHECK(at_home->has("/a/weft.yaml", std::string(64, 'a')));
  CHECK_FALSE(at_home->has("/a/weft.yaml", std::string(64, 'b')));
  CHECK_FALSE(at_home->has("/b/weft.yaml", std::string(64, 'a')));
  REQUIRE(at_home->add("/a/weft.yaml", std::string(64, 'b')));  // As it is now, and not as it was.
  CHECK(at_home->configurations().size() == 1);
  CHECK(at_home->remove("/a").value() == 1);
  CHECK(at_home->remove("/a").value() == 0);
  CHECK_FALSE(TrustList::open(variables({{"HOME", "."}})));
  CHECK_FALSE(TrustList::open(variables({})));
}

}  // namespace weft::cli
