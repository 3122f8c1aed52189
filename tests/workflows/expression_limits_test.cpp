// What bounds expressions: limits by name, hostile texts, large values, values that lie about their types.
#include <catch2/catch.hpp>
#include <ctime>

#include "tests/workflows/expression_scope.h"
#include "workflows/expression/expression.h"

using namespace weft;
using namespace weft::workflows;
using test::json_of;
using test::Names;
using test::parsed;
using test::scope;
using test::type_of;
using test::value_of;

TEST_CASE("limits are named and nothing swallows them") {
  ExpressionLimits limits;
  limits.cost_max = 1000;
  const std::string loop =
      "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, a > 0)))";
  CHECK(value_of(loop) == "true");
  CHECK_THAT(value_of(loop, limits), Catch::Contains("takes more than 1000 steps (cost_max)"));
  CHECK_THAT(value_of(loop + " || true", limits), Catch::Contains("cost_max"));
  CHECK_THAT(value_of("[" + loop + "] ?? true", limits), Catch::Contains("cost_max"));

  limits = {};
  limits.new_bytes_max = 100;
  CHECK_THAT(value_of("'" + std::string(90, 'a') + "' + '" + std::string(90, 'a') + "'", limits),
             Catch::Contains("new_bytes_max"));
  CHECK_THAT(value_of("[input.n,1,2,3,4,5,6,7,8,9,10,11,12,13]", limits), Catch::Contains("new_bytes_max"));
  limits = {};
  limits.result_bytes_max = 100;
  CHECK_THAT(value_of("'" + std::string(101, 'a') + "'", limits), Catch::Contains("result_bytes_max"));

  Names names = scope();
  auto result = parsed("'" + std::string(101, 'a') + "'").evaluate(names.values(), limits);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Code::kResourceExhausted);
  CHECK(result.error().details == std::vector<Detail>{{"limit", "result_bytes_max"}});
}

TEST_CASE("hostile expressions are refused in bounded time and never crash") {
  const auto repeat = [](const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
  };
  struct Hostile {
    std::string text;
    std::string want;
  };
  const std::string doubling = "[" + repeat("'aaaaaaaaaaaaaaaa'+", 40) + "'a']";
  const Hostile rows[] = {
      {repeat("(", 5000) + "1" + repeat(")", 5000), "nested deeper than 64"},
      {repeat("[", 8000), "nested deeper than 64"},
      {repeat("{'a':", 3000), "nested deeper than 64"},
      {repeat("!", 9000) + "true", "nested deeper than 64"},
      {repeat("- ", 8000) + "1", "nested deeper than 64"},
      {repeat("true ? ", 2000) + "1", "nested deeper than 64"},
      {repeat("true ? 1 : ", 1000) + "1", "nested deeper than 64"},
      {"input.any" + repeat(".a", 5000), "a chain of more than 256 parts"},
      {"1" + repeat("+1", 5000), "a chain of more than 256 parts"},
      {"null" + repeat("??null", 2000), "a chain of more than 256 parts"},
      {repeat("has(", 3000) + "1", "nested deeper than 64"},
      {repeat("[1].map(x,", 1000), "nested deeper than 64"},
      {repeat("size(", 3000), "nested deeper than 64"},
      {repeat("a", 20000), "the limit is 16384"},
      {"'" + repeat("\\u00e", 3), "an escape needs 4 digits"},
      {"'\\", "an unknown escape"},
      {"\"\"\"", "a text is not closed"},
      {std::string("1 \0 2", 5), "the byte 0x00 has no meaning here"},
      {"\xff\xfe", "not UTF-8"},
      {"'\xc3'", "not UTF-8"},
      {"“1”", "the byte 0xe2 has no meaning here"},
      {"0x", "a number runs into a name"},
      {"1e+", "a number runs into a name"},
      {"'a'.matches('" + repeat("(a{1000}", 5) + repeat(")", 5) + "')", "false"},
      {"'a'.matches('(a{900}){900}')", "[pattern]"},
      {"'a'.matches(r'(?=x)')", "[pattern]"},
      {"parseJson('" + repeat("[", 9000) + "')", "json_depth"},
      {"[[[1]]].flatten(100000)", "flatten takes a depth"},
      {"input.l.slice(-9223372036854775808, 9223372036854775807)", "there is no part"},
      {"'abc'.substring(9223372036854775807)", "no such part"},
      {"input.l[9223372036854775807]", "there is no element"},
      {"timestamp(9223372036854775807)", "this is no time"},
      {"duration('99999999999999999999h')", "no duration"},
      {"duration('.s')", "no duration"},
      {"duration('1')", "no duration"},
      {"duration('-')", "no duration"},
      {"timestamp('2026-11-21T09:30:00+99:00')", "this is no time"},
      {repeat("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20].all(x,", 12) + "true" + repeat(")", 12),
       "cost_max"},
      {repeat("[1,2,3,4,5,6,7,8,9,10].map(x,", 10) + "1" + repeat(")", 10), "new_bytes_max"},
      {"[1].map(x, '" + repeat("a", 5000) + "').map(x, " + repeat("x.replace('a', '", 1) + repeat("b", 5000) + "'))",
       "new_bytes_max"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text.substr(0, 60));
    const std::clock_t begin = std::clock();
    CHECK_THAT(value_of(row.text), Catch::Contains(row.want) || Catch::Contains("nested deeper than 128"));
    CHECK(std::clock() - begin < 5 * CLOCKS_PER_SEC);  // Of this process alone, however busy the machine is.
  }
  CHECK(value_of(doubling).starts_with("[\"aaaa"));
}

