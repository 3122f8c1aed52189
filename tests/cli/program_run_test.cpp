#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
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

// Answers slowly, so that a test can look while it runs.
constexpr const char* kSlow = R"(weft: 1
name: slow
steps:
  first: {set: 1}
  talk: {prompt: "Say something. {{ steps.first.output }}"}
)";
constexpr const char* kSlowScript = R"(sim: 1
rules:
  - reply: {text: "one two three four five six seven eight nine ten", first_token: 20s}
)";

std::string only_run(const std::string& folder) {
  return json_of(run_program(folder, {"runs", "-o", "json"}).out)["runs"][0]["run_id"].get<std::string>();
}

// The id of the one run, as soon as the engine has taken it.
std::string await_run(const std::string& folder) {
  std::string id;
  for (int i = 0; i < 300 && id.empty(); ++i) {
    const Outcome runs = run_program(folder, {"runs", "-o", "json"});
    if (runs.exit == 0 && !json_of(runs.out)["runs"].empty()) id = only_run(folder);
  }
  REQUIRE_FALSE(id.empty());
  return id;
}

}  // namespace

TEST_CASE("the smallest workflow runs with --sim: the output on stdout, the next command last on stderr") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  const Outcome outcome = run_program(folder.path(), {"run", "hello.yaml", "--sim", "--input", "name=Ada"});
  INFO(outcome.err);
  REQUIRE(outcome.exit == 0);
  CHECK(outcome.out.find("Greet Ada in one line.") != std::string::npos);
  CHECK(outcome.err.find("new store " + (folder / ".weft/weft.db")) != std::string::npos);
  CHECK(outcome.err.find("simulated") != std::string::npos);
  const std::string next = last_line(outcome.err);
  REQUIRE(next.starts_with("weft trace "));
  const std::string id = next.substr(11);

  struct stat found{};
  REQUIRE(::stat((folder / ".weft").c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0700);
  REQUIRE(::stat((folder / ".weft/weft.db").c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
  CHECK_FALSE(std::filesystem::exists(folder / ".weft/weft.sock"));

  SECTION("its trace, events and output are read without an engine") {
    const Outcome trace = run_program(folder.path(), {"trace", "@latest"});
    INFO(trace.out << trace.err);
    CHECK(trace.exit == 0);
    CHECK(trace.out.starts_with(id + "  hello  succeeded"));
    CHECK(trace.out.find("simulated") != std::string::npos);
    CHECK(trace.out.find("└─ ✓ greet  prompt") != std::string::npos);
    CHECK(trace.out.find("model deepseek-flash") != std::string::npos);
    const Outcome events = run_program(folder.path(), {"events", id});
    CHECK(json_of(events.out.substr(0, events.out.find('\n')))["run_submitted"]["input_json"]["name"] == "Ada");
    CHECK(json_of(last_line(events.out))["run_ended"]["status"] == "succeeded");
    CHECK(run_program(folder.path(), {"output", id.substr(0, 20)}).out == outcome.out);
    CHECK(run_program(folder.path(), {"output", id, "--step", "greet"}).out == outcome.out);
    CHECK(run_program(folder.path(), {"output", id, "--step", "nope"}).exit == 6);
    CHECK(run_program(folder.path(), {"trace", "nope"}).exit == 6);
    CHECK(run_program(folder.path(), {"wait", id}).exit == 0);
    CHECK(run_program(folder.path(), {"cancel", id}).exit == 5);
    CHECK(run_program(folder.path(), {"graph", id}).out.find("greet  prompt  deepseek-flash  succeeded") !=
          std::string::npos);
  }
  SECTION("a second run finds the same store, also from a folder beneath it") {
    std::filesystem::create_directories(folder / "deep/er");
    const Outcome second =
        run_program(folder / "deep/er", {"run", "../../hello.yaml", "--sim", "-i", "name=Bob", "--label", "team=a"},
                    {{"HOME", folder.path()}});
    CHECK(second.exit == 0);
    CHECK(second.err.find("new store") == std::string::npos);
    const Json all = json_of(run_program(folder.path(), {"runs", "-o", "json"}).out);
    REQUIRE(all["runs"].size() == 2);
    CHECK(all["runs"][0]["labels"]["team"] == "a");
    CHECK(all["next_page_token"] == "");
    CHECK(json_of(run_program(folder.path(), {"runs", "-o", "json", "--label", "team=b"}).out)["runs"].empty());
    const Json page = json_of(run_program(folder.path(), {"runs", "-o", "json", "--limit", "1"}).out);
    REQUIRE(page["runs"].size() == 1);
    const std::string token = page["next_page_token"];
    const Json rest = json_of(run_program(folder.path(), {"runs", "-o", "json", "--limit", "1", "--page", token}).out);
    CHECK(rest["runs"][0]["run_id"] == id);
    CHECK(run_program(folder.path(), {"runs", "--status", "done"}).exit == 2);
    const Outcome table = run_program(folder.path(), {"runs", "--status", "succeeded"});
    CHECK(table.out.starts_with("RUN "));
    CHECK(std::count(table.out.begin(), table.out.end(), '\n') == 3);
    CHECK(run_program(folder.path(), {"workflows"}).out.find("hello") != std::string::npos);
  }
}

TEST_CASE("run -o json prints one object with the promised keys") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  const Outcome outcome = run_program(folder.path(), {"run", "hello.yaml", "--sim", "-i", "name=Ada", "-o", "json"});
  INFO(outcome.err);
  REQUIRE(outcome.exit == 0);
  const Json run = json_of(outcome.out);
  std::vector<std::string> keys;
  for (const auto& item : run.items()) keys.push_back(item.key());
  CHECK(keys == std::vector<std::string>{"run_id", "workflow", "status", "output", "error", "usage", "cost_usd",
                                         "cost_partial", "cache_hit_rate", "duration_ms", "steps", "simulated",
                                         "doubts", "undos_failed"});
  CHECK(run["status"] == "succeeded");
  CHECK(run["error"].is_null());
  CHECK(run["simulated"] == true);
  CHECK(run["usage"]["output"].is_number());
  CHECK(run["steps"] == 1);
}

TEST_CASE("an input is read by its shape, from the command line, a file, or standard input") {
  const Folder folder;
  folder.write("flow.yaml", R"(weft: 1
name: flow
input: {count: integer, tags: [string], text: string}
steps:
  all: {set: "{{ {'next': input.count + 1, 'tags': input.tags, 'text': input.text} }}"}
)");
  folder.write("tags.json", "[\"a\", \"b\"]");
  const Outcome outcome = run_program(
      folder.path(),
      {"run", "flow.yaml", "--sim", "-i", "count=41", "-i", "tags=@tags.json", "-i", "text=-", "-o", "json"}, {},
      "from standard input");
  INFO(outcome.err);
  REQUIRE(outcome.exit == 0);
  CHECK(to_text(json_of(outcome.out)["output"]) == R"({"next":42,"tags":["a","b"],"text":"from standard input"})");
}

TEST_CASE("a run that fails is exit 1, one whose model cannot be reached too, and both say why") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  folder.write("fail.yaml", R"(weft: 1
name: fail
steps:
  read: {tool: fs.read, args: {path: "no/such/file"}}
)");
  const Outcome failed = run_program(folder.path(), {"run", "fail.yaml", "--sim"});
  INFO(failed.err);
  CHECK(failed.exit == 1);
  CHECK(failed.out.empty());
  CHECK(failed.err.find("error: ") != std::string::npos);
  CHECK(last_line(failed.err).starts_with("weft trace "));
  const Outcome trace = run_program(folder.path(), {"trace", "@latest", "--failed"});
  CHECK(trace.out.find("fs.read {\"path\":\"no/such/file\"}") != std::string::npos);
}

