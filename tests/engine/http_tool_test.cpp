// Tools that a workflow declares with `http:`: what goes out, what is known from what comes back, and who may run
// beside whom.
#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.h"
#include "fixture.h"
#include "shop_flow.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;
using test::Shop;

namespace {

constexpr const char* kRefund = R"(
  refund:
    effect: write
    input: {id: string}
    http: {post: "SHOP/refunds", json: "{{ args }}", idempotency_key: "{{ call.key }}"}
)";
constexpr const char* kAct = "  act: {tool: refund, args: {id: a}, needs: []}\n";

struct Seen final : Watcher {
  std::atomic<bool> rests = false;
  void on_advance(std::uint64_t, std::shared_ptr<const v1::Run>) override {}
  void on_rest() override { rests = true; }
  void on_progress(const v1::Progress&) override {}
};

}  // namespace

TEST_CASE("a call is one request: method, encoded URL, headers, token, body and key") {
  Shop shop([](const Shop::Request&) { return Shop::Answer{200, R"({"ok": true, "token": "s3cret-token"})"}; });
  World world;
  world.variables["SHOP_TOKEN"] = "s3cret-token";
  world.secrets = {"SHOP_TOKEN"};
  world.start();
  world.apply(flow(shop, R"(
  change:
    effect: idempotent
    input: {id: string, n: number}
    http:
      put: "SHOP/orders/{{ args.id }}?n={{ args.n }}"
      bearer: SHOP_TOKEN
      headers: {X-Call: "{{ call.id }}"}
      json: {order: "{{ args.id }}", note: "for {{ args.id }}"}
      idempotency_key: "{{ call.key }}"
)",
                   "  act: {tool: change, args: {id: \"../a b?c=1\", n: 2}, needs: []}\n"));
  const std::string id = world.submit("tools");
  const v1::Run run = world.wait(id);
  CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(run.output_json().inline_() == R"({"ok":true,"token":"[secret SHOP_TOKEN]"})");
  const auto requests = shop.requests();
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].method == "PUT");
  CHECK(requests[0].path == "/orders/..%2Fa%20b%3Fc%3D1?n=2");
  CHECK(requests[0].header("Authorization") == "Bearer s3cret-token");
  CHECK(requests[0].header("X-Call") == id + "/act");
  CHECK(requests[0].header("Content-Type") == "application/json");
  CHECK(requests[0].body == R"({"order":"../a b?c=1","note":"for ../a b?c=1"})");
  CHECK(requests[0].key.size() == 32);
  // The secret is in no event.
  for (const v1::Event& event : world.events(id)) CHECK(event.ShortDebugString().find("s3cret") == std::string::npos);
}

TEST_CASE(
    "a secret that the policy does not name is refused when the workflow is applied, and when it is forbidden later") {
  Shop shop([](const Shop::Request&) { return Shop::Answer{}; });
  const std::string text =
      flow(shop, "  look: {effect: read, http: {get: \"SHOP/\", bearer: SHOP_TOKEN}}\n", "  act: {tool: look}\n");
  World world;
  world.variables["SHOP_TOKEN"] = "s3cret-token";
  world.start();
  v1::WorkflowsCheckRequest check;
  check.mutable_bundle()->set_file("test.yaml");
  check.mutable_bundle()->set_text(text);
  const auto refused = world.engine().check(check);
  REQUIRE(refused);
  REQUIRE(refused->diagnostics_size() == 1);
  CHECK(refused->diagnostics(0).message() ==
        "no workflow here may use the secret SHOP_TOKEN: allow it in weft.yaml with policy: {secrets: [SHOP_TOKEN]}");
  world.stop();
  world.secrets = {"SHOP_TOKEN"};
  world.start();
  world.apply(text);
  CHECK(world.wait(world.submit("tools")).status() == v1::RUN_STATUS_SUCCEEDED);
  world.stop();
  world.secrets.clear();
  world.start();
  const v1::Run run = world.wait(world.submit("tools"));
  CHECK(run.status() == v1::RUN_STATUS_FAILED);
  CHECK(run.failure().message().find("no workflow here may use the secret") == 0);
  CHECK(shop.requests().size() == 1);
}

