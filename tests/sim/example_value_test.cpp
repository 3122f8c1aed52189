#include "sim/example_value.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "sim/slices.h"

namespace weft::sim {
namespace {

Json example(std::string_view schema) { return example_value(*parse_untrusted(schema), "Hällo there"); }

}  // namespace

TEST_CASE("the example of a schema fits it") {
  CHECK(example(R"({"type":"string"})") == "Hällo there");
  CHECK(example(R"({"type":"string","maxLength":3})") == "Häl");
  CHECK(example(R"({"type":"string","minLength":13})") == "Hällo there..");
  CHECK(example(R"({"type":"integer","minimum":3.5})") == 4);
  CHECK(example(R"({"type":"integer","maximum":-3})") == -3);
  CHECK(example(R"({"type":"number","exclusiveMinimum":1})") == 1.5);
  CHECK(example(R"({"type":"boolean"})") == true);
  CHECK(example(R"({"enum":["b","a"]})") == "b");
  CHECK(example(R"({"const":{"a":1}})") == Json{{"a", 1}});
  CHECK(example(R"({"type":["null","string"]})") == nullptr);
  CHECK(example(R"({"type":"array","items":{"type":"integer"}})") == Json::array({0}));
  CHECK(example(R"({"type":"array","items":{"type":"integer"},"minItems":2})") == Json::array({0, 0}));
  CHECK(example(R"({"type":"array","maxItems":0})") == Json::array());
  CHECK(example(R"({"type":"object","properties":{"a":{"type":"integer"}}})") == Json::object());
  CHECK(example(R"({"anyOf":[{"type":"integer"},{"type":"null"}]})") == 0);
  CHECK(example(R"({"$ref":"#/$defs/a","$defs":{"a":{"type":"boolean"}}})") == true);
  CHECK(example(R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},)"
                R"({"properties":{"b":{"type":"boolean"}},"required":["b"]}]})") == Json{{"a", 0}, {"b", true}});
}

TEST_CASE("a schema that refers to itself ends") {
  Json made = example(R"({"type":"object","properties":{"l":{"$ref":"#"},"r":{"$ref":"#"}},"required":["l","r"]})");
  CHECK(made.contains("l"));
}

TEST_CASE("the schema is found in the last line that asks for it") {
  std::string prompt = "Do it.\n\nAnswer with one JSON value that fits this JSON Schema: {\"type\":\"null\"}";
  CHECK(schema_asked_for(prompt) == Json{{"type", "null"}});
  CHECK(without_schema(prompt) == "Do it.");
  CHECK_FALSE(schema_asked_for("Do it."));
  CHECK_FALSE(schema_asked_for("Answer with one JSON value that fits this JSON Schema: {"));
}

TEST_CASE("the parts of a JSON text keep their bytes") {
  std::string_view text = R"( { "a" : "x\"}" , "tools": [ {"b": [1, 2]} ,"s,]" , 3.0 ], "z": {} } )";
  CHECK(member_bytes(text, "a") == R"("x\"}")");
  CHECK(member_bytes(text, "z") == "{}");
  CHECK(member_bytes(text, "none").empty());
  auto elements = element_bytes(member_bytes(text, "tools"));
  CHECK(elements == std::vector<std::string_view>{R"({"b": [1, 2]})", R"("s,]")", "3.0"});
  CHECK(element_bytes("[]").empty());
}

}  // namespace weft::sim
