#include "workflows/shape.h"

#include <catch2/catch.hpp>

#include "tests/workflows/expression_scope.h"

using namespace weft;
using namespace weft::workflows;
using test::json_of;
using test::type_of;

namespace {

Shape read(const std::string& text, Diagnostics& diagnostics) {
  const yaml::NodePtr node = yaml::read(text, diagnostics);
  return node ? Shape::read(*node, diagnostics) : Shape();
}

Shape shape_of(const std::string& text) {
  Diagnostics diagnostics("s");
  Shape shape = read(text, diagnostics);
  for (const auto& diagnostic : diagnostics.take()) FAIL_CHECK(to_text(diagnostic));
  return shape;
}

std::string refusal(const std::string& text) {
  Diagnostics diagnostics("s");
  read(text, diagnostics);
  std::string out;
  for (const auto& diagnostic : diagnostics.take()) out += to_text(diagnostic) + "\n";
  return out;
}

// The value as the shape gives it back, or "error: " and the refusal.
std::string checked(const std::string& shape, const std::string& value) {
  auto result = shape_of(shape).validate(json_of(value), "output");
  return result ? to_text(*result) : "error: " + result.error().message;
}

struct Form {
  const char* text;
  const char* type;
  const char* schema;
};
struct Value {
  const char* shape;
  const char* value;
  const char* want;
};

}  // namespace

TEST_CASE("every form of a shape has its type and its JSON Schema") {
  const Form forms[] = {
      {"string", "string", R"({"type":"string"})"},
      {"number", "number", R"({"type":"number"})"},
      {"integer?", "integer?", R"({"type":["integer","null"]})"},
      {"boolean", "boolean", R"({"type":"boolean"})"},
      {"object", "object", R"({"type":"object"})"},
      {"any", "any", "{}"},
      {"[string]", "[string]", R"({"type":"array","items":{"type":"string"}})"},
      {"[[integer?]]", "[[integer?]]",
       R"({"type":"array","items":{"type":"array","items":{"type":["integer","null"]}}})"},
      {"\"[string]?\"", "[string]?", R"({"type":["array","null"],"items":{"type":"string"}})"},
      {"\"{id: string}?\"", "{id: string}?",
       R"({"type":["object","null"],"properties":{"id":{"type":"string"}},"required":["id"],"additionalProperties":false})"},
      {"{enum: [refund, bug]}", "{enum: [refund, bug]}", R"({"enum":["refund","bug"]})"},
      {"{enum: [1, 2, null]}", "{enum: [1, 2]}?", R"({"enum":[1,2,null]})"},
      {"{a: string, b: number?}", "{a: string, b: number?}",
       R"({"type":"object","properties":{"a":{"type":"string"},"b":{"type":["number","null"]}},"required":["a"],"additionalProperties":false})"},
      {"{}", "{}", R"({"type":"object","properties":{},"additionalProperties":false})"},
      {"{a: any?}", "{a: any?}", R"({"type":"object","properties":{"a":{}},"additionalProperties":false})"},
      {"{type: string, description: A text}", "string", R"({"description":"A text","type":"string"})"},
      {"{description: x, maximum: 5, type: integer, minimum: 1}", "integer",
       R"({"description":"x","type":"integer","minimum":1,"maximum":5})"},
      {"{type: string?}", "string?", R"({"type":["string","null"]})"},
      {"{type: [string, null]}", "string?", R"({"type":["string","null"]})"},
      {"{type: any, default: 1}", "any", R"({"default":1})"},
      {"{type: object, properties: {a: {type: string}, b: {type: integer}}, required: [a]}", "{a: string, b: integer?}",
       R"({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["a"]})"},
      {"{type: object, additionalProperties: {type: integer}}", "{type: object, additionalProperties: integer}",
       R"({"type":"object","additionalProperties":{"type":"integer"}})"},
      {"{anyOf: [{type: string}, {type: 'null'}]}", "string?", R"({"anyOf":[{"type":"string"},{"type":"null"}]})"},
      {"{anyOf: [{type: integer}, {type: number}]}", "number", R"({"anyOf":[{"type":"integer"},{"type":"number"}]})"},
      {"{const: a, type: string}", "{enum: [a]}", R"({"type":"string","const":"a"})"},
      {"{type: object, allOf: [{type: object, properties: {a: {type: string}}, required: [a]}, {type: object, "
       "properties: {b: {type: integer}}, required: [b]}]}",
       "{a: string, b: integer}",
       R"({"type":"object","allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"type":"object","properties":{"b":{"type":"integer"}},"required":["b"]}]})"},
      {"{$ref: '#/$defs/x', $defs: {x: {type: integer}}}", "integer",
       R"({"$ref":"#/$defs/x","$defs":{"x":{"type":"integer"}}})"},
  };
  for (const auto& form : forms) {
    CAPTURE(form.text);
    const Shape shape = shape_of(form.text);
    CHECK(shape.type().to_text() == form.type);
    CHECK(to_text(shape.schema()) == form.schema);
    // The source is the shape again.
    const Shape again = shape_of(yaml::write(shape.source()));
    CHECK(again.source() == shape.source());
    CHECK(again.schema() == shape.schema());
    CHECK(again.type() == shape.type());
  }
  CHECK(Shape().is_any());
  CHECK(shape_of("any").is_any());
  CHECK_FALSE(shape_of("string").is_any());
}