TEST_CASE("what an answer's status says: done, nothing done, later with the same key, or not known") {
  std::atomic<int> calls = 0;
  std::vector<int> statuses;
  Shop shop([&](const Shop::Request&) {
    const auto at = static_cast<std::size_t>(calls++);
    return Shop::Answer{at < statuses.size() ? statuses[at] : 200, "\"body\""};
  });
  World world;
  world.start();
  world.apply(
      flow(shop, kRefund, "  act: {tool: refund, args: {id: a}, needs: [], retry: {attempts: 3, backoff: 10ms}}\n"));
  SECTION("404 is an end of that key, 429 is not") {
    statuses = {429, 404};
    const v1::Run run = world.wait(world.submit("tools"));
    CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
    const auto requests = shop.requests();
    REQUIRE(requests.size() == 3);
    CHECK(requests[0].key == requests[1].key);
    CHECK(requests[1].key != requests[2].key);
  }
  SECTION("422 fails with the body") {
    statuses = {422, 422, 422};
    const v1::Run run = world.wait(world.submit("tools"));
    CHECK(run.status() == v1::RUN_STATUS_FAILED);
    CHECK(run.failure().kind() == v1::ERROR_KIND_TOOL_FAILED);
    CHECK(run.failure().message() == fmt::format("POST {}/refunds answered 422: \"body\"", shop.url()));
  }
  SECTION("500 and a redirect leave a write in doubt, whatever its step's retry says") {
    for (const int status : {500, 303}) {
      calls = 0;
      statuses = {status};
      const std::string id = world.submit("tools");
      const v1::Run run = world.rest(id);
      CHECK(run.status() == v1::RUN_STATUS_IN_DOUBT);
      REQUIRE(run.doubts_size() == 1);
      CHECK(run.doubts(0).path() == "act");
      CHECK(run.doubts(0).tool() == "refund");
      CHECK(run.waits_for() ==
            fmt::format("somebody who knows whether refund was done: weft resolve {} act done|retry|skip", id));
      CHECK(calls == 1);
    }
  }
}

TEST_CASE("a reused connection that dies right after the effect is one request and one doubt") {
  std::atomic<int> refunds = 0;
  Shop shop([&](const Shop::Request& request) {
    if (request.path == "/look") return Shop::Answer{};
    ++refunds;
    return Shop::Answer{.status = 200, .body = "", .silent = true};
  });
  World world;
  world.start();
  world.apply(flow(shop, std::string(kRefund) + "  look: {effect: read, http: {get: \"SHOP/look\"}}\n",
                   "  first: {tool: look}\n  act: {tool: refund, args: {id: a}, needs: [first], timeout: 300ms}\n"));
  const std::string id = world.submit("tools");
  v1::Run run = world.rest(id);
  CHECK(run.status() == v1::RUN_STATUS_IN_DOUBT);
  const auto requests = shop.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].connection == requests[1].connection);  // It was a reused one.
  CHECK(refunds == 1);

  const auto seen = std::make_shared<Seen>();
  REQUIRE(world.engine().watch(id, seen));
  CHECK(seen->rests);
  // The step's timeout stands still while it waits.
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  CHECK(world.get(id).status() == v1::RUN_STATUS_IN_DOUBT);

  CHECK(world.resolve(id, "first", v1::RESOLUTION_DONE).error().message ==
        fmt::format("nothing is in doubt at \"first\" of run {}; these calls are: act", id));
  REQUIRE(world.resolve(id, "act", v1::RESOLUTION_UNKNOWN));
  CHECK(world.rest(id).doubts_size() == 1);
  const auto resolved = world.resolve(id, "act", v1::RESOLUTION_DONE, R"({"id": "r1"})");
  REQUIRE(resolved);
  CHECK(resolved->run().doubts_open() == 0);
  run = world.wait(id);
  CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(run.output_json().inline_() == R"({"id":"r1"})");
  CHECK(world.resolve(id, "act", v1::RESOLUTION_DONE).error().code == Code::kFailedPrecondition);
  CHECK(refunds == 1);
}