TEST_CASE("without a key one sentence says which variable to set, and that --sim runs without") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  const Outcome outcome = run_program(folder.path(), {"run", "hello.yaml", "-i", "name=Ada"});
  INFO(outcome.err);
  CHECK(outcome.exit != 0);
  CHECK(outcome.err.find("DEEPSEEK_API_KEY") != std::string::npos);
  CHECK(outcome.err.find("--sim") != std::string::npos);
}

TEST_CASE("a second terminal reads, follows and cancels while a run goes on") {
  const Folder folder;
  folder.write("slow.yaml", kSlow);
  folder.write("slow-script.yaml", kSlowScript);
  Program run(folder.path(), {"run", "slow.yaml", "--sim=slow-script.yaml"});
  run.wait_for_err("new store");
  const std::string id = await_run(folder.path());
  CHECK(json_of(run_program(folder.path(), {"runs", "-o", "json"}).out)["runs"][0]["status"] == "running");
  CHECK(run_program(folder.path(), {"wait", id, "--timeout", "50ms"}).exit == 1);
  Program follow(folder.path(), {"trace", id, "--follow"});
  follow.wait_for_out("model deepseek-flash");
  const Outcome cancel = run_program(folder.path(), {"cancel", id});
  CHECK(cancel.exit == 0);
  const Outcome ended = run.wait();
  INFO(ended.err);
  CHECK(ended.exit == 3);
  CHECK(follow.wait().out.find("cancelled") != std::string::npos);
  CHECK(run_program(folder.path(), {"wait", id}).exit == 3);
  const Outcome none = run_program(folder.path(), {"output", id});
  CHECK(none.exit == 3);
  CHECK(none.err.find("without an output") != std::string::npos);
}