TEST_CASE("a shape that cannot be meant is refused with the way out") {
  const std::pair<const char*, const char*> rows[] = {
      {"strnig", "\"strnig\" is no type [shape]\n    write string"},
      {"int?", "write integer?"},
      {"bool", "write boolean"},
      {"file", "files are not yet values of workflows"},
      {"{type: file}", "files are not yet values of workflows"},
      {"{a: file?}", "files are not yet values of workflows"},
      {"[string, number]", "a list has one type of elements, and here are 2"},
      {"[]", "a list has one type of elements"},
      {"{a: }", "a type is missing"},
      {"5", "\"5\" is no type"},
      {"{type: string, name: string}", "a JSON Schema, which does not know `name`"},
      {"{type: {enum: [a]}, name: string}", "`type` makes this a JSON Schema"},
      {"{enum: a}", "`enum` takes a list of values"},
      {"{enum: []}", "`enum` takes a list of values"},
      {"{type: strnig}", "write string"},
      {"{type: string, minLength: -1}", "`minLength` takes a number of 0 or more"},
      {"{type: string, pattern: '(a'}", "the pattern `(a` is refused"},
      {"{type: string, pattern: '(?=a)'}", "patterns are those of RE2"},
      {"{type: number, multipleOf: 0}", "`multipleOf` takes a number"},
      {"{$ref: 'http://example.com/x'}", "names no schema within this one"},
      {"{$ref: '#/$defs/y', $defs: {x: {type: string}}}", "\"#/$defs/y\" names no schema"},
      {"{$ref: '#/default', default: {type: [1]}}", "names no schema"},
      {"{$ref: '#/properties', properties: {a: string}}", "names no schema"},
      {"{type: string, pattern: 7}", "`pattern` takes a text, in quotes"},
      {"{type: array, items: [{type: string}]}", "one schema for all elements"},
      {"{type: object, required: a}", "`required` takes a list of names"},
      {"{anyOf: []}", "`anyOf` takes a list of schemas"},
      {"{type: string, uniqueItems: 3}", "`uniqueItems` takes true or false"},
      {"'[strnig]?'", "\"strnig\" is no type"},
  };
  for (const auto& [text, want] : rows) {
    CAPTURE(text);
    CHECK_THAT(refusal(text), Catch::Contains(want));
  }
  CHECK_THAT(refusal("{a: string,\n b: {c: strnig}}"), Catch::StartsWith("s:2:9: error: "));
}