TEST_CASE("a doubt outlives the engine, and its resolution is checked") {
  Shop shop([&](const Shop::Request&) { return Shop::Answer{.status = 200, .body = "", .silent = true}; });
  World world;
  world.start();
  world.apply(flow(shop, kRefund, kAct));
  const std::string id = world.submit("tools");
  CHECK(world.rest(id).status() == v1::RUN_STATUS_IN_DOUBT);
  world.stop();
  world.start();
  CHECK(world.rest(id).status() == v1::RUN_STATUS_IN_DOUBT);
  CHECK(eventually([&] { return world.engine().active_runs() == 0; }));
  CHECK(world.resolve(id, "act", v1::RESOLUTION_DONE, "not json").error().code == Code::kInvalidArgument);
  CHECK(world.resolve(id, "act", v1::RESOLUTION_SKIP, "1").error().code == Code::kInvalidArgument);
  CHECK(world.resolve(id, "act", v1::RESOLUTION_FAIL).error().code == Code::kInvalidArgument);
  CHECK(world.resolve("nobody", "act", v1::RESOLUTION_DONE).error().code == Code::kNotFound);
  REQUIRE(world.resolve(id, "act", v1::RESOLUTION_SKIP));
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(shop.requests().size() == 1);
}

TEST_CASE("what somebody lets leave again has the key that it had, or a new one where they say so") {
  const bool is_new = GENERATE(false, true);
  std::atomic<int> calls = 0;
  Shop shop([&](const Shop::Request&) {
    return calls++ == 0 ? Shop::Answer{.status = 200, .body = "", .silent = true} : Shop::Answer{200, "7"};
  });
  World world;
  world.start();
  world.apply(flow(shop, kRefund, kAct));
  const std::string id = world.submit("tools");
  REQUIRE(world.rest(id).status() == v1::RUN_STATUS_IN_DOUBT);
  v1::RunsResolveRequest request;
  request.set_run_id(id);
  request.set_path("act");
  request.set_resolution(v1::RESOLUTION_SKIP);
  request.set_reason("asked the shop");
  request.set_new_key(is_new);
  if (is_new) CHECK(call(world.engine(), &Api::resolve, request).error().code == Code::kInvalidArgument);
  request.set_resolution(v1::RESOLUTION_RETRY);
  REQUIRE(call(world.engine(), &Api::resolve, request));
  CHECK(world.wait(id).output_json().inline_() == "7");
  const auto keys = shop.keys("/refunds");
  REQUIRE(keys.size() == 2);
  CHECK((keys[0] != keys[1]) == is_new);
}

TEST_CASE("a call in doubt of a cancelled run does not leave again, and who asks for it is told so") {
  Shop shop([&](const Shop::Request&) { return Shop::Answer{.status = 200, .body = "", .silent = true}; });
  World world;
  world.start();
  world.apply(flow(shop, kRefund, kAct));
  const std::string id = world.submit("tools");
  REQUIRE(world.rest(id).status() == v1::RUN_STATUS_IN_DOUBT);
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::cancel, cancel));
  const auto again = world.resolve(id, "act", v1::RESOLUTION_RETRY);
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Code::kFailedPrecondition);
  REQUIRE(world.resolve(id, "act", v1::RESOLUTION_DONE));
  CHECK(world.wait(id).status() == v1::RUN_STATUS_CANCELLED);
  CHECK(shop.requests().size() == 1);
}

TEST_CASE("an idempotent call that lost its answer leaves again with its key") {
  std::atomic<int> calls = 0;
  Shop shop([&](const Shop::Request&) {
    return calls++ == 0 ? Shop::Answer{.status = 200, .body = "", .silent = true} : Shop::Answer{200, "7"};
  });
  World world;
  world.start();
  world.apply(flow(shop, R"(
  refund: {effect: idempotent, input: {id: string}, http: {post: "SHOP/r", idempotency_key: "{{ call.key }}"}}
)",
                   "  act: {tool: refund, args: {id: a}, needs: [], retry: {backoff: 10ms}}\n"));
  const v1::Run run = world.wait(world.submit("tools"));
  CHECK(run.output_json().inline_() == "7");
  const auto requests = shop.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].key == requests[1].key);
}

