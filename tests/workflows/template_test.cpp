#include <catch2/catch.hpp>

#include "tests/workflows/expression_scope.h"
#include "workflows/expression/expression.h"

using namespace weft;
using namespace weft::workflows;
using test::json_of;
using test::Names;
using test::said;
using test::type_of;

namespace {

Names scope() {
  Names names;
  names.name("input", type_of("{n: integer, s: string, l: [integer], maybe: string?, any: any}"),
             json_of(R"({"n": 7, "s": "Ann", "l": [1, 2], "maybe": null, "any": {"t": "{{ input.n }}", "f": 2.0}})"));
  names.step("a.output", type_of("{v: integer}"), json_of(R"({"v": 5})"));
  return names;
}

// The template under the key `set` of a YAML text.
std::optional<Template> read_set(const std::string& yaml_text, Diagnostics& diagnostics) {
  const yaml::NodePtr node = yaml::read(yaml_text, diagnostics);
  if (!node) return std::nullopt;
  return Template::read(*node->get("set"), diagnostics);
}

std::string value_of(const std::string& yaml_text, const ExpressionLimits& limits = {}) {
  const Names names = scope();
  Diagnostics diagnostics("f");
  auto made = read_set(yaml_text, diagnostics);
  if (made) made->check(names, diagnostics);
  if (!made || diagnostics.has_errors()) return "refused: " + said(diagnostics);
  auto value = made->evaluate(names.values(), limits);
  return value ? to_text(*value) : "error: " + value.error().message;
}

std::string text_of(const std::string& yaml_text) {
  const Names names = scope();
  Diagnostics diagnostics("f");
  auto made = read_set(yaml_text, diagnostics);
  REQUIRE(made);
  made->check(names, diagnostics);
  auto text = made->evaluate_text(names.values());
  return text ? *text : "error: " + text.error().message;
}

struct Row {
  const char* text;
  const char* want;
};

}  // namespace

