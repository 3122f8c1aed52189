#include "runtime/cli/connect/token.h"

#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/environment.h"
#include "tests/folder.h"

namespace weft::cli {
namespace {

constexpr const char* kHead =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

std::string line(const char* local, const char* state, uid_t uid) {
  return fmt::format("   0: {} 00000000:0000 {} 00000000:00000000 00:00000000 00000000  {}        0 12345 1\n", local,
                     state, uid);
}

}  // namespace

TEST_CASE("a port is this user's where he alone listens on it") {
  const Folder folder;
  const auto mine = [&](const std::string& four, const std::string& six) {
    folder.write("tcp", kHead + four);
    folder.write("tcp6", kHead + six);
    return listens_as_me(7460, folder.path());
  };
  const uid_t me = ::geteuid();
  constexpr const char* kSix = "0000000000000000FFFF00000100007F:1D24";
  CHECK(mine(line("0100007F:1D24", "0A", me), ""));
  CHECK(mine("", line(kSix, "0A", me)));
  CHECK_FALSE(mine("", ""));
  CHECK_FALSE(mine(line("0100007F:1D24", "0A", me + 1), ""));
  CHECK_FALSE(mine(line("0100007F:1D24", "0A", me), line(kSix, "0A", me + 1)));
  CHECK_FALSE(mine(line("0100007F:1D25", "0A", me), ""));  // Another port.
  CHECK_FALSE(mine(line("0100007F:1D24", "01", me), ""));  // A connection.
  CHECK_FALSE(mine("nonsense\n", "\n\n"));
  CHECK_FALSE(listens_as_me(7460, folder / "nowhere"));
}

TEST_CASE("a token that was given goes to a port of this machine alone, and is one word") {
  const Folder folder;
  Global global;
  global.token_file = folder.write("mine", "  weft_abc\n");
  const auto none = variables({});
  CHECK(*token_for("127.0.0.1:1", global, none, "") == "weft_abc");
  CHECK(token_for("unix:/run/weft.sock", global, none, "")->empty());
  const auto elsewhere = token_for("example.com:7460", global, none, "");
  REQUIRE_FALSE(elsewhere);
  CHECK(elsewhere.error().message.find("TLS") != std::string::npos);
  CHECK(*token_for("127.0.0.1:1", global, variables({{"WEFT_TOKEN", "other"}}), "") == "weft_abc");
  CHECK(*token_for("127.0.0.1:1", {}, variables({{"WEFT_TOKEN", "other\n"}}), "") == "other");
  CHECK_FALSE(token_for("127.0.0.1:1", {}, variables({{"WEFT_TOKEN", "two words"}}), ""));
  CHECK(token_for("127.0.0.1:1", {}, none, "")->empty());
  CHECK(token_for("example.com:7460", {}, none, "")->empty());
  global.token_file = folder / "nowhere";
  CHECK_FALSE(token_for("127.0.0.1:1", global, none, ""));
}

}  // namespace weft::cli
