// Tools that a workflow declares with `http:`: what a value, a server or the environment cannot make of a request.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "fixture.h"
#include "shop_flow.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

// The run of one call of the tool `act`, declared by `tool`, with the argument `id`.
v1::Run call_with(World& world, const Shop& shop, const std::string& tool, const std::string& id) {
  world.apply(flow(shop, "  act: " + tool + "\n", "  go: {tool: act, args: {id: \"{{ input.id }}\"}, needs: []}\n",
                   "{id: string}"));
  return world.wait(world.submit("tools", to_text(Json{{"id", id}})));
}

}  // namespace

TEST_CASE("an argument cannot lead a request to another path") {
  Shop shop([](const Shop::Request&) { return Shop::Answer{200, "true"}; });
  World world;
  world.start();
  const std::string remove = "{effect: idempotent, input: {id: string}, http: {delete: \"SHOP/users/{{ args.id }}\"}}";
  for (const char* id : {"..", ".", "", "%2e%2e"}) {
    CAPTURE(id);
    const v1::Run run = call_with(world, shop, remove, id);
    CHECK(run.status() == v1::RUN_STATUS_FAILED);
    CHECK_THAT(run.failure().message(), Catch::Contains("the request of the tool act cannot be formed: {{ args.id }} "
                                                        "would make a segment of the URL's path "));
  }
  CHECK(shop.requests().empty());
  CHECK(call_with(world, shop, remove, "../x?y#z").status() == v1::RUN_STATUS_SUCCEEDED);
  REQUIRE(shop.requests().size() == 1);
  CHECK(shop.requests()[0].path == "/users/..%2Fx%3Fy%23z");
}

TEST_CASE("a workflow's own headers stand once, and no value adds one") {
  Shop shop([](const Shop::Request&) { return Shop::Answer{200, "true"}; });
  World world;
  world.start();
  const std::string send =
      "{effect: idempotent, input: {id: string}, http: {put: \"SHOP/send\", json: \"{{ args }}\", headers: "
      "{content-type: application/vnd.shop+json, Accept: text/csv, X-User: \"{{ args.id }}\"}}}";
  CHECK(call_with(world, shop, send, "ann").status() == v1::RUN_STATUS_SUCCEEDED);
  REQUIRE(shop.requests().size() == 1);
  const std::string head = shop.requests()[0].head;
  CHECK(head.contains("\r\ncontent-type: application/vnd.shop+json\r\n"));
  CHECK_FALSE(head.contains("application/json"));
  CHECK(head.contains("\r\nAccept: text/csv\r\n"));
  for (const char* id : {"ann\r\nX-Admin: 1", "ann\nX-Admin: 1", "ann\x01"}) {
    CAPTURE(id);
    const v1::Run run = call_with(world, shop, send, id);
    CHECK(run.status() == v1::RUN_STATUS_FAILED);
    CHECK_THAT(run.failure().message(),
               Catch::Contains("the value of its header X-User holds a line break or another control character"));
  }
  CHECK(shop.requests().size() == 1);
}

TEST_CASE("a tool's request goes through no proxy of the environment") {
  Shop proxy([](const Shop::Request&) { return Shop::Answer{200, "\"proxy\""}; });
  Shop shop([](const Shop::Request&) { return Shop::Answer{200, "true"}; });
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  ::setenv("ALL_PROXY", proxy.url().c_str(), 1);
  World world;
  world.start();
  const v1::Run run =
      call_with(world, shop, "{effect: read, input: {id: string}, http: {get: \"SHOP/{{ args.id }}\"}}", "a");
  // Nor does one whose host nobody here resolves.
  world.apply(flow(shop, "  act: {effect: read, http: {get: \"http://shop.invalid/\"}}\n", "  go: {tool: act}\n"));
  const v1::Run lost = world.wait(world.submit("tools"));
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
  CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(lost.status() == v1::RUN_STATUS_FAILED);
  CHECK(proxy.requests().empty());
}