TEST_CASE("a large value is navigated without being copied") {
  Names names;
  std::string text(4 << 20, 'x');
  text += "needle";
  names.name("input", type_of("{text: string, list: [integer]}"), Json{{"text", text}, {"list", Json::array({1, 2})}});
  Diagnostics diagnostics("e");
  Expression contains =
      parsed("input.text.contains('needle') && input.text.endsWith('needle') && size(input.text) > 5");
  contains.check(names, diagnostics);
  ExpressionLimits limits;
  limits.new_bytes_max = 0;
  limits.result_bytes_max = 16;
  auto found = contains.evaluate_bool(names.values(), limits);
  REQUIRE(found);
  CHECK(*found);
  auto part = parsed("input.text.substring(4194304)").evaluate(names.values(), limits);
  REQUIRE(part);
  CHECK(*part == Json("needle"));
  // The result itself may be large; what is made of it may not.
  auto whole = parsed("input.text").evaluate(names.values());
  REQUIRE(whole);
  CHECK(whole->get_ref<const std::string&>().size() == text.size());
  CHECK_FALSE(parsed("input.text + 'x'").evaluate(names.values()));
  CHECK_FALSE(parsed("json(input.text)").evaluate(names.values()));
}

TEST_CASE("a pattern takes linear time on a text that defeats backtracking") {
  Names names;
  names.name("input", type_of("{text: string}"), Json{{"text", std::string(1 << 20, 'a')}});
  Diagnostics diagnostics("e");
  Expression expression = parsed("input.text.matches('(a*)*(a|b)*c$')");
  expression.check(names, diagnostics);
  auto matched = expression.evaluate_bool(names.values());
  REQUIRE(matched);
  CHECK_FALSE(*matched);
  // Nor does a search degenerate: 512 KiB of a in 1 MiB of a, with a b behind.
  Expression search = parsed("input.text.contains(input.text.substring(524288) + 'b')");
  search.check(names, diagnostics);
  auto contained = search.evaluate_bool(names.values());
  REQUIRE(contained);
  CHECK_FALSE(*contained);
}

TEST_CASE("values that break their declared types are errors and no crashes") {
  Names names;
  names.name("input", type_of("{n: integer, l: [integer], o: {a: string}}"),
             json_of(R"({"n": "text", "l": {"a": 1}, "o": [1]})"));
  for (const char* text : {"input.n + 1", "-input.n", "input.l[0]", "input.l.sum()", "input.o.a", "size(input.o.a)",
                           "input.n > 3", "input.l.map(x, x + 1)", "input.n % 2"}) {
    CAPTURE(text);
    Diagnostics diagnostics("e");
    Expression expression = parsed(text);
    expression.check(names, diagnostics);
    CHECK_FALSE(diagnostics.has_errors());
    auto value = expression.evaluate(names.values());
    REQUIRE_FALSE(value);
    CHECK(value.error().code == Code::kInvalidArgument);
  }
  CHECK_FALSE(Expression().evaluate(names.values()));
  auto missing = parsed("nobody == null").evaluate_bool(names.values());
  REQUIRE(missing);
  CHECK(*missing);
  auto text = parsed("'yes'").evaluate_bool(names.values());
  REQUIRE_FALSE(text);
  CHECK_THAT(text.error().message, Catch::Contains("a condition is true or false, and this is string"));
}