TEST_CASE("a chain of references as long as a file is no chain of calls") {
  std::string text = "{$ref: '#/$defs/g0/$defs/a0', $defs: {";
  for (int g = 0; g < 20; ++g) {
    text += "g" + std::to_string(g) + ": {$defs: {";
    for (int i = 0; i < 1'000; ++i) {
      const bool last = i == 999;
      text += "a" + std::to_string(i) + ": ";
      text += last && g == 19 ? "{type: string}, "
                              : "{$ref: '#/$defs/g" + std::to_string(last ? g + 1 : g) + "/$defs/a" +
                                    std::to_string(last ? 0 : i + 1) + "'}, ";
    }
    text += "}}, ";
  }
  Diagnostics diagnostics("s");
  const yaml::NodePtr node = yaml::read(text + "}}", diagnostics);
  REQUIRE(node);
  const Shape shape = Shape::read(*node, diagnostics);
  CHECK_FALSE(diagnostics.has_errors());
  CHECK_FALSE(shape.validate(3, "value"));  // Too deep to be checked is refused.
}

TEST_CASE("a value is checked by its shape and gets its number types") {
  const Value rows[] = {
      {"integer", "5.0", "5"},
      {"integer", "5", "5"},
      {"integer", "5.5", "error: output: expected integer, got 5.5"},
      {"integer", "1e20", "error: output: expected integer, got 1e+20"},
      {"integer", "18446744073709551615", "error: output: expected integer, got 1.8446744073709552e+19"},
      {"number", "5", "5"},
      {"number", "9007199254740993", "9007199254740992"},
      {"string", "5", "error: output: expected string, got 5"},
      {"string?", "null", "null"},
      {"string", "null", "error: output: expected string, got null"},
      {"boolean", "true", "true"},
      {"any", R"({"a":[1,null]})", R"({"a":[1,null]})"},
      {"object", R"({"a":1})", R"({"a":1})"},
      {"object", "[]", "error: output: expected an object, got a list of 0"},
      {"[integer]", "[1, 2.0]", "[1,2]"},
      {"{enum: [refund, bug]}", "\"bug\"", "\"bug\""},
      {"{enum: [refund, bug]}", "\"x\"", "error: output: expected one of \"refund\", \"bug\", got \"x\""},
      {"{enum: [1, 2]}", "2.0", "2"},
      {"{items: [{line: integer}]}", R"({"items":[{"line":1},{"line":"x"}]})",
       "error: output.items[1].line: expected integer, got \"x\""},
      {"{a: string, b: number?}", R"({"a":"x"})", R"({"a":"x"})"},
      {"{a: string, b: number?}", R"({"a":"x","b":null})", R"({"a":"x","b":null})"},
      {"{a: string, b: number?}", "{}", "error: output: the field `a` is missing"},
      {"{amount: string}", R"({"amonut":"x","amount":"y"})",
       "error: output.amonut: there is no such field; did you mean amount?"},
      {"{a: string}", R"({"a":"x","b c":1})", "error: output[\"b c\"]: there is no such field"},
      {"{type: string, minLength: 2, maxLength: 3}", "\"üü\"", "\"üü\""},
      {"{type: string, minLength: 2}", "\"ü\"", "error: output: expected at least 2 characters, got 1"},
      {"{type: string, maxLength: 2}", "\"abc\"", "error: output: expected at most 2 characters, got 3"},
      {"{type: string, pattern: '^[a-z]+$'}", "\"abc\"", "\"abc\""},
      {"{type: string, pattern: '^[a-z]+$'}", "\"a1\"",
       "error: output: expected a text that matches \"^[a-z]+$\", got \"a1\""},
      {"{type: integer, minimum: 1}", "0", "error: output: expected a number of at least 1, got 0"},
      {"{type: integer, maximum: 1}", "2", "error: output: expected a number of at most 1, got 2"},
      {"{type: number, exclusiveMinimum: 0}", "0", "error: output: expected a number above 0, got 0"},
      {"{type: number, exclusiveMaximum: 1}", "1.0", "error: output: expected a number below 1, got 1"},
      {"{type: number, multipleOf: 0.1}", "0.3", "0.3"},
      {"{type: integer, multipleOf: 5}", "7", "error: output: expected a number that is a multiple of 5, got 7"},
      {"{type: array, minItems: 1}", "[]", "error: output: expected at least 1 elements, got 0"},
      {"{type: array, maxItems: 1}", "[1,2]", "error: output: expected at most 1 elements, got 2"},
      {"{type: array, uniqueItems: true}", "[1,2,1.0]",
       "error: output: elements 0 and 2 are equal, and each may stand once"},
      {"{type: object, minProperties: 1}", "{}", "error: output: expected at least 1 fields, got 0"},
      {"{type: object, properties: {a: {type: integer}}}", R"({"a":1.0,"b":2})", R"({"a":1,"b":2})"},
      {"{type: object, properties: {a: {type: integer}}}", R"({"a":null})", R"({"a":null})"},
      {"{type: object, required: [z]}", "{}", "error: output: the field `z` is missing"},
      {"{type: object, additionalProperties: {type: integer}}", R"({"a":1.0,"b":"x"})",
       "error: output.b: expected integer, got \"x\""},
      {"{type: [string, integer]}", "5.0", "5"},
      {"{type: [string, integer]}", "true", "error: output: expected string or integer, got true"},
      {"{const: 5, type: integer}", "5.0", "5"},
      {"{const: 5, type: integer}", "6", "error: output: expected 5, got 6"},
      {"{anyOf: [{type: string}, {type: integer}]}", "5.0", "5"},
      {"{anyOf: [{type: string}, {type: object, properties: {a: {type: integer}}}]}", R"({"a":"x"})",
       "error: output.a: fits none of 2 forms; the nearest says: expected integer, got \"x\""},
      {"{type: number, oneOf: [{type: number, minimum: 5}, {type: number, multipleOf: 2}]}", "7", "7"},
      {"{type: number, oneOf: [{type: number, minimum: 5}, {type: number, multipleOf: 2}]}", "6",
       "error: output: fits more than one of the forms of which it may fit one"},
      {"{type: integer, allOf: [{type: integer, minimum: 1}, {type: integer, maximum: 3}]}", "4",
       "error: output: expected a number of at most 3, got 4"},
      {"{type: integer, not: {enum: [3]}}", "3", "error: output: this form is excluded, got 3"},
      {"{type: object, properties: {a: false}}", R"({"a":1})", "error: output.a: nothing may stand here, got 1"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.shape, row.value);
    CHECK(checked(row.shape, row.value) == row.want);
  }
}

