#include "base/ownership.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/folder.h"

namespace weft {
namespace {

constexpr uid_t kOther = 65'534;  // nobody

std::string refusal(const Status& status) {
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Code::kPermissionDenied);
  return status.error().message;
}

void own(const std::string& path, uid_t user) { REQUIRE(::lchown(path.c_str(), user, static_cast<gid_t>(-1)) == 0); }
void mode(const std::string& path, mode_t bits) { REQUIRE(::chmod(path.c_str(), bits) == 0); }

}  // namespace

TEST_CASE("a file of one's own, in a folder of one's own, is taken") {
  const Folder folder;
  const std::string file = folder.write("a/weft.yaml", "");
  CHECK(require_own_file(file));
  CHECK(require_own_folder(folder / "a"));
  CHECK(require_own_companion(file));
  CHECK(require_own_companion(folder / "absent"));
  CHECK(require_own_file(folder / "absent").error().code == Code::kNotFound);
  // The system's own, in a folder in which everybody may make files and nobody may replace those of others.
  CHECK(require_own_file("/etc/passwd"));
  CHECK(require_own_folder("/tmp"));
}

TEST_CASE("what others may write, or may put another file in the place of, is refused with the way out") {
  const Folder folder;
  const std::string file = folder.write("a/weft.yaml", "");
  SECTION("the file") {
    mode(file, 0602);
    CHECK_THAT(refusal(require_own_file(file)), Catch::Contains(file) && Catch::Contains("chmod go-w"));
    CHECK_FALSE(require_own_companion(file));
  }
  SECTION("its folder") {
    mode(folder / "a", 0777);
    CHECK_THAT(refusal(require_own_file(file)), Catch::Contains(folder / "a") && Catch::Contains("chmod go-w"));
    mode(folder / "a", 01777);
    CHECK(require_own_file(file));
  }
  SECTION("the folder that a link leads to") {
    std::filesystem::create_directory(folder / "b");
    std::filesystem::create_symlink(file, folder / "b/link.yaml");
    CHECK(require_own_file(folder / "b/link.yaml"));
    mode(folder / "a", 0777);
    CHECK_FALSE(require_own_file(folder / "b/link.yaml"));
    mode(folder / "a", 0700);
    mode(folder / "b", 0777);
    CHECK_FALSE(require_own_file(folder / "b/link.yaml"));
  }
  SECTION("a file of a database that is a link") {
    std::filesystem::create_symlink(file, folder / "weft.db-wal");
    CHECK_THAT(refusal(require_own_companion(folder / "weft.db-wal")), Catch::Contains("no regular file"));
  }
}

TEST_CASE("what belongs to another user is refused, for root too") {
  if (::geteuid() != 0) return;  // Only root can give a file away.
  const Folder folder;
  const std::string file = folder.write("a/weft.yaml", "");
  SECTION("the file") {
    own(file, kOther);
    CHECK_THAT(refusal(require_own_file(file)), Catch::Contains("belongs to nobody") && Catch::Contains("chown"));
    CHECK_FALSE(require_own_companion(file));
  }
  SECTION("its folder") {
    own(folder / "a", kOther);
    CHECK_THAT(refusal(require_own_file(file)), Catch::Contains((folder / "a") + " belongs to nobody"));
  }
  SECTION("a link to it") {
    std::filesystem::create_symlink(file, folder / "link.yaml");
    own(folder / "link.yaml", kOther);
    CHECK_FALSE(require_own_file(folder / "link.yaml"));
  }
  SECTION("a group that has others in it") {
    REQUIRE(::chown(file.c_str(), 0, kOther) == 0);
    mode(file, 0660);
    CHECK_FALSE(require_own_file(file));
    REQUIRE(::chown(file.c_str(), 0, 0) == 0);
    mode(file, 0660);
    CHECK(require_own_file(file));
  }
}

}  // namespace weft
