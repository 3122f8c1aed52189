#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/folder.h"

namespace weft::cli {
namespace {

constexpr const char* kHello = R"(weft: 1
name: hello
input: {name: string}
steps:
  greet: {prompt: "Greet {{ input.name }} in one line."}
)";

}  // namespace

TEST_CASE("a workflow is applied, submitted by name over gRPC, waited for, and its output printed") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  Program sim(folder.path(), {"sim"});
  const std::string url = word(sim.wait_for_out("\n"), "url=");
  Program serve(folder.path(), kServe, {{"WEFT_MODEL_URL", url}});
  const std::string ready = serve.wait_for_out("\n");
  CHECK(ready.starts_with("weft: ready grpc=unix:" + (folder / ".weft/weft.sock") + " grpc=127.0.0.1:"));
  CHECK(word(ready, "store=") == (folder / ".weft/weft.db"));
  CHECK(word(ready, "pid=") == std::to_string(serve.pid()));

  const Outcome apply = run_program(folder.path(), {"apply", "hello.yaml"});
  INFO(apply.err);
  REQUIRE(apply.exit == 0);
  CHECK(apply.out.starts_with("hello  version 1  "));
  const Outcome submit = run_program(folder.path(), {"submit", "hello", "-i", "name=Ada"});
  INFO(submit.err);
  REQUIRE(submit.exit == 0);
  const std::string id = submit.out.substr(0, submit.out.size() - 1);
  CHECK(id.size() == 26);
  CHECK(submit.err.find("workflow ") != std::string::npos);
  CHECK(last_line(submit.err) == "weft trace " + id);
  CHECK(run_program(folder.path(), {"wait", id, "--timeout", "20s"}).exit == 0);
  CHECK(run_program(folder.path(), {"output", id}).out.find("Greet Ada") != std::string::npos);

  // From another folder, by its address.
  const std::string address = word(ready, " grpc=127.0.0.1:");
  const Outcome remote =
      run_program("/", {"trace", id, "--server", "127.0.0.1:" + address, "--token-file", folder / ".weft/token"});
  CHECK(remote.exit == 0);
  CHECK(remote.out.starts_with(id));
  const Outcome waited = run_program(folder.path(), {"submit", "hello.yaml", "-i", "name=Bob", "--wait", "-o", "json"});
  CHECK(waited.exit == 0);
  CHECK(json_of(waited.out)["status"] == "succeeded");
  CHECK(run_program(folder.path(), {"submit", "nope"}).exit == 6);
  CHECK(run_program(folder.path(), {"submit", "hello"}).exit == 2);

  const Outcome second = run_program(folder.path(), kServe);
  CHECK(second.exit == 1);
  CHECK(second.err.find(std::to_string(serve.pid())) != std::string::npos);

  serve.signal(SIGTERM);
  const Outcome ended = serve.wait();
  CHECK(ended.exit == 0);
  CHECK(ended.out == ready);
  CHECK_FALSE(std::filesystem::exists(folder / ".weft/weft.sock"));
}

TEST_CASE("serve refuses addresses that others could reach, and a port that is taken") {
  const Folder folder;
  const Outcome open = run_program(folder.path(), {"serve", "--listen", "0.0.0.0:0"});
  CHECK(open.exit == 2);
  CHECK(open.err.find("until there is TLS") != std::string::npos);
  Program first(folder.path(), kServe);
  const std::string ready = first.wait_for_out("\n");
  const Folder other;
  const Outcome taken = run_program(
      other.path(), {"serve", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:" + word(ready, " grpc=127.0.0.1:")});
  CHECK(taken.exit == 1);
  CHECK(taken.err.find("is taken") != std::string::npos);
}

TEST_CASE("a server that cannot listen takes the store from nobody, also where the lock's file was removed") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  Program sim(folder.path(), {"sim"});
  Program first(folder.path(), kServe, {{"WEFT_MODEL_URL", word(sim.wait_for_out("\n"), "url=")}});
  first.wait_for_out("\n");
  REQUIRE(std::filesystem::remove(folder / ".weft/weft.db.lock"));
  const Outcome second = run_program(folder.path(), kServe);
  CHECK(second.exit == 1);
  CHECK(second.err.find("another server listens on") != std::string::npos);
  REQUIRE(run_program(folder.path(), {"apply", "hello.yaml"}).exit == 0);
  const Outcome submit = run_program(folder.path(), {"submit", "hello", "-i", "name=Ada", "--wait"});
  INFO(submit.err);
  CHECK(submit.exit == 0);
}

TEST_CASE("submit without a server is exit 5 with the sentence that starts one, and with --wait it runs here") {
  const Folder folder;
  folder.write("flow.yaml", "weft: 1\nname: flow\nsteps:\n  one: {set: 1}\n");
  const Outcome alone = run_program(folder.path(), {"submit", "flow.yaml"});
  CHECK(alone.exit == 5);
  CHECK(alone.err.find("weft serve") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / ".weft"));
  const Outcome waited = run_program(folder.path(), {"submit", "flow.yaml", "--wait"});
  INFO(waited.err);
  CHECK(waited.exit == 0);
  CHECK(waited.out.size() == 27);
}

}  // namespace weft::cli