TEST_CASE("a tool step whose arguments do not fit is shown with its tool and why") {
  const Folder folder;
  folder.write("read.yaml", "weft: 1\nname: read\nsteps:\n  look: {tool: fs.read, args: {path: \"{{ 3 }}\"}}\n");
  CHECK(run_program(folder.path(), {"run", "read.yaml", "--sim"}).exit == 1);
  const std::string trace = run_program(folder.path(), {"trace", "@latest"}).out;
  INFO(trace);
  CHECK(trace.find("tool fs.read  refused: ") != std::string::npos);
}

TEST_CASE("an output that nobody can take is lost, and goes into no file that is open") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  const std::string weft = std::string(WEFT_BINARY_DIR) + "/weft";
  const std::string run = "cd '" + folder.path() + "' && '" + weft + "' run hello.yaml --sim -i name=x >&- 2>/dev/null";
  CHECK(WEXITSTATUS(std::system(run.c_str())) == 1);
}

TEST_CASE("a store that may not be read is not taken for none") {
  if (::geteuid() == 0) return;  // Root may read everything.
  const Folder folder;
  folder.write("hello.yaml", kHello);
  REQUIRE(run_program(folder.path(), {"run", "hello.yaml", "--sim", "-i", "name=x"}).exit == 0);
  std::filesystem::permissions(folder.path() + "/.weft", std::filesystem::perms::none);
  const Outcome runs = run_program(folder.path(), {"runs", "--store", ".weft/weft.db"});
  std::filesystem::permissions(folder.path() + "/.weft", std::filesystem::perms::owner_all);
  CHECK(runs.exit == 4);
}

TEST_CASE("a second run on the same store goes into the engine that is there, which stays for it") {
  const Folder folder;
  folder.write("slow.yaml", kSlow);
  folder.write("hello.yaml", kHello);
  folder.write("script.yaml", R"(sim: 1
rules:
  - when: {last: Say something}
    reply: {text: done, first_token: 2s}
  - reply: {text: hello}
)");
  Program first(folder.path(), {"run", "slow.yaml", "--sim=script.yaml"});
  first.wait_for_err("new store");
  Outcome second;
  // Until the first one's engine answers, the store is locked: a sentence, and nothing done.
  for (int i = 0; i < 100 && second.exit != 0; ++i) {
    second = run_program(folder.path(), {"run", "hello.yaml", "-i", "name=Ada"});
  }
  INFO(second.err);
  CHECK(second.exit == 0);
  CHECK(second.out == "hello\n");
  CHECK(run_program(folder.path(), {"run", "hello.yaml", "--sim", "-i", "name=x"}).exit == 1);
  CHECK(first.wait().exit == 0);
}

