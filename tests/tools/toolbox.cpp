#include <catch2/catch.hpp>

#include "tests/tools/file_fixture.h"

namespace weft::tools::test {

TEST_CASE("a toolbox finds its tools by name and shows them in the order of their names") {
  const Files files;
  Toolbox box;
  REQUIRE(add_file_tools(box, files.root().string()));
  std::vector<std::string> names;
  for (const ToolSpec* spec : box.specs()) names.push_back(spec->name);
  CHECK(names == std::vector<std::string>{"fs.append", "fs.list", "fs.read", "fs.search"});
  CHECK(box.find("fs.read")->spec().effect == Effect::kRead);
  CHECK(box.find("fs.append")->spec().effect == Effect::kWrite);
  CHECK(box.find("fs.delete") == nullptr);
  CHECK(box.find("") == nullptr);
}

TEST_CASE("the specs are the same without a root, and their schemas are closed and canonical") {
  for (const ToolSpec& spec : file_tool_specs()) {
    CAPTURE(spec.name);
    const auto schema = parse_untrusted(spec.input_schema);
    REQUIRE(schema);
    CHECK(to_text(*schema) == spec.input_schema);
    CHECK((*schema)["type"] == "object");
    CHECK((*schema)["additionalProperties"] == false);
    CHECK_FALSE(spec.description.empty());
  }
  CHECK(file_tool_specs().size() == 4);
}

TEST_CASE("effects have names, and only two change the world") {
  CHECK(effect_name(Effect::kPure) == "pure");
  CHECK(effect_name(Effect::kRead) == "read");
  CHECK(effect_name(Effect::kIdempotent) == "idempotent");
  CHECK(effect_name(Effect::kWrite) == "write");
  CHECK_FALSE(changes_world(Effect::kRead));
  CHECK(changes_world(Effect::kIdempotent));
  CHECK(changes_world(Effect::kWrite));
}

TEST_CASE("a root that is no folder is refused, and a root may be given through a link") {
  const Files files;
  files.write("a.txt", "x");
  Toolbox box;
  CHECK(add_file_tools(box, files.root() / "a.txt").error().code == Code::kInvalidArgument);
  CHECK(add_file_tools(box, files.root() / "none").error().code == Code::kNotFound);
  CHECK(add_file_tools(box, "").error().code == Code::kNotFound);
  CHECK(box.specs().empty());
  std::filesystem::create_directory_symlink(files.root(), files.outside() / "link");
  REQUIRE(add_file_tools(box, files.outside() / "link"));
  CHECK(box.find("fs.read")->run({"fs.read", R"({"path":"a.txt"})", ""}, Cancelled(false)).status == ToolStatus::kDone);
}

TEST_CASE("arguments that do not fit are refused in words") {
  const Files files;
  CHECK(files.refusal("fs.read", Json::array()) == "the arguments are not a JSON object");
  CHECK(files.refusal("fs.read", Json::object()) == "'path' is missing");
  CHECK(files.refusal("fs.read", {{"path", 3}}) == "'path' is a string");
  CHECK(files.refusal("fs.read", {{"path", "a"}, {"from_line", 0}}) ==
        "'from_line' is an integer from 1 to 1000000000");
  CHECK(files.refusal("fs.read", {{"path", "a"}, {"lines", 1.5}}) == "'lines' is an integer from 1 to 1000000000");
  CHECK(files.refusal("fs.list", {{"depth", 9}}) == "'depth' is an integer from 1 to 8");
  CHECK(files.refusal("fs.search", Json::object()) == "'pattern' is missing");
  CHECK(files.refusal("fs.append", {{"path", "a"}}) == "'line' is missing");
}

TEST_CASE("a call that nobody waits for any more ends without a result and without an effect") {
  const Files files;
  files.write("a.txt", "x\n");
  const Cancelled cancelled = true;
  for (const char* tool : {"fs.list", "fs.read", "fs.search", "fs.append"}) {
    const Json arguments = {{"path", "a.txt"}, {"pattern", "x"}, {"line", "y"}};
    CHECK(files.call(tool, arguments, cancelled).status == ToolStatus::kFailed);
  }
  CHECK(files.content("a.txt") == "x\n");
}

}  // namespace weft::tools::test
