// Who started a run, and whose its contents are.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "fixture.h"

namespace weft::engine::testing {
namespace {

constexpr const char* kKeeps = R"(weft: 1
name: keeps
input: {text: string}
steps:
  one: {set: "{{ input.text }}"}
)";

v1::RunsSubmitRequest keeps(const std::string& text) {
  v1::RunsSubmitRequest request;
  request.set_workflow("keeps");
  request.set_input_json(to_text(Json{{"text", text}}));
  return request;
}

}  // namespace

TEST_CASE("who started a run stands in it, while it works, when it has ended, and with the next engine") {
  World world;
  world.start();
  world.apply(kKeeps);
  v1::RunsSubmitRequest request = keeps("x");
  request.set_by("ci");
  request.set_by_token(true);
  const std::string id = world.submit(request)->run_id();
  CHECK(world.wait(id).by() == "ci");
  CHECK(world.get(id).by_token());
  v1::RunsForkRequest fork;
  fork.set_run_id(id);
  fork.set_from("one");
  fork.set_by("ada");
  const auto forked = call<v1::RunsForkResponse>(world.engine(), &Api::fork, fork);
  REQUIRE(forked);
  CHECK(world.wait(forked->run_id()).by() == "ada");
  CHECK_FALSE(world.get(forked->run_id()).by_token());
  world.stop();
  world.start();
  CHECK(world.get(id).by() == "ci");
  CHECK(world.get(id).by_token());
  request.set_by(std::string(257, 'x'));
  CHECK(world.submit(request).error().code == Code::kInvalidArgument);
}

TEST_CASE("a request id belongs to the token that used it") {
  World world;
  world.start();
  world.apply(kKeeps);
  v1::RunsSubmitRequest request = keeps("x");
  request.set_request_id("once");
  request.set_by("ci");
  request.set_by_token(true);
  const auto first = world.submit(request);
  REQUIRE(first);
  CHECK(world.submit(request)->existing());
  request.set_by("other");
  CHECK(world.submit(request).error().code == Code::kAlreadyExists);
  // A claim is no identity: on the socket the same id is the same run, whoever says to send it.
  v1::RunsSubmitRequest claimed = keeps("x");
  claimed.set_request_id("twice");
  claimed.set_by("ada");
  const auto second = world.submit(claimed);
  claimed.set_by("bob");
  CHECK(world.submit(claimed)->run_id() == second->run_id());
}

TEST_CASE("a long content is read in pieces, of its run and of no other") {
  World world;
  world.start();
  world.apply(kKeeps);
  const std::string text(100'000, 'x');
  const v1::Run run = world.wait(world.submit(keeps(text))->run_id());
  const v1::Run other = world.wait(world.submit(keeps("short"))->run_id());
  REQUIRE(run.output_json().has_blob());
  const std::string& name = run.output_json().blob().sha256();
  std::string read;
  while (read.size() < text.size() + 2) {
    const auto piece = world.engine().content_piece(run.id().substr(0, 25), name, read.size(), 30'000);
    REQUIRE(piece);
    REQUIRE_FALSE(piece->bytes.empty());
    CHECK(piece->size == text.size() + 2);
    read += piece->bytes;
  }
  CHECK(read == "\"" + text + "\"");
  CHECK(world.engine().content_piece(other.id(), name, 0, 1).error().code == Code::kNotFound);
  CHECK(world.engine().content_piece("nobody", name, 0, 1).error().code == Code::kNotFound);
  CHECK(world.engine().content_piece("", name, 0, 1).error().code == Code::kInvalidArgument);
  CHECK(world.engine().content_piece(run.id(), "short", 0, 1).error().code == Code::kInvalidArgument);
}

TEST_CASE("a replay that nobody waits for any more ends between two pages") {
  World world;
  world.start();
  world.apply(kKeeps);
  v1::TracesReplayRequest request;
  request.set_run_id(world.wait(world.submit(keeps("x"))->run_id()).id());
  CHECK(world.engine().replay(request, [] { return true; }).error().code == Code::kCancelled);
  CHECK(world.engine().replay(request, [] { return false; }));
}

}  // namespace weft::engine::testing