TEST_CASE("a schema that refers to itself checks trees and is any where it recurs") {
  const char* tree =
      "{type: object, properties: {v: {type: integer}, next: {$ref: '#'}}, required: [v], additionalProperties: false}";
  CHECK(checked(tree, R"({"v":1,"next":{"v":2.0}})") == R"({"v":1,"next":{"v":2}})");
  CHECK(checked(tree, R"({"v":1,"next":{"v":2,"next":{"x":1}}})") ==
        "error: output.next.next.x: there is no such field");
  CHECK(shape_of(tree).type().to_text() == "{v: integer, next: any?}");
}

TEST_CASE("hostile schemas and values end with a limit's name") {
  CHECK_THAT(checked("{$ref: '#'}", "1"), Catch::Contains("nested deeper than 256"));
  CHECK(shape_of("{$ref: '#'}").type().kind() == Type::Kind::kAny);

  // Each form tries the next one twice: 2^40 checks.
  std::string bomb = "{$ref: '#/$defs/d0', $defs: {";
  std::string doubled = "{type: object, properties: {a: {$ref: '#/$defs/d0'}}, $defs: {";
  for (int i = 0; i < 40; ++i) {
    const std::string next = "{$ref: '#/$defs/d" + std::to_string(i + 1) + "'}";
    bomb += "d" + std::to_string(i) + ": {anyOf: [" + next + ", " + next + "]}, ";
    doubled += "d" + std::to_string(i) + ": {type: object, properties: {a: " + next + ", b: " + next + "}}, ";
  }
  CHECK_THAT(checked(bomb + "d40: {type: string}}}", "1"), Catch::Contains("takes more than 4000000 steps"));
  // 2^40 fields, were the type written out.
  CHECK(shape_of(doubled + "d40: {type: string}}}").type().to_text().size() < 1'000'000);

  std::string wide = "{";
  for (int i = 0; i <= 1000; ++i) wide += "f" + std::to_string(i) + ": string, ";
  CHECK_THAT(refusal(wide + "}"), Catch::Contains("more than 1000 parts of a shape stand in one place [limit]"));

  std::string deep, closing;
  for (int i = 0; i < 62; ++i) deep += "[", closing += "]";
  CHECK(shape_of(deep + "string" + closing).type().kind() == Type::Kind::kList);
  const std::string too_deep = "'" + deep + "{a: \"[[[[string]]]]?\"}" + closing + "'";
  CHECK_FALSE(refusal(too_deep).empty());
  CHECK_THAT(checked("{type: array, uniqueItems: true}",
                     [] {
                       std::string list = "[0";
                       for (int i = 1; i < 5000; ++i) list += "," + std::to_string(i);
                       return list + "]";
                     }()),
             Catch::EndsWith("4998,4999]"));
  const Shape pattern = shape_of("{type: string, pattern: '^(a|aa)*(a*)*b$'}");
  CHECK_FALSE(pattern.validate(Json(std::string(1 << 20, 'a')), "output"));
}