TEST_CASE("an expression alone gives its typed value, and inside longer text it is text") {
  const Row rows[] = {
      {"set: '{{ input.n }}'", "7"},
      {"set: \"{{ input.l }}\"", "[1,2]"},
      {"set: \"{{input.l}}!\"", "\"[1,2]!\""},
      {"set: 'Dear {{ input.s }}, {{ input.n + 1 }} of {{ input.l }}.'", "\"Dear Ann, 8 of [1,2].\""},
      {"set: Hello {{ input.s }}", "\"Hello Ann\""},
      {"set: ' {{ input.n }}'", "\" 7\""},
      {"set: '{{ input.n }}{{ input.n }}'", "\"77\""},
      {"set: 'is {{ input.maybe }} {{ true }} {{ input.any.f }} {{ [1.5, null] }}'", "\"is null true 2 [1.5,null]\""},
      {"set: |\n  {{ input.n }}\n", "7"},
      {"set: |\n  a\n  {{ input.n }}\n", "\"a\\n7\\n\""},
      {"set: '{{ duration(\"90s\") }} later'", "\"90s later\""},
      {"set: {a: '{{ input.n }}', b: [x, '{{ input.s }}'], c: 5, d: null, e: true, f: 1.5}",
       R"({"a":7,"b":["x","Ann"],"c":5,"d":null,"e":true,"f":1.5})"},
      {"set: 5", "5"},
      {"set: plain", "\"plain\""},
      {"set: []", "[]"},
      {"set:", "null"},
      // Quotes and braces inside the expression are no end of it.
      {"set: \"{{ '}}' }}\"", "\"}}\""},
      {"set: \"{{ '{{' }}\"", "\"{{\""},
      {"set: \"a {{ '{{' }} b }} c\"", "\"a {{ b }} c\""},
      {"set: '{{ \"}}\" + r\"\\\" }}'", "\"}}\\\\\""},
      {"set: \"{{ {'a': {'b': 1}} }}\"", R"({"a":{"b":1}})"},
      {"set: \"{{ {'a': {'b': 1}}}}\"", R"({"a":{"b":1}})"},
      {"set: \"{{ '''it's }}''' }}\"", "\"it's }}\""},
      {"set: \"{{ 'it\\\\'s }}' }}\"", "\"it's }}\""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(value_of(row.text) == row.want);
  }
}

TEST_CASE("what came in through an expression is never read as a template again") {
  CHECK(value_of("set: '{{ input.any.t }}'") == "\"{{ input.n }}\"");
  CHECK(value_of("set: 'x {{ input.any.t }} {{ input.n }}'") == "\"x {{ input.n }} 7\"");
}

TEST_CASE("a prompt is text: a string as it is, everything else as compact JSON") {
  CHECK(text_of("set: '{{ input.s }}'") == "Ann");
  CHECK(text_of("set: '{{ input.l }}'") == "[1,2]");
  CHECK(text_of("set: 'Dear {{ input.s }}'") == "Dear Ann");
  CHECK(text_of("set: plain") == "plain");
  CHECK(text_of("set: {a: '{{ input.n }}'}") == R"({"a":7})");
  CHECK(text_of("set: 5") == "5");
}

TEST_CASE("a template has the type of what it makes") {
  const Names names = scope();
  const Row rows[] = {{"set: '{{ input.n }}'", "integer"},
                      {"set: '{{ input.maybe }}'", "string?"},
                      {"set: 'n: {{ input.n }}'", "string"},
                      {"set: {a: '{{ input.l }}', b: 1.5}", "{a: [integer], b: number}"},
                      {"set: [1, '{{ input.n }}']", "[integer]"},
                      {"set: []", "[any]"},
                      {"set: text", "string"},
                      {"set:", "null"}};
  for (const auto& row : rows) {
    CAPTURE(row.text);
    Diagnostics diagnostics("f");
    auto made = read_set(row.text, diagnostics);
    REQUIRE(made);
    CHECK(made->check(names, diagnostics).to_text() == row.want);
  }
}

TEST_CASE("a template knows its source, its mentions and its names") {
  Diagnostics diagnostics("f");
  auto made =
      read_set("set: {a: 'x {{ steps.a.output.v }} {{ input.n }}', b: ['{{ previous.output ?? item }}']}", diagnostics);
  REQUIRE(made);
  CHECK(to_text(made->source()) ==
        R"({"a":"x {{ steps.a.output.v }} {{ input.n }}","b":["{{ previous.output ?? item }}"]})");
  CHECK_FALSE(made->is_constant());
  REQUIRE(made->mentions().size() == 2);
  CHECK(made->mentions()[0].mentions[0].step == "a");
  CHECK(made->mentions()[0].mentions[0].mark == Mark{1, 16});
  CHECK(made->mentions()[1].mentions[0].previous);
  CHECK(made->roots() == std::vector<std::string>{"input", "previous", "item"});
  CHECK(read_set("set: {a: [1, text]}", diagnostics)->is_constant());
  CHECK(Template().is_constant());
}

TEST_CASE("a fault names its line and column in plain, quoted and block scalars") {
  const Row rows[] = {
      {"set: Hi {{ inptu.n }}", "f:1:12: "},
      {"set: '{{ inptu.n }}'", "f:1:10: "},
      {"set: \"{{ inptu.n }}\"", "f:1:10: "},
      {"set: \"a\\nb {{ inptu.n }}\"", "f:1:15: "},
      {"set: 'say \"so\" {{ inptu.n }}'", "f:1:19: "},
      {"set: 'it''s {{ input.s + \"\" }} {{ inptu.n }}'", "f:1:35: "},
      {"a: 1\nset: |\n  one\n  two {{ 1 + inptu.n }}\n", "f:4:14: "},
      {"set: |\n    {{ 1 +\n       inptu.n }}\n", "f:3:8: "},
      {"set:\n  - x\n  - [\"{{ 1 }}\", \"é {{ inptu.n }}\"]\n", "f:3:24: "},
      {"set: 'a {{ 1 + }} b'", "f:1:15: "},
      {"set: '{{ }}'", "f:1:9: "},
      {"set: 'text {{ input.n'", "f:1:12: error: a `{{` is not closed by `}}` [expression-syntax]"},
      {"set: \"{{ 'open }}\"", "a text is not closed"},
      {"set: {'{{ input.n }}': 1}", "cannot hold a template"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const std::string value = value_of(row.text);
    CHECK(value.starts_with("refused: "));
    CHECK_THAT(value, Catch::Contains(row.want));
  }
}

TEST_CASE("every fault of a template is reported in one pass") {
  Diagnostics diagnostics("f");
  auto made = read_set("set: ['{{ 1 + }}', '{{ * }}', '{{ ok', '{{ trmi(1) }}']", diagnostics);
  CHECK_FALSE(made);
  CHECK(diagnostics.take().size() == 4);
}

TEST_CASE("an error of evaluation names the place in the file") {
  CHECK(value_of("a: 1\nset: |\n  one {{ input.n % (input.n - 7) }}\n") ==
        "error: `input.n % (input.n - 7)` at line 3, column 10: division by zero");
}

TEST_CASE("limits hold over all expressions of a template together") {
  ExpressionLimits limits;
  limits.result_bytes_max = 30;
  CHECK(value_of("set: 'aaaaaaaaaaaa{{ input.s }}'", limits) == "\"aaaaaaaaaaaaAnn\"");
  CHECK_THAT(value_of("set: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa{{ input.s }}'", limits), Catch::Contains("result_bytes_max"));
  CHECK_THAT(value_of("set: ['{{ input.l }}', '{{ input.l }}']", limits), Catch::Contains("result_bytes_max"));
  limits = {};
  limits.cost_max = 5;
  CHECK_THAT(value_of("set: ['{{ input.n }}', '{{ input.n }}', '{{ input.n }}']", limits), Catch::Contains("cost_max"));
  limits = {};
  limits.new_bytes_max = 5;
  CHECK_THAT(value_of("set: \"{{ 'ab' + 'c' }}{{ 'ab' + 'c' }}\"", limits), Catch::Contains("new_bytes_max"));
}

TEST_CASE("a template copies a large value once, into its result") {
  Names names;
  names.name("input", type_of("{s: string}"), Json{{"s", std::string(4 << 20, 'x')}});
  Diagnostics diagnostics("f");
  ExpressionLimits limits;
  limits.new_bytes_max = 0;
  auto whole = read_set("set: '{{ input.s }}'", diagnostics)->evaluate(names.values(), limits);
  REQUIRE(whole);
  CHECK(whole->get_ref<const std::string&>().size() == 4 << 20);
  auto text = read_set("set: 'x: {{ input.s }}'", diagnostics)->evaluate_text(names.values(), limits);
  REQUIRE(text);
  CHECK(text->size() == (4 << 20) + 3);
  limits.result_bytes_max = 5 << 20;
  CHECK_FALSE(read_set("set: '{{ input.s }}{{ input.s }}'", diagnostics)->evaluate(names.values(), limits));
}

TEST_CASE("a list of very many different objects is typed in bounded time") {
  std::string text = "set:\n";
  for (int i = 0; i < 20'000; ++i) text += "  - {k" + std::to_string(i) + ": 1}\n";
  const Names names = scope();
  Diagnostics diagnostics("f");
  auto made = read_set(text, diagnostics);
  REQUIRE(made);
  CHECK(made->check(names, diagnostics).to_text() == "[object]");
}

TEST_CASE("a value stays within the segment or the parameter of the URL in which it stands") {
  const auto url = [](const std::string& text, const std::string& s) {
    Names names;
    names.name("args", type_of("{s: string}"), Json{{"s", s}});
    Diagnostics diagnostics("f");
    auto made = read_set("set: 'http://h" + text + "'", diagnostics);
    REQUIRE(made);
    made->check(names, diagnostics);
    auto whole = made->evaluate_url(names.values());
    return whole ? *whole : "error: " + whole.error().message;
  };
  const std::string id = "/users/{{ args.s }}";
  CHECK(url(id, "a b") == "http://h/users/a%20b");
  CHECK(url(id, "/?#@\\:;&=+%") == "http://h/users/%2F%3F%23%40%5C%3A%3B%26%3D%2B%25");
  CHECK(url(id, std::string("\r\n\t\0\x7f", 5)) == "http://h/users/%0D%0A%09%00%7F");
  CHECK(url(id, "é") == "http://h/users/%C3%A9");
  CHECK(url(id, "...") == "http://h/users/...");
  CHECK(url(id, "..a") == "http://h/users/..a");
  CHECK(url(id + "?q={{ args.s }}", "x&y=..") == "http://h/users/x%26y%3D..?q=x%26y%3D..");
  CHECK(url("/find?q={{ args.s }}", "") == "http://h/find?q=");
  CHECK(url("/find?q={{ args.s }}", "..") == "http://h/find?q=..");
  CHECK(url("/v{{ args.s }}/x", "") == "http://h/v/x");
  CHECK(url("/a/../b?q={{ args.s }}", "1") == "http://h/a/../b?q=1");  // Its author wrote it so.

  for (const char* s : {"", ".", "..", "%2e", "%2E%2e", ".%2e", "%252e%252e"}) {
    CAPTURE(s);
    for (const char* text :
         {"/users/{{ args.s }}", "/users/{{ args.s }}/items", "/{{ args.s }}?q=1", "/a/{{ args.s }}#x"}) {
      CAPTURE(text);
      CHECK_THAT(url(text, s), Catch::StartsWith("error: {{ args.s }} would make a segment of the URL's path "));
    }
  }
  CHECK_THAT(url("/a/.{{ args.s }}", "."), Catch::Contains("path \"..\""));
  CHECK_THAT(url("/a/%2e{{ args.s }}", "."), Catch::StartsWith("error: "));
  CHECK_THAT(url("/a/{{ args.s }}{{ args.s }}", "."),
             Catch::StartsWith("error: {{ args.s }} and {{ args.s }} would make a segment of the URL's path \"..\""));
  CHECK_THAT(url("/a/{{ args.s }}{{ args.s }}/b", ""), Catch::Contains("path empty: "));
}