TEST_CASE("Ctrl-C once pauses a run, and the next engine takes it to its end") {
  const Folder folder;
  folder.write("slow.yaml", kSlow);
  folder.write("hello.yaml", kHello);
  folder.write("slow-script.yaml", kSlowScript);
  Program run(folder.path(), {"run", "slow.yaml", "--sim=slow-script.yaml"});
  run.wait_for_err("new store");
  const std::string id = await_run(folder.path());
  run.signal(SIGINT);
  const Outcome paused = run.wait();
  INFO(paused.err);
  CHECK(paused.exit == 7);
  CHECK(paused.err.find("paused: run " + id) != std::string::npos);
  CHECK(last_line(paused.err) == "weft trace " + id);
  // Nobody runs it now.
  CHECK(run_program(folder.path(), {"wait", id}).exit == 5);
  const Json row = json_of(run_program(folder.path(), {"runs", "--status", "paused", "-o", "json"}).out)["runs"][0];
  CHECK(row["status"] == "paused");
  CHECK(row["waits_for"] == "an engine: none runs on this store");
  CHECK(json_of(run_program(folder.path(), {"runs", "--status", "running", "-o", "json"}).out)["runs"].empty());
  CHECK(run_program(folder.path(), {"runs"}).out.find("WAITS FOR") != std::string::npos);
  const Outcome next = run_program(folder.path(), {"run", "hello.yaml", "--sim", "-i", "name=Ada"});
  INFO(next.err);
  CHECK(next.exit == 0);
  CHECK(run_program(folder.path(), {"wait", id}).exit == 0);
}

TEST_CASE("a second signal leaves at once") {
  const Folder folder;
  folder.write("slow.yaml", kSlow);
  folder.write("slow-script.yaml", kSlowScript);
  Program run(folder.path(), {"run", "slow.yaml", "--sim=slow-script.yaml"});
  run.wait_for_err("new store");
  await_run(folder.path());
  // Two different ones: the kernel keeps one of a kind until it is taken.
  run.signal(SIGINT);
  run.signal(SIGTERM);
  CHECK(run.wait().exit == 130);
}

TEST_CASE("what is said to a run from the command line is kept with it: by whom, why and under which id") {
  const Folder folder;
  folder.write("flow.yaml", "weft: 1\nname: flow\nsteps:\n  sure: {ask: Sure?}\n  paid: {wait: {signal: paid}}\n");
  Program serve(folder.path(), kServe, {{"WEFT_MODEL_URL", "http://127.0.0.1:1/v1"}});
  serve.wait_for_out("\n");
  const auto weft = [&](std::vector<std::string> arguments) { return run_program(folder.path(), arguments); };
  const std::string id = weft({"submit", "flow.yaml"}).out.substr(0, 26);
  REQUIRE(weft({"wait", id, "--timeout", "20s"}).exit == 7);
  CHECK(weft({"pause", id, "--reason", "holidays"}).exit == 0);
  CHECK(weft({"resume", id, "--reason", "back again"}).exit == 0);
  CHECK(weft({"signal", id, "paid", "7", "--id", "m-1"}).exit == 0);
  CHECK(weft({"signal", id, "paid", "7", "--id", "m-1"}).err.find("it had come before") != std::string::npos);
  // Nothing is in doubt here; that the option arrives is seen by what is said of it.
  CHECK(weft({"resolve", id, "sure", "skip", "--reason", "r", "--new-key"}).err.find("a new key") != std::string::npos);
  CHECK(weft({"answer", id, "sure", "yes", "--by", "ann"}).exit == 0);
  CHECK(weft({"wait", id, "--timeout", "20s"}).exit == 0);
  const std::string events = weft({"events", id, "-o", "json"}).out;
  for (const char* said : {"holidays", "back again", "m-1", "ann"}) CHECK(events.find(said) != std::string::npos);
}

TEST_CASE("the same request id gives the same run, and another payload under it is refused") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  const auto run = [&](const std::string& name) {
    return run_program(folder.path(),
                       {"run", "hello.yaml", "--sim", "-i", "name=" + name, "--request-id", "r1", "-o", "json"});
  };
  const Outcome first = run("Ada");
  const Outcome again = run("Ada");
  REQUIRE(first.exit == 0);
  CHECK(json_of(first.out)["run_id"] == json_of(again.out)["run_id"]);
  const Outcome other = run("Bob");
  CHECK(other.exit == 2);
  CHECK(json_of(last_line(other.err))["error"]["code"] == "ALREADY_EXISTS");
}

}  // namespace weft::cli