TEST_CASE("types accept and join as shapes promise") {
  const auto accepts = [](const char* wanted, const char* given) { return type_of(wanted).accepts(type_of(given)); };
  CHECK(accepts("number", "integer"));
  CHECK_FALSE(accepts("integer", "number"));
  CHECK(accepts("any", "[string]"));
  CHECK(accepts("[string]", "any"));
  CHECK(accepts("string", "{enum: [a]}"));
  CHECK_FALSE(accepts("{enum: [a]}", "string"));
  CHECK(accepts("{enum: [a, b]}", "{enum: [b]}"));
  CHECK_FALSE(accepts("{enum: [b]}", "{enum: [a, b]}"));
  CHECK(accepts("{a: string, b: string?}", "{a: string}"));
  CHECK_FALSE(accepts("{a: string}", "{a: string?}"));
  CHECK_FALSE(accepts("{a: string}", "{a: string, b: string}"));
  CHECK(accepts("object", "{a: string}"));
  CHECK_FALSE(accepts("[integer]", "[string]"));
  CHECK(Type::of(Type::Kind::kString).as_optional().accepts(Type::of(Type::Kind::kNull)));
  CHECK_FALSE(Type::of(Type::Kind::kString).accepts(Type::of(Type::Kind::kNull)));
  CHECK(Type::join(type_of("{a: string}"), type_of("{a: string, b: integer}")).to_text() == "{a: string, b: integer?}");
  CHECK(Type::join(type_of("[integer]"), type_of("[number]")).to_text() == "[number]");
  CHECK(Type::join(type_of("{enum: [a]}"), type_of("{enum: [b]}")).to_text() == "{enum: [a, b]}");
}

