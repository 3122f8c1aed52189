// What tests of a run's past share: an order at a shop, its forks, and what a replay says of them.
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <string>

#include "fixture.h"
#include "tests/shop.h"

namespace weft::engine::testing {

using test::Shop;

inline Result<v1::RunsRetryResponse> retry(World& world, const std::string& id) {
  v1::RunsRetryRequest request;
  request.set_run_id(id);
  request.set_reason("the provider is back");
  return call(world.engine(), &Api::retry, request);
}

inline v1::RunsForkRequest fork_of(const std::string& id, const std::string& from) {
  v1::RunsForkRequest request;
  request.set_run_id(id);
  request.set_from(from);
  return request;
}

inline std::string fork(World& world, const v1::RunsForkRequest& request) {
  const auto forked = call(world.engine(), &Api::fork, request);
  if (!forked) FAIL(forked.error().message);
  return forked->run_id();
}

inline v1::TracesReplayResponse replay(World& world, const std::string& id) {
  v1::TracesReplayRequest request;
  request.set_run_id(id);
  request.set_deep(true);
  const auto replayed = world.engine().replay(request);
  if (!replayed) FAIL(replayed.error().message);
  for (const v1::Difference& difference : replayed->differences()) {
    UNSCOPED_INFO(difference.seq() << " " << difference.path() << ": " << difference.what());
  }
  return *replayed;
}

inline std::string shop_flow(const Shop& shop) {
  std::string text = R"(
weft: 1
name: order
input: {who: {type: string, default: ann}}
tools:
  charge:
    effect: write
    input: {id: string}
    http: {post: "SHOP/charge", json: "{{ args }}", idempotency_key: "{{ call.key }}"}
  ship:
    effect: write
    input: {id: string}
    http: {post: "SHOP/ship", json: "{{ args }}", idempotency_key: "{{ call.key }}"}
steps:
  think: {prompt: "Think of {{ input.who }}."}
  pay: {tool: charge, args: {id: a}, needs: [think]}
  write: {prompt: "Write after {{ steps.think.text }}.", needs: [pay]}
  send: {tool: ship, args: {id: "{{ steps.write.text }}"}}
returns: "{{ steps.write.text }}"
)";
  for (std::size_t at = text.find("SHOP/"); at != std::string::npos; at = text.find("SHOP/")) {
    text.replace(at, 4, shop.url());
  }
  return text;
}

// As above, where a charge is given back when its run fails.
inline std::string with_undo(const Shop& shop) {
  std::string flow = shop_flow(shop);
  flow.insert(flow.find("  ship:\n"), R"(  give_back:
    effect: idempotent
    input: {id: string}
    http: {post: "SHOP/give-back", json: "{{ args }}", idempotency_key: "{{ call.key }}"}
)");
  flow.replace(flow.find("SHOP/"), 4, shop.url());
  flow.insert(flow.find("    input: {id: string}"), "    undo: {tool: give_back}\n");
  return flow;
}

// Does all that is asked, but for one thing while it is `down`.
inline Shop::Serve refuses(const std::string& path, const std::atomic<bool>& down) {
  return [path, &down](const Shop::Request& request) {
    return Shop::Answer{down && request.path == path ? 400 : 200, R"({"ok": true})"};
  };
}

}  // namespace weft::engine::testing
