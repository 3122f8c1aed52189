#include "runtime/cli/connect/place.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <catch2/catch.hpp>

#include "tests/environment.h"
#include "tests/folder.h"

namespace weft::cli {
namespace {

Place found(const Global& global, const engine::Getenv& environment, const std::string& folder) {
  auto place = find_place(global, environment, folder);
  if (!place) FAIL(place.error().message);
  return *std::move(place);
}

}  // namespace

TEST_CASE("the store is the nearest one upward, else a new one here") {
  const Folder folder;
  std::filesystem::create_directories(folder / "a/b");
  CHECK(found({}, variables({}), folder / "a/b").store == (folder / "a/b/.weft/weft.db"));
  CHECK_FALSE(found({}, variables({}), folder / "a/b").store_exists);
  CHECK_FALSE(std::filesystem::exists(folder / "a/b/.weft"));
  folder.write("a/.weft/weft.db", "");
  const Place place = found({}, variables({}), folder / "a/b");
  CHECK(place.store == (folder / "a/.weft/weft.db"));
  CHECK(place.store_exists);
  CHECK(place.socket == (folder / "a/.weft/weft.sock"));
}

TEST_CASE("an option wins over its variable, a server over a store") {
  const Folder folder;
  Global global;
  CHECK(found(global, variables({{"WEFT_STORE", "x.db"}}), folder.path()).store == (folder / "x.db"));
  CHECK(found(global, variables({{"WEFT_SERVER", "unix:/s"}, {"WEFT_STORE", "x.db"}}), folder.path()).server ==
        "unix:/s");
  global.store = "y.db";
  const Place named = found(global, variables({{"WEFT_SERVER", "unix:/s"}, {"WEFT_STORE", "x.db"}}), folder.path());
  CHECK(named.server.empty());
  CHECK(named.store == (folder / "y.db"));
  CHECK(named.socket == (folder / "y.sock"));
  global.server = "127.0.0.1:1";
  CHECK(found(global, variables({}), folder.path()).server == "127.0.0.1:1");
}

TEST_CASE("a store given as a folder is weft.db in it") {
  const Folder folder;
  Global global;
  global.store = folder.path();
  CHECK(found(global, variables({}), "/").store == (folder / "weft.db"));
}

TEST_CASE("a socket's path that the kernel would not take falls back to a name made of its hash") {
  const std::string deep = "/" + std::string(120, 'd') + "/weft.db";
  const auto environment = variables({{"XDG_RUNTIME_DIR", "/run/user/7"}});
  const std::string socket = socket_beside(deep, environment);
  CHECK(socket.starts_with("/run/user/7/weft-"));
  CHECK(socket.size() <= 107);
  CHECK(socket == socket_beside(deep, environment));
  CHECK(socket != socket_beside(deep + "x", environment));
  CHECK(socket_beside("/a/weft.db", environment) == "/a/weft.sock");
}

TEST_CASE("the configuration is the one that was named, else weft.yaml beside .weft or here") {
  const Folder folder;
  folder.write("a/.weft/weft.db", "");
  folder.write("a/weft.yaml", "http: 127.0.0.1:1\n");
  folder.write("a/b/weft.yaml", "http: 127.0.0.1:2\n");
  folder.write("c.yaml", "http: 127.0.0.1:3\n");
  // Beside .weft, and then the one in the current folder; neither is named, and both set an address.
  const Place beside = found({}, variables({}), folder / "a/b");
  REQUIRE(beside.found_config);
  CHECK(beside.found_config->path == (folder / "a/weft.yaml"));
  CHECK(beside.found_config->keys == std::vector<std::string>{"http"});
  CHECK_FALSE(beside.found_config->in_force);
  CHECK_FALSE(beside.config.http);
  Global global;
  global.store = "other.db";
  CHECK(found(global, variables({}), folder / "a/b").found_config->path == (folder / "a/b/weft.yaml"));
  CHECK(found(global, variables({{"WEFT_CONFIG", folder / "c.yaml"}}), folder / "a/b").config.http == "127.0.0.1:3");
  global.config = folder / "a/weft.yaml";
  CHECK(found(global, variables({{"WEFT_CONFIG", folder / "c.yaml"}}), folder.path()).config.http == "127.0.0.1:1");
}

TEST_CASE("a store is named by an option, a variable or a configuration that is in force, and found otherwise") {
  const Folder folder;
  folder.write("weft.yaml", "store: x.db\n");
  CHECK(found({}, variables({}), folder.path()).store == (folder / ".weft/weft.db"));
  CHECK(found({}, variables({}), folder.path()).store_origin == Origin::kFound);
  const Place named = found({}, variables({{"WEFT_CONFIG", "weft.yaml"}}), folder.path());
  CHECK(named.store == (folder / "x.db"));
  CHECK(named.store_origin == Origin::kNamed);
  CHECK_FALSE(named.found_config);
  CHECK(found({}, variables({{"WEFT_STORE", "y.db"}}), folder.path()).store_origin == Origin::kNamed);
}

TEST_CASE("a configuration with a mistake is refused with its place") {
  const Folder folder;
  folder.write("weft.yaml", "store: x.db\nhtpp: 1\n");
  const auto place = find_place({}, variables({}), folder.path());
  REQUIRE_FALSE(place);
  CHECK(place.error().code == Code::kInvalidArgument);
  CHECK(place.error().message.find("weft.yaml:2:1") != std::string::npos);
}

TEST_CASE("a socket that nobody listens on is no engine") {
  const Folder folder;
  Place place;
  place.socket = folder / "weft.sock";
  CHECK_FALSE(engine_answers(place));
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  place.socket.copy(name.sun_path, sizeof name.sun_path - 1);
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  CHECK_FALSE(engine_answers(place));
  REQUIRE(::listen(listener, 1) == 0);
  CHECK(listener_at(place) == Listener::kSilent);  // It takes connections and says nothing.
  CHECK(listener_at(place) == Listener::kSilent);  // Its line is full.
  ::close(listener);
  CHECK_FALSE(engine_answers(place));
}

}  // namespace weft::cli
