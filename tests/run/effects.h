// Workflows whose tools change the world, and what their runs did.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "driver.h"

namespace weft::run::testing {

inline constexpr const char* kTools = R"(weft: 1
name: effects
tools:
  look: {effect: read, input: {id: string}, http: {get: "http://shop.example/{{ args.id }}"}}
  refund: {effect: write, input: {id: string}, http: {post: "http://shop.example/r", idempotency_key: "{{ call.key }}"}}
  put: {effect: idempotent, key_ttl: 1h, input: {id: string}, http: {put: "http://shop.example/p"}}
  seen: {effect: write, verify: look, input: {id: string}, http: {post: "http://shop.example/s"}}
  gone: {effect: write, on_doubt: skip, input: {id: string}, http: {post: "http://shop.example/g"}}
  stop: {effect: write, on_doubt: fail, input: {id: string}, http: {post: "http://shop.example/f"}}
  again: {effect: write, on_doubt: retry, input: {id: string}, http: {post: "http://shop.example/a"}}
  note: {effect: write, repeatable: true, input: {id: string}, http: {post: "http://shop.example/n"}}
  named: {effect: write, input: {id: string, text: string}, http: {post: "http://shop.example/k", idempotency_key: "order-{{ args.id }}"}}
  cancel_it: {effect: idempotent, input: {id: string}, http: {delete: "http://shop.example/{{ args.id }}"}}
  book: {effect: write, undo: {tool: cancel_it, args: {id: "{{ output.booking }}"}}, input: {id: string}, http: {post: "http://shop.example/b"}}
)";

inline std::shared_ptr<const workflows::Workflow> with_tools(const std::string& steps) {
  return workflow(kTools + ("steps:\n" + steps));
}

inline std::vector<std::string> keys_of(const Driver& driver) {
  std::vector<std::string> keys;
  for (const v1::Event& event : driver.events()) {
    if (event.has_tool_call_started()) keys.push_back(event.tool_call_started().key());
  }
  return keys;
}

inline const v1::Event& last_of(const Driver& driver, v1::Event::KindCase kind) {
  const v1::Event* found = nullptr;
  for (const v1::Event& event : driver.events()) {
    if (event.kind_case() == kind) found = &event;
  }
  REQUIRE(found != nullptr);
  return *found;
}

// Puts one call of a tool in doubt, as a crash between its intent and its result does.
inline std::unique_ptr<Driver> crashed(const std::string& tool) {
  Driver driver(with_tools("  act: {tool: " + tool + ", args: {id: a}, needs: []}\n"));
  driver.submit();
  REQUIRE(driver.count(v1::Event::kToolCallStarted) == 1);
  return driver.restarted();
}

// Gives calls in the order in which the model makes them, one turn each, then an answer.
inline Driver::Model in_turns(std::vector<std::pair<std::string, std::string>> turns) {
  return [turns = std::move(turns)](const ModelCall& call) {
    if (call.key.turn > turns.size()) return answer("done");
    v1::Event event = answer("");
    v1::RequestedCall& requested = *event.mutable_model_call_ended()->add_calls();
    requested.set_id("c");
    requested.set_tool(turns[call.key.turn - 1].first);
    requested.set_wire_name(turns[call.key.turn - 1].first);
    requested.mutable_arguments()->set_inline_(turns[call.key.turn - 1].second);
    return event;
  };
}

}  // namespace weft::run::testing
