// The care of a store and of a server, as an operator does it.
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/folder.h"
#include "weft/v1/admin.grpc.pb.h"

namespace weft::cli {
namespace {

constexpr const char* kHello =
    "weft: 1\nname: hello\ninput: {name: string}\nsteps:\n  greet: {prompt: \"Greet {{ input.name }}\"}\n";
constexpr const char* kSet = "weft: 1\nname: flow\nsteps:\n  one: {set: 1}\n";
// The first call never ends.
constexpr const char* kHangs = "sim: 1\nrules: [{reply: {text: never, stall_after: 0}}]\n";

Json json_from(const Folder& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-o", "json"});
  return json_of(run_program(folder.path(), arguments).out);
}

}  // namespace

TEST_CASE("a store at rest is looked through, copied, and rid of what is old") {
  const Folder folder;
  CHECK(run_program(folder.path(), {"db", "verify"}).exit == 6);
  CHECK(run_program(folder.path(), {"db", "prune"}).exit == 6);
  CHECK(run_program(folder.path(), {"db", "backup", "copy.db"}).exit == 6);
  folder.write("flow.yaml", kSet);
  REQUIRE(run_program(folder.path(), {"run", "flow.yaml"}).exit == 0);
  REQUIRE(run_program(folder.path(), {"run", "flow.yaml"}).exit == 0);

  const Outcome sound = run_program(folder.path(), {"db", "verify"});
  CHECK(sound.exit == 0);
  CHECK(sound.err.find("sound: 2 runs") != std::string::npos);
  const Outcome copied = run_program(folder.path(), {"db", "backup", "copy.db"});
  CHECK(copied.exit == 0);
  CHECK(copied.out.starts_with((folder / "copy.db") + "  "));
  CHECK(run_program(folder.path(), {"db", "backup", "copy.db"}).exit == 1);
  CHECK(run_program(folder.path(), {"db", "backup"}).exit == 2);
  CHECK(run_program(folder.path(), {"db", "verify", "--store", "copy.db"}).exit == 0);

  CHECK(run_program(folder.path(), {"db", "prune"}).out == "0 runs removed\n");
  CHECK(run_program(folder.path(), {"db", "prune", "--older-than", "0s", "--dry-run"}).out ==
        "2 runs would be removed\n");
  CHECK(run_program(folder.path(), {"db", "prune", "--older-than", "0s", "--workflow", "other"}).out ==
        "0 runs removed\n");
  const Json pruned = json_from(folder, {"db", "prune", "--older-than", "0s"});
  CHECK(pruned["runs"] == 2);
  CHECK(json_from(folder, {"runs"})["runs"].empty());
  CHECK(json_from(folder, {"runs", "--store", "copy.db"})["runs"].size() == 2);
  CHECK(json_from(folder, {"db", "verify"})["faults"].empty());
}

TEST_CASE("a path that db would not look at is refused, and not passed over") {
  const Folder folder;
  folder.write("a.yaml", "weft: 1\nname: a\nsteps: {x: {set: 1}}\n");
  REQUIRE(run_program(folder.path(), {"run", "a.yaml"}).exit == 0);
  for (const std::string action : {"verify", "prune"}) {
    const Outcome refused = run_program(folder.path(), {"db", action, "copy.db"});
    CHECK(refused.exit == 2);
    CHECK(refused.err == "error: weft db " + action + " takes no PATH; another store is named with --store copy.db\n");
  }
}

TEST_CASE("a damaged store is exit 1 with a line for each fault") {
  const Folder folder;
  folder.write("flow.yaml", kSet);
  REQUIRE(run_program(folder.path(), {"run", "flow.yaml"}).exit == 0);
  REQUIRE(run_program(folder.path(), {"db", "backup", "copy.db"}).exit == 0);
  std::string bytes;
  {
    std::ifstream file(folder / "copy.db", std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  // The workflow's name as an event holds it: the file stays a database, the history is another.
  std::size_t changed = 0;
  for (std::size_t at = bytes.find("\x1a\x04"
                                   "flow");
       at != std::string::npos; at = bytes.find("\x1a\x04"
                                                "flow",
                                                at + 1)) {
    bytes[at + 2] = 'F';
    ++changed;
  }
  REQUIRE(changed > 0);
  std::ofstream(folder / "copy.db", std::ios::binary) << bytes;
  const Outcome faulty = run_program(folder.path(), {"db", "verify", "--store", "copy.db"});
  CHECK(faulty.exit == 1);
  CHECK(faulty.out.find("its digest differs; ") != std::string::npos);
  const Json faults = json_from(folder, {"db", "verify", "--store", "copy.db"})["faults"];
  REQUIRE(faults.size() == 1);
  CHECK(faults[0]["run"].get<std::string>().size() == 26);
}

TEST_CASE("a running server's store is copied and pruned through it, on its socket alone") {
  const Folder folder;
  folder.write("flow.yaml", kSet);
  Program serve(folder.path(), kServe, {{"WEFT_MODEL_URL", "http://127.0.0.1:9/v1"}});
  const std::string ready = serve.wait_for_out("\n");
  REQUIRE(run_program(folder.path(), {"submit", "flow.yaml", "--wait"}).exit == 0);
  const Outcome copied = run_program(folder.path(), {"db", "backup", "copy.db", "-o", "json"});
  INFO(copied.err);
  REQUIRE(copied.exit == 0);
  CHECK(json_of(copied.out)["bytes"].get<std::uint64_t>() > 10'000);
  struct stat status = {};
  REQUIRE(::stat((folder / "copy.db").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(json_from(folder, {"runs", "--store", "copy.db"})["runs"].size() == 1);
  CHECK(run_program(folder.path(), {"db", "backup", "copy.db"}).exit == 1);
  CHECK(run_program(folder.path(), {"db", "verify"}).exit == 0);
  CHECK(run_program(folder.path(), {"db", "prune", "--older-than", "0s"}).out == "1 run removed\n");
  CHECK(json_from(folder, {"runs"})["runs"].empty());

  const Outcome by_port = run_program(
      folder.path(), {"db", "prune", "--older-than", "0s", "--server", "127.0.0.1:" + word(ready, " grpc=127.0.0.1:")});
  CHECK(by_port.exit == 4);
  CHECK(by_port.err.find("socket") != std::string::npos);

  const auto channel = grpc::CreateChannel("unix:" + (folder / ".weft/weft.sock"), grpc::InsecureChannelCredentials());
  const auto admin = v1::Admin::NewStub(channel);
  v1::AdminStatsResponse stats;
  {
    grpc::ClientContext context;
    REQUIRE(admin->Stats(&context, {}, &stats).ok());
  }
  CHECK(stats.store() == (folder / ".weft/weft.db"));
  CHECK(stats.store_format() == 5);
  CHECK(stats.runs() == 0);
  CHECK(stats.refuses().empty());
  v1::AdminDrainResponse drained;
  {
    grpc::ClientContext context;
    REQUIRE(admin->Drain(&context, {}, &drained).ok());
  }
  CHECK(drained.runs_left() == 0);
  CHECK(run_program(folder.path(), {"submit", "flow.yaml"}).err.find("is stopping") != std::string::npos);
}

TEST_CASE("SIGTERM waits for no longer than limits.drain, and the next engine takes over what was left") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  folder.write("hangs.yaml", kHangs);
  folder.write("weft.yaml", "limits: {drain: 500ms}\n");
  std::string id;
  {
    Program sim(folder.path(), {"sim", "hangs.yaml"});
    Program serve(folder.path(), kServe, {{"WEFT_SIM_URL", word(sim.wait_for_out("\n"), "url=")}});
    serve.wait_for_out("\n");
    const Outcome submitted = run_program(folder.path(), {"submit", "hello.yaml", "-i", "name=Ada"});
    INFO(submitted.err);
    REQUIRE(submitted.exit == 0);
    id = submitted.out.substr(0, 26);
    const auto begun = std::chrono::steady_clock::now();
    serve.signal(SIGTERM);
    CHECK(serve.wait().exit == 0);
    const auto took = std::chrono::steady_clock::now() - begun;
    CHECK(took >= std::chrono::milliseconds(450));
    CHECK(took < std::chrono::seconds(10));
  }
  Program sim(folder.path(), {"sim"});
  Program next(folder.path(), kServe, {{"WEFT_SIM_URL", word(sim.wait_for_out("\n"), "url=")}});
  next.wait_for_out("\n");
  CHECK(run_program(folder.path(), {"wait", id, "--timeout", "20s"}).exit == 0);
  CHECK(run_program(folder.path(), {"output", id}).out.find("Greet Ada") != std::string::npos);
}

TEST_CASE("a run that was at work at every crash is left alone, and taken up again when more are allowed") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  folder.write("hangs.yaml", kHangs);
  folder.write("weft.yaml", "limits: {crashes_max: 3}\n");
  Program sim(folder.path(), {"sim", "hangs.yaml"});
  const std::map<std::string, std::string> hanging{{"WEFT_SIM_URL", word(sim.wait_for_out("\n"), "url=")}};
  std::string id;
  for (int crash = 0; crash < 3; ++crash) {
    Program serve(folder.path(), kServe, hanging);
    serve.wait_for_out("\n");
    if (id.empty()) id = run_program(folder.path(), {"submit", "hello.yaml", "-i", "name=Ada"}).out.substr(0, 26);
    REQUIRE(json_from(folder, {"runs"})["runs"][0]["status"] == "running");
    serve.signal(SIGKILL);
    serve.wait();
  }
  {
    Program serve(folder.path(), kServe, hanging);
    serve.wait_for_out("\n");
    const Json run = json_from(folder, {"runs"})["runs"][0];
    CHECK(run["status"] == "waiting");
    CHECK(run["waits_for"].get<std::string>().find("crashed 3 times in a row") != std::string::npos);
    // Others go on.
    folder.write("flow.yaml", kSet);
    CHECK(run_program(folder.path(), {"submit", "flow.yaml", "--wait"}).exit == 0);
    serve.signal(SIGTERM);
    serve.wait();
  }
  folder.write("weft.yaml", "limits: {crashes_max: 9}\n");
  REQUIRE(run_program(folder.path(), {"trust"}).exit == 0);  // It raises a limit, so it has to be put in force.
  Program answering(folder.path(), {"sim"});
  Program serve(folder.path(), kServe, {{"WEFT_SIM_URL", word(answering.wait_for_out("\n"), "url=")}});
  serve.wait_for_out("\n");
  CHECK(run_program(folder.path(), {"wait", id, "--timeout", "20s"}).exit == 0);
}

TEST_CASE("a run that has much to decide keeps a server neither from starting nor from ending, and can be killed") {
  const Folder folder;
  folder.write("flow.yaml", kSet);
  folder.write("crowd.yaml",
               "weft: 1\nname: crowd\ninput: {l: [integer]}\nsteps:\n  later: {wait: 100ms}\n"
               "  held: {wait: {signal: never}}\n"  // It does not end by itself, however slow this machine is.
               "  a: {for_each: input.l, steps: {b: {for_each: input.l, set: 1}}, returns: 1}\n");
  std::string list = "[0";
  for (int i = 1; i < 400; ++i) list += "," + std::to_string(i);
  folder.write("list.json", list + "]");
  const std::map<std::string, std::string> environment{{"WEFT_MODEL_URL", "http://127.0.0.1:9/v1"}};
  const auto seconds_since = [](std::chrono::steady_clock::time_point begun) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  };
  std::string id;
  for (int life = 0; life < 2; ++life) {
    auto begun = std::chrono::steady_clock::now();
    Program serve(folder.path(), kServe, environment);
    const std::string http = word(serve.wait_for_out("\n"), " http=127.0.0.1:");
    CHECK(seconds_since(begun) < 20);
    if (id.empty()) id = run_program(folder.path(), {"submit", "crowd.yaml", "-i", "l=@list.json"}).out.substr(0, 26);
    REQUIRE(id.size() == 26);
    // It is at work, and others are too.
    Program(folder.path(), {"events", id, "--from", "100", "--follow"}).wait_for_out("\n");
    CHECK(run_program(folder.path(), {"submit", "flow.yaml", "--wait"}).exit == 0);
    for (const char* path : {"/readyz", "/healthz"}) {
      begun = std::chrono::steady_clock::now();
      CHECK(get(http, path).starts_with("200 "));
      CHECK(seconds_since(begun) < 1);
    }
    serve.signal(SIGKILL);
    serve.wait();
  }
  folder.write("weft.yaml", "limits: {drain: 1s}\n");
  {
    Program serve(folder.path(), kServe, environment);
    serve.wait_for_out("\n");
    const auto begun = std::chrono::steady_clock::now();
    serve.signal(SIGTERM);
    serve.wait();
    CHECK(seconds_since(begun) < 10);
  }
  Program serve(folder.path(), kServe, environment);
  serve.wait_for_out("\n");
  const auto begun = std::chrono::steady_clock::now();
  CHECK(run_program(folder.path(), {"kill", id}).exit == 0);
  CHECK(seconds_since(begun) < 5);
  CHECK(run_program(folder.path(), {"wait", id, "--timeout", "20s"}).exit == 3);
}

TEST_CASE("doctor measures the machine, says what to do, and fails where durability is not to be had") {
  const Folder folder;
  const Json found = json_from(folder, {"doctor"});
  std::vector<std::string> names;
  for (const Json& check : found["checks"]) names.push_back(check["name"]);
  CHECK(names ==
        std::vector<std::string>{"sync", "file system", "room", "clock", "SQLite", "open files", "store", "models"});
  CHECK(found["checks"][0]["found"].get<std::string>().find("p99") != std::string::npos);
  CHECK(found["checks"][7]["state"] == "warn");
  CHECK(found["checks"][7]["todo"].get<std::string>().find("DEEPSEEK_API_KEY") != std::string::npos);
  const Outcome keyed = run_program(folder.path(), {"doctor"}, {{"DEEPSEEK_API_KEY", "k-1"}});
  CHECK(keyed.out.find("set: DEEPSEEK_API_KEY") != std::string::npos);
  CHECK(keyed.out.find("k-1") == std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / ".weft"));
  folder.write("text.db", std::string(5'000, 'x'));
  const Outcome wrong = run_program(folder.path(), {"doctor", "--store", "text.db"});
  CHECK(wrong.exit == 1);
  CHECK(wrong.out.find("fail  store") != std::string::npos);
  CHECK(run_program(folder.path(), {"doctor", "--store", "/proc/1/weft.db"}).exit == 1);
}

TEST_CASE("stats says who waits for what, and a drained engine begins nothing more and says what is left") {
  const Folder folder;
  CHECK(run_program(folder.path(), {"stats"}).exit == 5);
  CHECK(run_program(folder.path(), {"drain"}).exit == 5);
  folder.write("hello.yaml", kHello);
  folder.write("naps.yaml", "weft: 1\nname: naps\nsteps:\n  nap: {wait: 1h}\n");
  folder.write("hangs.yaml", kHangs);
  folder.write("weft.yaml", "limits: {runs_at_work_max: 1, runs_queued_max: 2, drain: 100ms}\n");
  Program sim(folder.path(), {"sim", "hangs.yaml"});
  Program serve(folder.path(), kServe, {{"WEFT_SIM_URL", word(sim.wait_for_out("\n"), "url=")}});
  serve.wait_for_out("\n");
  // It takes no place while it waits for nothing but a time.
  REQUIRE(run_program(folder.path(), {"submit", "naps.yaml"}).exit == 0);
  const auto waiting = [&] { return json_from(folder, {"stats"})["runs"]["waiting"].get<int>(); };
  for (int looks = 0; waiting() == 0 && looks < 500; ++looks) {
  }
  const auto submit = [&](const std::string& priority) {
    return run_program(folder.path(), {"submit", "hello.yaml", "-i", "name=Ada", "--priority", priority});
  };
  for (const char* priority : {"0", "-5", "100"}) REQUIRE(submit(priority).exit == 0);
  const Outcome refused = submit("0");
  CHECK(refused.exit == 1);
  CHECK(refused.err.find("1 runs are at work and 2 wait for their turn, which is the limit") != std::string::npos);
  CHECK(submit("101").exit == 2);

  const Json listed = json_from(folder, {"runs", "--status", "queued"});
  REQUIRE(listed["runs"].size() == 2);
  CHECK(listed["runs"][0]["priority"] == 100);
  CHECK(listed["runs"][0]["waits_for"].get<std::string>().starts_with("its turn: 1 runs at work"));

  const Json stats = json_from(folder, {"stats"});
  CHECK(stats["runs"]["all"] == 4);
  CHECK(stats["runs"]["at_work"] == 1);
  CHECK(stats["runs"]["queued"] == 2);
  CHECK(stats["calls"]["model"] == 1);
  CHECK(stats["commits"]["all"] > 0);
  CHECK(stats["commits"]["p50_us"] > 0);
  CHECK(stats["store"]["file_bytes"] > 0);
  REQUIRE(stats["lines"].size() == 1);
  CHECK(stats["lines"][0]["places"] == "runs at work");
  CHECK(stats["lines"][0]["waiting"] == 2);
  CHECK(stats["queued_by_share"] == Json::parse(R"([{"share": "hello", "runs": 2}])"));
  CHECK(stats["refuses"].is_null());
  const Outcome text = run_program(folder.path(), {"stats"});
  CHECK(text.out.find("runs     4 in all, 4 unfinished: 1 at work, 2 queued, 1 waiting") != std::string::npos);
  CHECK(text.out.find("line     2 waiting, 1 runs at work of 1") != std::string::npos);

  CHECK(run_program(folder.path(), {"drain"}).out == "takes no more runs; 1 run still at work\n");
  const Outcome waited = run_program(folder.path(), {"drain", "--wait", "100ms", "-o", "json"});
  CHECK(waited.exit == 1);
  CHECK(json_of(waited.out)["runs_left"] == 1);
  const Outcome too_long = run_program(folder.path(), {"drain", "--wait", "11m"});
  CHECK(too_long.exit == 2);
  CHECK(too_long.err.find("--wait 11m: a drain is waited for at most 10m") != std::string::npos);
  CHECK(json_from(folder, {"stats"})["refuses"].get<std::string>().find("is stopping") != std::string::npos);
  CHECK(json_from(folder, {"runs", "--status", "queued"})["runs"][0]["waits_for"].get<std::string>().starts_with(
      "the next start"));
}

TEST_CASE("a run behind a time that is at one long decision at each crash is left alone, and those that wait are not") {
  const Folder folder;
  folder.write("waits.yaml", "weft: 1\nname: waits\nsteps:\n  held: {wait: {signal: never}}\n");
  // The keys of each are one decision of about a second, so no event tells of it.
  std::string flow = "weft: 1\nname: long\ninput: {l: [integer]}\nsteps:\n  s0: {wait: 100ms}\n";
  for (int i = 1; i <= 5; ++i) {
    flow += "  s" + std::to_string(i) + ":\n    needs: [s" + std::to_string(i - 1) +
            "]\n    on_error: continue\n    for_each:\n      in: input.l\n"
            "      key: string(input.l.filter(x, input.l.all(y, y < 10000)).size()) + string(item)\n    set: 1\n";
  }
  folder.write("long.yaml", flow);
  std::string list = "[0";
  for (int i = 1; i < 500; ++i) list += "," + std::to_string(i);
  folder.write("list.json", list + "]");
  folder.write("weft.yaml", "limits: {crashes_max: 3}\n");
  const std::map<std::string, std::string> environment{{"WEFT_MODEL_URL", "http://127.0.0.1:9/v1"}};
  std::string id;
  std::string waits_for;
  // Where only the unfinished runs were counted, it would take three crashes for each of the eleven.
  int lives = 0;
  for (; lives < 8 && waits_for.empty(); ++lives) {
    Program serve(folder.path(), kServe, environment);
    serve.wait_for_out("\n");
    if (id.empty()) {
      for (int i = 0; i < 10; ++i) REQUIRE(run_program(folder.path(), {"submit", "waits.yaml"}).exit == 0);
      id = run_program(folder.path(), {"submit", "long.yaml", "-i", "l=@list.json"}).out.substr(0, 26);
      REQUIRE(id.size() == 26);
    }
    // It is taken up with the start, where it is.
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    for (const Json& run : json_from(folder, {"runs"})["runs"]) {
      if (run["run_id"] == id && run["waits_for"].is_string()) waits_for = run["waits_for"];
    }
    serve.signal(SIGKILL);
    serve.wait();
  }
  INFO("after " << lives << " lives");
  CHECK(waits_for.find("crashed 3 times in a row") != std::string::npos);
  Program serve(folder.path(), kServe, environment);
  serve.wait_for_out("\n");
  // The others are taken up as ever.
  std::size_t held = 0;
  for (const Json& run : json_from(folder, {"runs"})["runs"]) {
    if (run["workflow"] == "waits") held += run["waits_for"].dump().find("crashed") == std::string::npos;
  }
  CHECK(held == 10);
}

}  // namespace weft::cli