TEST_CASE("the tool that verify names is asked over HTTP: 404 is not done, a body is the result") {
  std::atomic<int> refunds = 0;
  std::atomic<bool> done = false;
  Shop shop([&](const Shop::Request& request) {
    if (request.method == "GET") return done ? Shop::Answer{200, R"({"refund": 1})"} : Shop::Answer{404, "no"};
    return refunds++ == 0 ? Shop::Answer{.status = 200, .body = "", .silent = true} : Shop::Answer{200, "2"};
  });
  World world;
  world.start();
  world.apply(flow(shop, R"(
  look: {effect: read, input: {key: string}, http: {get: "SHOP/by-key/{{ args.key }}"}}
  refund:
    effect: write
    input: {id: string}
    verify: {tool: look, args: {key: "{{ call.key }}"}}
    http: {post: "SHOP/r", idempotency_key: "{{ call.key }}"}
)",
                   kAct));
  SECTION("done") {
    done = true;
    CHECK(world.wait(world.submit("tools")).output_json().inline_() == R"({"refund":1})");
    CHECK(refunds == 1);
  }
  SECTION("not done") {
    CHECK(world.wait(world.submit("tools")).output_json().inline_() == "2");
    CHECK(refunds == 2);
  }
  const auto requests = shop.requests();
  CHECK(requests[1].path == "/by-key/" + requests[0].key);
}

TEST_CASE("the tool that verify names may say itself whether it was done, and 410 says that it was not") {
  const auto [status, body, refunds_wanted, output] =
      GENERATE(table<int, std::string, int, std::string>({{410, "gone", 2, "2"},
                                                          {200, R"({"done": false, "output": 5})", 2, "2"},
                                                          {200, R"({"done": true, "output": 5})", 1, "5"},
                                                          {200, "[]", 2, "2"},
                                                          {200, "", 2, "2"},
                                                          {204, "", 2, "2"},
                                                          {200, "\"\"", 2, "2"},
                                                          {200, "\n", 2, "2"},
                                                          {200, " \t\r\n", 2, "2"},
                                                          {200, "\" \"", 2, "2"},
                                                          {200, "null\n", 2, "2"},
                                                          {200, "false", 2, "2"},
                                                          {200, "0", 1, "0"},
                                                          {200, "r1", 1, "\"r1\""}}));
  INFO(status << " " << body);
  std::atomic<int> refunds = 0;
  Shop shop([&](const Shop::Request& request) {
    if (request.method == "GET") return Shop::Answer{status, body};
    return refunds++ == 0 ? Shop::Answer{.status = 200, .body = "", .silent = true} : Shop::Answer{200, "2"};
  });
  World world;
  world.start();
  world.apply(flow(shop, R"(
  look: {effect: read, input: {id: string}, http: {get: "SHOP/{{ args.id }}"}}
  refund: {effect: write, input: {id: string}, verify: look, http: {post: "SHOP/r", idempotency_key: "{{ call.key }}"}}
)",
                   kAct));
  CHECK(world.wait(world.submit("tools")).output_json().inline_() == output);
  CHECK(refunds == refunds_wanted);
}