TEST_CASE("a form that does not fit leaves the value as it was") {
  const Shape shape = shape_of(R"({anyOf: [{type: object, properties: {kind: {const: a}, id: {type: number}}},
                                       {type: object, properties: {kind: {const: b}, id: {type: integer}}}]})");
  auto value = shape.validate(json_of(R"({"id": 9007199254740993, "kind": "b"})"), "v");
  REQUIRE(value);
  CHECK(to_text(*value) == R"({"id":9007199254740993,"kind":"b"})");
  const Shape excluded = shape_of("{not: {type: number}, type: integer}");
  CHECK_FALSE(excluded.validate(json_of("9007199254740993"), "v"));
  const Shape one = shape_of("{anyOf: [{oneOf: [{type: number, maximum: 1}, {type: integer, minimum: 2}]}]}");
  value = one.validate(json_of("9007199254740993"), "v");
  REQUIRE(value);
  CHECK(to_text(*value) == "9007199254740993");
}

TEST_CASE("a check is spent out of a budget, and is linear in what is looked at") {
  const Shape shape =
      shape_of("{type: array, uniqueItems: true, items: {type: object, properties: {a: {type: string}}}}");
  Json list = Json::array();
  for (int i = 0; i < 20'000; ++i) list.push_back(Json{{"a", std::string(100, 'x') + std::to_string(i)}});
  Budget enough;
  CHECK(shape.validate(list, "v", &enough));
  CHECK(enough.spent() > 20'000);
  Budget little(10'000);
  auto left_off = shape.validate(list, "v", &little);
  REQUIRE_FALSE(left_off);
  CHECK(Budget::caused(left_off.error()));
  list.push_back(list[7]);
  auto twice = shape.validate(list, "v");
  REQUIRE_FALSE(twice);
  CHECK_THAT(twice.error().message, Catch::Contains("elements 7 and 20000 are equal"));
}

TEST_CASE("a pattern of a schema is charged by what it costs on the value, and looks at nothing that it cannot pay") {
  constexpr std::size_t kBytes = std::size_t{2} << 20;
  Json evil = std::string(kBytes, 'a');
  for (std::size_t i = 0; i < kBytes; i += 3) evil.get_ref<std::string&>()[i] = 'b';
  const Shape slow = shape_of("{type: string, pattern: '[ab]*a[ab]{900}c'}");
  const auto refused = slow.validate(evil, "output");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kResourceExhausted);
  CHECK_THAT(refused.error().message, Catch::Contains("takes more than 4000000 steps"));
  CHECK_THAT(slow.validate(Json("ab"), "output").error().message, Catch::Contains("expected a text that matches"));
  // By its measure and not by its length: the same text under a plain one.
  CHECK(shape_of("{type: string, pattern: '^[ab]*$'}").validate(evil, "output"));
  // And out of the budget around.
  Budget little(kBytes / 8);
  const auto left_off = shape_of("{type: string, pattern: '^[ab]*$'}").validate(evil, "output", &little);
  REQUIRE_FALSE(left_off);
  CHECK(Budget::caused(left_off.error()));
}

TEST_CASE("the nearest field is looked for once, however many forms have been tried") {
  std::string text = "{anyOf: [";
  for (int i = 0; i < 300; ++i) {
    text += "{type: object, additionalProperties: false, properties: {";
    for (int k = 0; k < 30; ++k) text += "field_with_a_long_name_" + std::to_string(i * 30 + k) + ": {type: string}, ";
    text += "z: {type: string}}}, ";
  }
  const Shape shape = shape_of(text + "{type: 'null'}]}");
  Json list = Json::array();
  const std::clock_t begin = std::clock();
  for (int i = 0; i < 200; ++i) CHECK_FALSE(shape.validate(Json{{"field_with_a_long_name_x", "y"}}, "v"));
  CHECK(std::clock() - begin < 2 * CLOCKS_PER_SEC);
  const Shape closed = shape_of("{type: object, additionalProperties: false, properties: {order: {type: string}}}");
  auto refused = closed.validate(Json{{"ordr", "y"}}, "v");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "v.ordr: there is no such field; did you mean order?");
}
