// Schedules as people use them.
#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/folder.h"

namespace weft::cli {
namespace {

constexpr const char* kDaily = R"(weft: 1
name: daily
on: {schedule: "0 6 * * 1-5", zone: Europe/Berlin, catch_up: 2h}
steps: {a: {set: "{{ run.scheduled_for != null }}"}}
)";

}  // namespace

TEST_CASE("a schedule is made by apply, looked at, paused, resumed and triggered, with a server and without one") {
  const Folder folder;
  folder.write("daily.yaml", kDaily);
  folder.write("plain.yaml", "weft: 1\nname: daily\nsteps: {a: {set: 1}}\n");
  const auto weft = [&](std::vector<std::string> arguments) { return run_program(folder.path(), arguments); };
  CHECK(weft({"schedule", "list"}).exit == 6);  // No store.
  {
    Program serve(folder.path(), kServe, {{"WEFT_MODEL_URL", "http://127.0.0.1:1/v1"}});
    serve.wait_for_out("\n");
    const Outcome apply = weft({"apply", "daily.yaml"});
    INFO(apply.err);
    REQUIRE(apply.exit == 0);
    CHECK(apply.err.find("daily starts by itself: 0 6 * * 1-5 (Europe/Berlin)") != std::string::npos);

    const Json listed = json_of(weft({"schedule", "list", "-o", "json"}).out);
    REQUIRE(listed["schedules"].size() == 1);
    const Json& daily = listed["schedules"][0];
    CHECK(daily["workflow"] == "daily");
    CHECK(daily["served"] == true);
    CHECK(daily["catch_up"] == "within");
    CHECK(daily["catch_up_within_ms"] == 7'200'000);
    CHECK(daily["overlap"] == "skip");
    CHECK(daily["next"].size() == 5);
    CHECK(json_of(weft({"schedule", "show", "daily", "--times", "20", "-o", "json"}).out)["next"].size() == 20);

    const Outcome triggered = weft({"schedule", "trigger", "daily", "--request-id", "by-hand"});
    REQUIRE(triggered.exit == 0);
    CHECK(weft({"schedule", "trigger", "daily", "--request-id", "by-hand"}).out == triggered.out);
    const std::string id = triggered.out.substr(0, triggered.out.size() - 1);
    CHECK(weft({"wait", id, "--timeout", "20s"}).exit == 0);
    CHECK(weft({"output", id}).out == "true\n");

    const Json paused = json_of(weft({"schedule", "pause", "daily", "--reason", "holidays", "-o", "json"}).out);
    CHECK(paused["paused"] == true);
    CHECK(paused["reason"] == "holidays");
    CHECK(weft({"schedule", "show", "daily"}).out.find("holidays") != std::string::npos);
    CHECK(weft({"schedule", "list"}).out.find("paused") != std::string::npos);
    CHECK(json_of(weft({"schedule", "resume", "daily", "-o", "json"}).out)["paused"] == false);

    CHECK(weft({"schedule", "show", "dialy"}).exit == 6);
    CHECK(weft({"schedule", "pause", "nothing"}).exit == 6);
    CHECK(weft({"schedule", "pause"}).exit == 2);
    CHECK(weft({"schedule", "stop", "daily"}).exit == 2);
    serve.signal(SIGTERM);
    CHECK(serve.wait().exit == 0);
  }
  const Outcome at_rest = weft({"schedule", "list", "-o", "json"});
  CHECK(json_of(at_rest.out)["schedules"][0]["served"] == false);
  CHECK(weft({"schedule", "show", "daily"}).err.find("weft serve") != std::string::npos);
  CHECK(weft({"schedule", "trigger", "daily"}).exit == 5);
  // A version without `on` ends it.
  Program serve(folder.path(), kServe, {{"WEFT_MODEL_URL", "http://127.0.0.1:1/v1"}});
  serve.wait_for_out("\n");
  REQUIRE(weft({"apply", "plain.yaml"}).exit == 0);
  CHECK(json_of(weft({"schedule", "list", "-o", "json"}).out)["schedules"].empty());
}

}  // namespace weft::cli
