#include "workflows/expression/expression.h"

#include <catch2/catch.hpp>

#include "tests/workflows/expression_scope.h"

using namespace weft;
using namespace weft::workflows;
using test::Names;
using test::parsed;
using test::said;
using test::scope;
using test::value_of;

namespace {

std::string type_said(const std::string& text) {
  const Names names = scope();
  Diagnostics diagnostics("e");
  auto expression = Expression::parse(text, {1, 1}, diagnostics);
  if (!expression) return "refused: " + said(diagnostics);
  const Type type = expression->check(names, diagnostics);
  return diagnostics.has_errors() ? "refused: " + said(diagnostics) : type.to_text();
}

std::string chains_of(const std::string& text) {
  std::string out;
  const Expression expression = parsed(text);
  for (const auto& chain : expression.mentions()) {
    out += out.empty() ? "" : " | ";
    for (const auto& mention : chain.mentions) {
      out += (mention.previous ? "previous:" : "") + mention.step + "." + mention.field +
             (mention.in_condition ? "?" : "") + " ";
    }
    out += chain.tolerant ? "tolerant" : "strict";
  }
  return out;
}

struct Row {
  const char* text;
  const char* want;
};

}  // namespace

TEST_CASE("expressions have the values of the Common Expression Language") {
  const Row rows[] = {
      // Literals.
      {"1", "1"},
      {"-1", "-1"},
      {"0x1F", "31"},
      {"1.5", "1.5"},
      {".5", "0.5"},
      {"1e3", "1000"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"9223372036854775807", "9223372036854775807"},
      {"true", "true"},
      {"null", "null"},
      {"'a\"b'", R"("a\"b")"},
      {R"("tab\t \x41 \101 \u00e9 \U0001F600 \\ \` \?")", "\"tab\\t A A é 😀 \\\\ ` ?\""},
      {R"(r'\d+')", R"("\\d+")"},
      {R"(R"a\")", R"("a\\")"},
      {"'''it's\n\"so\"'''", R"("it's\n\"so\"")"},
      {"\"\"\"\"quoted\" \"\"\"", R"("\"quoted\" ")"},
      {"[1, 'a', [true],]", R"([1,"a",[true]])"},
      {"{'b': 1, 'a': {}}", R"({"b":1,"a":{}})"},
      {"1 // the rest is a comment", "1"},
      // Arithmetic.
      {"1 + 2 * 3", "7"},
      {"(1 + 2) * 3", "9"},
      {"7 / 2", "3"},
      {"-7 / 2", "-3"},
      {"7 % 3", "1"},
      {"-7 % 3", "-1"},
      {"7 / 2.0", "3.5"},
      {"1 + 1.5", "2.5"},
      {"2 * 0.5", "1"},
      {"10 - 2 - 3", "5"},
      {"- -5", "5"},
      {"-input.n", "-7"},
      {"'a' + 'b'", R"("ab")"},
      {"[1] + [2, 3]", "[1,2,3]"},
      {"input.any.deep[0].k + 1", "6"},
      {"input.any.deep[0].k / 2", "2.5"},
      {"input.n / 2", "3"},
      {"input.x * 2", "5"},
      {"(input.n * 31 + 7) % 1000003", "224"},
      // Comparison.
      {"1 == 1.0", "true"},
      {"9007199254740993 == 9007199254740992.0", "false"},
      {"9223372036854775807 < 9223372036854775808.0", "true"},
      {"[1, 2.0] == [1.0, 2]", "true"},
      {"{'a': 1, 'b': 2} == {'b': 2.0, 'a': 1}", "true"},
      {"{'a': 1} == {'a': 1, 'b': 2}", "false"},
      {"'a' < 'b'", "true"},
      {"false < true", "true"},
      {"input.any == null", "false"},
      {"input.maybe == null", "true"},
      {"input.maybe == 'x'", "false"},
      {"null == null", "true"},
      {"2 in [1, 2.0]", "true"},
      {"'one' in input.map", "true"},
      {"'three' in input.map", "false"},
      {"!(1 in [])", "true"},
      // Logic: && and || swallow an error where the other side decides.
      {"true && true && true", "true"},
      {"false || false || true", "true"},
      {"1 / 0 == 1 || true", "true"},
      {"true || 1 / 0 == 1", "true"},
      {"1 / 0 == 1 && false", "false"},
      {"false && 1 / 0 == 1", "false"},
      {"input.any.nothing == 1 || input.b", "true"},
      {"true ? 1 : 1 / 0", "1"},
      {"false ? 1 : true ? 2 : 3", "2"},
      {"(1 < 2) == true", "true"},
      // Selection.
      {"input.s", "\"Grüße\""},
      {"input['s']", "\"Grüße\""},
      {"input.any.deep[0]['k']", "5"},
      {"input.any.deep[0.0].k", "5"},
      {"input.l[input.n - 6]", "1"},
      {"{'a': [1, 2]}.a[1]", "2"},
      {"input.any['t']", "\"text\""},
      {"input.any.deep", R"([{"k":5}])"},
      {"input.any.f", "5"},
      {"input.o.a.b", "null"},
      {"steps.a.output.v", "5"},
      {"steps.a.output.w", "null"},
      // ?? and has().
      {"input.maybe ?? 'none'", "\"none\""},
      {"input.o.a.b ?? 3", "3"},
      {"input.any.x.y.z ?? 1", "1"},
      {"input.any.deep[7].k ?? 1", "1"},
      {"input.any.null.x ?? 1", "1"},
      {"input.any.deep[0].k ?? 1", "5"},
      {"null ?? null ?? 3", "3"},
      {"(input.any.x ?? input.any.y) ?? 4", "4"},
      {"input.any.x ?? 1 > 0", "true"},
      {"input.maybe ?? 'a' == 'a' ? 1 : 2", "1"},
      {"(input.maybe ?? 'a') == 'a' ? 1 : 2", "1"},
      {"steps.b.output.v ?? steps.a.output.v", "5"},
      {"previous.review.output.notes ?? ''", "\"\""},
      {"has(input.maybe)", "false"},
      {"has(input.s)", "true"},
      {"has(input.any.deep[0].k) && !has(input.any.x.y)", "true"},
      {"has(input.any['t'])", "true"},
      // Macros.
      {"[1, 2, 3].all(x, x > 0)", "true"},
      {"[].all(x, 1 / 0 == x)", "true"},
      {"[1, 0].all(x, 1 / x > 5)", "false"},
      {"[0, 1].exists(x, 1 / x == 1)", "true"},
      {"[1, 2, 2].exists_one(x, x == 2)", "false"},
      {"[1, 2].exists_one(x, x == 2)", "true"},
      {"[1, 2, 3].map(x, x * 2)", "[2,4,6]"},
      {"[1, 2, 3].map(x, x > 1, x * 2)", "[4,6]"},
      {"[1, 2, 3].filter(x, x % 2 == 1)", "[1,3]"},
      {"input.map.map(k, k)", R"(["one","two"])"},
      {"input.map.all(k, input.map[k] > 0.0)", "true"},
      {"[[1, 2], [3]].map(r, r.map(x, x + size(r)))", "[[3,4],[4]]"},
      {"[1, 2].map(x, [10].map(x, x + 1)[0] + x)", "[12,13]"},
      {"input.people.filter(p, p.age != null && p.age > 30).map(p, p.name)", R"(["Ann"])"},
      {"input.people.map(p, p.age ?? 0)", "[40,0]"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(value_of(row.text) == row.want);
  }
}

TEST_CASE("every function gives what the language promises") {
  const Row rows[] = {
      {"size(input.s)", "5"},
      {"input.s.size()", "5"},
      {"size('😀')", "1"},
      {"size(input.l) + size(input.map)", "5"},
      {"'abc'.startsWith('ab') && 'abc'.endsWith('bc') && 'abc'.contains('b') && 'abc'.contains('')", "true"},
      {"'abc'.startsWith('b') || 'abc'.endsWith('') == false || 'a'.contains('abc')", "false"},
      {"'order 12'.matches('[0-9]+$')", "true"},
      {"'order'.matches('^[0-9]+$')", "false"},
      {"'ok'.matches(input.s)", "false"},
      {"'AbÄ'.lowerAscii() + 'abä'.upperAscii()", "\"abÄABä\""},
      {"'  a b\\n'.trim()", "\"a b\""},
      {"' '.trim()", "\"\""},
      {"'a,b,,c'.split(',')", R"(["a","b","","c"])"},
      {"'a,b,c'.split(',', 2)", R"(["a","b,c"])"},
      {"'a,b'.split(',', 0)", "[]"},
      {"'aé'.split('')", "[\"a\",\"é\"]"},
      {"''.split(',')", R"([""])"},
      {"['a', 'b'].join('-') + ['x', 'y'].join()", R"("a-bxy")"},
      {"[].join(',')", "\"\""},
      {"'aaa'.replace('a', 'b')", "\"bbb\""},
      {"'aaa'.replace('a', '', 2)", "\"a\""},
      {"'Grüße'.substring(2)", "\"üße\""},
      {"'Grüße'.substring(2, 4)", "\"üß\""},
      {"'abc'.substring(3)", "\"\""},
      {"[[1], [2, [3]]].flatten()", "[1,2,[3]]"},
      {"[[1], [2, [3]]].flatten(2)", "[1,2,3]"},
      {"[1, 1.0, 2, 'a', 'a', [1], [1.0], null, null].distinct()", R"([1,2,"a",[1],null])"},
      {"input.l.sort()", "[1,2,3]"},
      {"sort(['b', 'a'])", R"(["a","b"])"},
      {"[2.5, 1].sort()", "[1,2.5]"},
      {"input.l.slice(1, 3)", "[1,2]"},
      {"input.l.slice(2)", "[2]"},
      {"input.l.sum()", "6"},
      {"[0.5, 1].sum()", "1.5"},
      {"[].sum()", "0"},
      {"input.l.min() + input.l.max()", "4"},
      {"min(3, 1.5) + max(1, 2, 3)", "4.5"},
      {"max('a', 'b')", "\"b\""},
      {"keys(input.map)", R"(["one","two"])"},
      {"values(input.map)", "[1,2]"},
      {"[round(2.5), round(-2.5), floor(2.7), ceil(2.1), abs(-1.5)]", "[3,-3,2,3,1.5]"},
      {"abs(-3)", "3"},
      {"round(3) / 2", "1"},
      {"json({'a': [1, 2.0, null]})", R"("{\"a\":[1,2,null]}")"},
      {"json(input.any.deep)", R"("[{\"k\":5}]")"},
      {"parseJson('{\"a\": [1]}').a[0]", "1"},
      {"int('12') + int(2.9) + int(true)", "15"},
      {"int(timestamp('1970-01-01T00:01:00Z'))", "60"},
      {"double('1.5') + double(1)", "2.5"},
      {"string(5) + string(2.0) + string(1.5) + string(true)", R"("521.5true")"},
      {"bool('true')", "true"},
      {"duration('1h30m')", "\"5400s\""},
      {"duration('-1.5s')", "\"-1.5s\""},
      {"duration('1h') > duration('59m59.999999s')", "true"},
      {"duration('250ms') + duration('1s')", "\"1.25s\""},
      {"timestamp('2026-11-21T10:30:00+01:00')", "\"2026-11-21T09:30:00Z\""},
      {"timestamp('2026-02-28T23:59:59.5Z') + duration('1s')", "\"2026-03-01T00:00:00.5Z\""},
      {"started - timestamp('2026-11-20T09:30:00Z') == duration('24h')", "true"},
      {"started < timestamp('2027-01-01T00:00:00Z')", "true"},
      {"string(started)", "\"2026-11-21T09:30:00Z\""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(value_of(row.text) == row.want);
  }
}

TEST_CASE("errors of evaluation name the sub-expression, its place and the reason") {
  const Row rows[] = {
      {"1 + input.n / (input.n - 7)", "error: `input.n / (input.n - 7)` at line 1, column 5: division by zero"},
      {"1.0 / 0.0", "error: `1.0 / 0.0` at line 1, column 1: division by zero"},
      {"7 % 0", "error: `7 % 0` at line 1, column 1: division by zero"},
      {"9223372036854775807 + input.n", "the integer overflows 64 bits"},
      {"-9223372036854775807 - 2", "the integer overflows 64 bits"},
      {"4611686018427387904 * 2", "the integer overflows 64 bits"},
      {"-9223372036854775808 / -1", "the integer overflows 64 bits"},
      {"-9223372036854775808 % -1", "the integer overflows 64 bits"},
      {"-(-9223372036854775807 - 1)", "the integer overflows 64 bits"},
      {"abs(-9223372036854775808)", "the integer overflows 64 bits"},
      {"[9223372036854775807, 1].sum()", "the integer overflows 64 bits"},
      {"1e308 * 10.0", "out of range of a double"},
      {"input.any.nothing", "error: `input.any.nothing` at line 1, column 1: there is no field `nothing`"},
      {"input.any.t.x", "`input.any.t` is string and has no field `x`"},
      {"input.any.null.x", "`input.any.null` is null and has no field `x`"},
      {"input.l[3]", "there is no element 3 in a list of 3"},
      {"input.l[-1]", "there is no element -1 in a list of 3"},
      {"input.any.t + 1", "`+` does not join string and integer"},
      {"input.any.t && true", "a condition is true or false, and this is string"},
      {"input.any.t ? 1 : 2", "a condition is true or false, and this is string"},
      {"[1, 0].all(x, 1 / x > 0)", "division by zero"},
      {"[0, 1].exists_one(x, 1 / x == 1)", "division by zero"},
      {"input.any.deep[0].k.trim()", "trim needs a string and is given integer"},
      {"input.any.t ?? (1 / 0)", "\"text\""},
      {"(1 / 0) ?? 3", "division by zero"},
      {"input.any.t.x ?? 3", "has no field `x`"},
      {"input.l[1 / 0] ?? 3", "division by zero"},
      {"int('12x')", "the text is no integer"},
      {"int(1e300)", "does not fit into 64 bits"},
      {"double('nan')", "the text is no number"},
      {"bool('yes')", "neither true nor false"},
      {"parseJson('{')", "not JSON"},
      {"duration('5 minutes')", "the text is no duration"},
      {"timestamp('2026-02-30T00:00:00Z')", "this is no time"},
      {"timestamp('9999-12-31T23:59:59Z') + duration('1s')", "the time is out of range"},
      {"[].min()", "an empty list has no least"},
      {"[1, 'a'].sort()", "have no order"},
      {"'abc'.substring(2, 1)", "no such part of a text of 3 characters"},
      {"'abc'.substring(-1)", "no such part"},
      {"[1].slice(0, 2)", "no part 0 to 2 of a list of 1"},
      {"'a'.matches('(' + input.s)", "is refused: missing )"},
      {"{'a': 1, 'a': 2}", "stands twice"},
      {"'a'.replace('', 'b')", "a text to look for"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK_THAT(value_of(row.text), Catch::Contains(row.want));
  }
}

TEST_CASE("the checker types every form") {
  const Row rows[] = {
      {"input.n + 1", "integer"},
      {"input.n + 1.0", "number"},
      {"input.x", "number"},
      {"input.any + 1", "number"},
      {"input.any.x.y", "any"},
      {"input.o.a.b", "integer?"},
      {"input.o.a.b ?? 0", "integer"},
      {"input.maybe", "string?"},
      {"input.maybe ?? input.maybe", "string?"},
      {"input.kind", "{enum: [refund, bug]}"},
      {"[1, 2.5]", "[number]"},
      {"[1, null]", "[integer?]"},
      {"{'a': 1, 'b': 'x'}", "{a: integer, b: string}"},
      {"input.b ? 1 : 'a'", "any"},
      {"input.b ? 1 : null", "integer?"},
      {"input.people.map(p, p.age)", "[integer?]"},
      {"input.people[0]", "{name: string, age: integer?}"},
      {"input.t.sort()", "[string]"},
      {"'a b'.split(' ')", "[string]"},
      {"parseJson('1')", "any"},
      {"[[1]].flatten()", "[integer]"},
      {"input.l.max()", "integer"},
      {"round(input.n)", "integer"},
      {"round(input.x)", "number"},
      {"started - started", "duration"},
      {"previous.review.output.notes", "string?"},
      {"steps.a.output.v", "integer"},
      {"steps.a.status", "string?"},
      {"has(input.maybe)", "boolean"},
      {"input.count != null ? input.count : 0", "integer"},
      {"input.count == null ? 0 : input.count", "integer"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(type_said(row.text) == row.want);
  }
}

TEST_CASE("the checker refuses what cannot be meant, with a code and where it can the way out") {
  const Row rows[] = {
      {"inptu.n", "there is no name `inptu` here [unknown-name]\n    did you mean input?"},
      {"input.peple", "`input` has no field `peple` [unknown-field]\n    did you mean people?"},
      {"input.maybe.trim()", "`input.maybe` may be null here, and trim needs a string [type]"},
      {"input.maybe + 'x'", "may be null here"},
      {"input.count > 3", "`input.count ?? …`"},
      {"input.maybe == null && input.maybe.trim() == ''", "may be null here"},
      {"input.maybe != null || input.maybe.trim() == ''", "may be null here"},
      {"input.n + 'x'", "joins integer and string"},
      {"input.s + 1", "string(…) makes a text of a value"},
      {"input.x % 2", "`%` needs two integers, and `input.x` is number"},
      {"input.any % 2", "`%` needs two integers"},
      {"input.n == 'x'", "never equal"},
      {"input.kind == 'refnd'", "did you mean 'refund'?"},
      {"input.n in ['a']", "never equal"},
      {"input.s in 'abc'", "text.contains(text)"},
      {"input.s > 1", "have no order"},
      {"input.l < input.l", "have no order"},
      {"input.n && true", "a condition is true or false"},
      {"!input.s", "a condition is true or false"},
      {"-input.s", "`-` needs a number"},
      {"input.s.x", "`input.s` is string and has no field `x`"},
      {"input.s[0]", "has no elements"},
      {"input.l['a']", "the place in a list is an integer"},
      {"input.l[1.0]", "int(…) makes one"},
      {"input.s.all(x, true)", "needs a list or an object"},
      {"input.l.all(x, x)", "a condition is true or false"},
      {"trmi(input.s)", "there is no function `trmi` [unknown-name]\n    did you mean trim?"},
      {"input.s.split()", "takes 2 to 3 values and is given 1"},
      {"startsWith(input.n, 'a')", "startsWith needs a string, and `input.n` is integer"},
      {"input.s.matches('(a')", "[pattern]"},
      {"input.people.map(p, p.age).sum()", "may be null here"},
      {"input.t.sum()", "sum needs numbers"},
      {"steps.a", "[expression-syntax]\n    write steps.a.output"},
      {"steps.a.v", "write steps.a.output.v"},
      {"steps.a.outptu", "write steps.a.output"},
      {"steps.my-step.output", "name the step my_step and write steps.my_step.output"},
      {"steps.nobody.output", "there is no step nobody"},
      {"steps['a'].output", "`steps` needs the name of a step"},
      {"input.n = 1", "equality is written =="},
      {"input.b and input.b", "write &&"},
      {"input.b & input.b", "write &&"},
      {"input.n +", "the expression ends where a value is wanted"},
      {"(input.n", "the expression ends where `)` is wanted"},
      {"input.n input.n", "`input` does not fit here"},
      {"", "the expression is empty"},
      {"1u", "no unsigned integers"},
      {"b'x'", "no bytes literals"},
      {"5m", "duration("},
      {"9223372036854775808", "does not fit into 64 bits"},
      {"99999999999999999999", "does not fit into 64 bits"},
      {"1e999", "out of range of a double"},
      {"'open", "a text is not closed"},
      {"'\\q'", "an unknown escape"},
      {"'\\ud800'", "no Unicode character"},
      {"'a\nb'", "goes over the end of its line"},
      {"input.?x", "there is no optional selection"},
      {"has(1 + 1)", "`has` takes a path"},
      {"[1].map(1, 2)", "takes a name of its own first"},
      {"[1].filter(steps, true)", "takes a name of its own first"},
      {"map(x, 1)", "`map` stands after a list"},
      {"for", "is a reserved word"},
      {"{a: 1}", "there is no name `a` here"},
      {"input.s ?? ", "the expression ends"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const std::string value = value_of(row.text);
    CHECK(value.starts_with("refused: "));
    CHECK_THAT(value, Catch::Contains(row.want));
  }
}

TEST_CASE("division of integers is warned about, and no other division is") {
  const Names names = scope();
  Diagnostics diagnostics("e");
  parsed("input.n / 2 + input.x / 2").check(names, diagnostics);
  const auto all = diagnostics.take();
  REQUIRE(all.size() == 1);
  CHECK(all[0].severity == Severity::kWarning);
  CHECK(all[0].code == "int-division");
  CHECK(all[0].message == "`input.n / 2` divides two integers and drops the remainder");
}

TEST_CASE("a proof of non-null narrows the rest of its expression, and what a step's `when` proves narrows the step") {
  CHECK(type_said("input.maybe != null && input.maybe.trim() == ''") == "boolean");
  CHECK(type_said("has(input.maybe) && size(input.maybe) > 1") == "boolean");
  CHECK(type_said("input.maybe == null || size(input.maybe) > 1") == "boolean");
  CHECK(type_said("!(input.maybe == null) && size(input.maybe) > 1") == "boolean");
  CHECK(type_said("has(input.o.a.b) ? input.o.a.b + 1 : 0") == "integer");
  CHECK(type_said("has(input.o.a.b) && has(input.o.a)") == "boolean");
  CHECK(type_said("input.o['a'] != null ? input.o.a : {'b': 1}") == "{b: integer?}");
  // What holds on one side of an operator does not hold after it.
  CHECK(type_said("(input.maybe != null && true) == (size(input.maybe) > 1)").starts_with("refused"));

  const Expression when =
      parsed("steps.a.output.w != null && has(input.count) && input.n > 1 && [1].all(x, x != null)");
  CHECK(when.narrows() == std::vector<std::string>{"steps.a.output.w", "input.count"});
  CHECK(parsed("input.maybe != null || input.b").narrows().empty());

  Names names = scope();
  names.narrow(when.narrows());
  Diagnostics diagnostics("e");
  CHECK(parsed("input.count + size(steps.a.output.w)").check(names, diagnostics).to_text() == "integer");
  CHECK_FALSE(diagnostics.has_errors());
}

TEST_CASE("mentions come as the chains that decide when a step starts") {
  const Row rows[] = {
      {"steps.a.output.v + 1", "a.output strict"},
      {"steps.a.output.v + steps.b.text.size()", "a.output strict | b.text strict"},
      {"steps.a.status == 'failed'", "a.status tolerant"},
      {"steps.a.items[0].output", "a.items tolerant"},
      {"has(steps.a.output.w)", "a.output? tolerant"},
      {"steps.a.output ?? steps.b.output", "a.output? b.output? strict"},
      {"steps.a.output.v ?? steps.b.output.v ?? 0", "a.output? b.output? tolerant"},
      {"(steps.a.output ?? steps.b.output) ?? steps.c.output", "a.output? b.output? c.output? strict"},
      {"(steps.a.output.v + 1) ?? 0", "a.output? strict"},
      {"steps.a.output[steps.b.output.v] ?? 0", "b.output? strict | a.output? tolerant"},
      {"steps.a.output.v > 1 ? steps.b.output : steps.c.output",
       "a.output? strict | b.output strict | c.output strict"},
      {"previous.review.output.notes ?? ''", "previous:review.output? tolerant"},
      {"previous.output.text", "previous:.output strict"},
      {"[1].all(previous2, steps.a.output.v == previous2)", "a.output strict"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(chains_of(row.text) == row.want);
  }
  const Expression expression = parsed("input.a +\n  steps.a.output.v");
  CHECK(expression.mentions().at(0).mentions.at(0).mark == Mark{2, 3});
  CHECK(parsed("item.x + index + [1].map(input, input)[0] + item.y").roots() ==
        std::vector<std::string>{"item", "index"});
}

TEST_CASE("a mention that another one may stand for has an optional type") {
  CHECK(type_said("steps.b.output.v ?? steps.a.output.v") == "integer");
  CHECK(type_said("steps.b.output.v ?? 'none'") == "any");
  CHECK(type_said("steps.a.output.w ?? steps.a.output.w") == "string?");
  CHECK(type_said("steps.c.output.x") == "any");
  CHECK(type_said("has(steps.c.output) ? steps.c.output.x : 1") == "any");
}
