#include "runtime/cli/grammar/inputs.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/folder.h"
#include "workflows/loader.h"

namespace weft::cli {
namespace {

std::shared_ptr<const workflows::Workflow> workflow() {
  workflows::Bundle bundle;
  bundle.file = "flow.yaml";
  bundle.text = R"(
weft: 1
name: flow
input:
  name: string
  count: integer
  share: number?
  loud: boolean?
  kind: {enum: [small, large]}
  tags: [string]
  extra: any?
steps:
  one: {set: 1}
)";
  auto loaded = workflows::load(bundle, {});
  for (const auto& diagnostic : loaded.diagnostics) UNSCOPED_INFO(workflows::to_text(diagnostic));
  REQUIRE(loaded.workflow);
  return loaded.workflow;
}

Json read(const std::vector<std::string>& given) {
  auto inputs = read_inputs(*workflow(), given);
  if (!inputs) FAIL(inputs.error().message);
  return *inputs;
}

Error refused(const std::vector<std::string>& given) {
  auto inputs = read_inputs(*workflow(), given);
  REQUIRE_FALSE(inputs);
  return inputs.error();
}

}  // namespace

TEST_CASE("an input is read by its declared shape") {
  CHECK(to_text(read({"name=3", "count=3", "share=0.5", "loud=true", "kind=small", "tags=[\"a\"]"})) ==
        R"({"name":"3","count":3,"share":0.5,"loud":true,"kind":"small","tags":["a"]})");
  CHECK(to_text(read({"name=a=b", "extra={\"a\":1}"})) == R"({"name":"a=b","extra":{"a":1}})");
  CHECK(to_text(read({"extra=plain words"})) == R"({"extra":"plain words"})");
  CHECK(to_text(read({"name="})) == R"({"name":""})");
}

TEST_CASE("a value that its shape cannot be is refused with both") {
  const Error error = refused({"count=many"});
  CHECK(error.code == Code::kInvalidArgument);
  CHECK(error.message == R"(input "count": expected integer, got "many")");
  CHECK(refused({"tags=a"}).code == Code::kInvalidArgument);
}

TEST_CASE("an unknown input names the nearest, and one without a value says how it is written") {
  CHECK(refused({"nmae=x"}).message.find("did you mean \"name\"?") != std::string::npos);
  CHECK(refused({"name"}).message.find("NAME=VALUE") != std::string::npos);
  CHECK(refused({"name=a", "name=b"}).message.find("twice") != std::string::npos);
}

TEST_CASE("an input can be a file's content") {
  const Folder folder;
  std::ofstream(folder / "text") << "line one\nline two\n";
  CHECK(read({"name=@" + (folder / "text")})["name"] == "line one\nline two\n");
  CHECK(refused({"name=@" + (folder / "missing")}).code == Code::kNotFound);
}

}  // namespace weft::cli