TEST_CASE("calls with one concurrency key run one after another, those with others beside them") {
  std::atomic<int> at_once[2] = {0, 0};
  std::atomic<int> most[2] = {0, 0};
  std::atomic<int> all = 0;
  std::atomic<int> all_most = 0;
  Shop shop([&](const Shop::Request& request) {
    const int repo = request.path.ends_with("a") ? 0 : 1;
    const int now = ++at_once[repo];
    const int together = ++all;
    if (now > most[repo]) most[repo] = now;
    if (together > all_most) all_most = together;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    --all;
    --at_once[repo];
    return Shop::Answer{};
  });
  World world;
  world.start();
  world.apply(flow(shop, R"(
  push:
    effect: idempotent
    input: {repo: string, n: integer}
    concurrency: {key: "{{ args.repo }}", limit: 1}
    http: {put: "SHOP/{{ args.n }}/{{ args.repo }}"}
)",
                   R"(
  all:
    for_each: {in: "[1, 2, 3, 4, 5, 6, 7, 8]", key: item}
    needs: []
    tool: push
    args: {n: "{{ item }}", repo: "{{ item % 2 == 0 ? 'a' : 'b' }}"}
)"));
  const std::string first = world.submit("tools");
  const std::string second = world.submit("tools");
  CHECK(world.wait(first).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.wait(second).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(shop.requests().size() == 16);
  CHECK(most[0] == 1);
  CHECK(most[1] == 1);
  CHECK(all_most == 2);
}

TEST_CASE("a run that is cancelled while its call waits for a place leaves the place to the next") {
  std::atomic<bool> go_on = false;
  Shop shop([&](const Shop::Request&) {
    eventually([&] { return go_on.load(); });
    return Shop::Answer{};
  });
  World world;
  world.start();
  world.apply(flow(shop, R"(
  push: {effect: write, concurrency: {limit: 1}, http: {post: "SHOP/", idempotency_key: "{{ call.key }}"}}
)",
                   "  act: {tool: push, needs: []}\n"));
  const std::string holds = world.submit("tools");
  REQUIRE(eventually([&] { return shop.requests().size() == 1; }));
  const std::string waits = world.submit("tools");
  const std::string next = world.submit("tools");
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(waits);
  world.engine().cancel(cancel, [](Result<v1::RunsCancelResponse>) {});
  const v1::Run cancelled = world.wait(waits);
  CHECK(cancelled.status() == v1::RUN_STATUS_CANCELLED);
  CHECK(cancelled.doubts_open() == 0);  // It had not begun.
  go_on = true;
  CHECK(world.wait(holds).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.wait(next).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(shop.requests().size() == 2);
}

TEST_CASE("equal calls of a tool that is shared are one request") {
  std::atomic<bool> go_on = false;
  Shop shop([&](const Shop::Request&) {
    eventually([&] { return go_on.load(); });
    return Shop::Answer{200, "5"};
  });
  World world;
  world.start();
  world.apply(flow(shop, R"(
  look: {effect: read, input: {id: string}, concurrency: {share: true}, http: {get: "SHOP/{{ args.id }}"}}
)",
                   "  all: {for_each: \"['a', 'a', 'b', 'a']\", tool: look, args: {id: \"{{ item }}\"}}\n"));
  const std::string id = world.submit("tools");
  REQUIRE(eventually([&] { return shop.requests().size() == 2; }));
  go_on = true;
  CHECK(world.wait(id).output_json().inline_() == "[5,5,5,5]");
  CHECK(shop.requests().size() == 2);
}

TEST_CASE("a failed run takes back what its tools did") {
  Shop shop([](const Shop::Request& request) {
    if (request.path == "/bad") return Shop::Answer{400, "no"};
    return Shop::Answer{200, R"({"booking": "b7"})"};
  });
  World world;
  world.start();
  world.apply(flow(shop, R"(
  unbook: {effect: idempotent, input: {id: string}, http: {delete: "SHOP/bookings/{{ args.id }}"}}
  book:
    effect: write
    input: {id: string}
    undo: {tool: unbook, args: {id: "{{ output.booking }}"}}
    http: {post: "SHOP/bookings", idempotency_key: "{{ call.key }}"}
  bad: {effect: write, http: {post: "SHOP/bad", idempotency_key: "{{ call.key }}"}}
)",
                   "  one: {tool: book, args: {id: x}, needs: []}\n  two: {tool: bad, needs: [one]}\n"));
  const v1::Run run = world.wait(world.submit("tools"));
  CHECK(run.status() == v1::RUN_STATUS_FAILED);
  CHECK(shop.count("/bookings/b7") == 1);
  CHECK(shop.requests().back().method == "DELETE");
}
