#include "base/json.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

namespace weft {
namespace {

TEST_CASE("what is parsed is written again in the same order and shape") {
  for (const char* text : {R"({"b":1,"a":[true,false,null,-5,1.5,"x\n\"é"],"c":{}})", "[]", "\"\"", "0",
                           "-9007199254740993", "9223372036854775807"}) {
    const auto value = parse_untrusted(text);
    REQUIRE(value);
    CHECK(to_text(*value) == text);
  }
  CHECK(to_text(*parse_untrusted(" [ 1.0 , 1e3 , 0.10 ] ")) == "[1,1000,0.1]");
  CHECK(to_text(*parse_untrusted(R"("\u00e9\ud83d\ude00\u0001")")) == "\"é😀\\u0001\"");
}

TEST_CASE("what is not JSON is refused with the byte, and never throws") {
  for (const char* bad : {"", " ", "{", "[1,]", "{\"a\":1,}", "{'a':1}", "[NaN]", "[1e999]", "01", "nul", "1 2", "{} x",
                          "\"\x01\"", "\"\xFF\"", "\"\\ud83d\"", "{\"a\":1,\"a\":2}", "[\"a\\x\"]", "\xEF\xBB\xBF x"}) {
    INFO(bad);
    const auto value = parse_untrusted(bad);
    REQUIRE_FALSE(value);
    CHECK(value.error().code == Code::kInvalidArgument);
    CHECK_FALSE(value.error().message.empty());
  }
}

TEST_CASE("duplicate keys are found in wide objects too") {
  std::string wide = "{";
  for (int i = 0; i < 1000; ++i) wide += "\"k" + std::to_string(i) + "\":0,";
  CHECK(parse_untrusted(wide + "\"x\":0}"));
  CHECK_FALSE(parse_untrusted(wide + "\"k7\":0}"));
}

TEST_CASE("size, depth and number of values are bounded, and the error names the limit") {
  const auto limit = [](std::string_view text, const JsonLimits& limits) {
    const auto value = parse_untrusted(text, limits);
    if (value) return std::string("none");
    CHECK(value.error().code == Code::kResourceExhausted);
    return value.error().details.at(0).value;
  };
  CHECK(limit("[1,2,3]", {.bytes_max = 6}) == "json_bytes_max");
  CHECK(limit("[1,2,3]", {.bytes_max = 7}) == "none");
  CHECK(limit("[[[]]]", {.depth_max = 2}) == "json_depth_max");
  CHECK(limit("[[[]]]", {.depth_max = 3}) == "none");
  CHECK(limit("[1,2,3]", {.nodes_max = 3}) == "json_nodes_max");
  CHECK(limit("[1,2,3]", {.nodes_max = 4}) == "none");
  CHECK(limit(std::string(1'000'000, '['), {}) == "json_depth_max");
}

}  // namespace
}  // namespace weft
