// What evaluation costs: each function and operator is charged for what it reads and makes, so that the limit on cost
// is one on time.
#include <time.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "tests/workflows/expression_scope.h"
#include "workflows/expression/expression.h"
#include "workflows/expression/functions.h"

using namespace weft;
using namespace weft::workflows;
using test::parsed;

namespace {

// Of this process alone, however busy the machine is.
double nanoseconds(const auto& work) {
  timespec begin{}, end{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
  work();
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  return static_cast<double>(end.tv_sec - begin.tv_sec) * 1e9 + static_cast<double>(end.tv_nsec - begin.tv_nsec);
}

std::string repeat(std::string_view text, std::size_t times) {
  std::string all;
  all.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

// Values with which functions have most to do for what they are given.
struct World final : Environment {
  World() {
    constexpr std::size_t kLong = std::size_t{4} << 20;
    auto& n = values;
    n["blank"] = std::string(kLong, ' ');
    n["a"] = std::string(kLong, 'a');
    n["a2"] = std::string(kLong, 'a');
    n["ab"] = std::string(kLong / 2, 'a') + "b";
    n["u"] = repeat("ü", kLong / 2);
    n["zeros"] = std::string(kLong, '0');
    n["fraction"] = "0." + std::string(kLong, '0') + "1";
    n["span"] = std::string(kLong, '0') + "1h";
    n["instant"] = "2026-11-21T09:30:00." + std::string(kLong, '0') + "Z";
    n["words"] = repeat("a ", kLong / 2);
    n["evil"] = repeat("abbabaababba", 400);
    n["text"] = std::string(std::size_t{256} << 10, 'a');
    n["json"] = "[" + repeat("[],", 100'000) + "1]";
    n["number"] = 2.5;
    Json ints = Json::array(), texts = Json::array(), lists = Json::array(), object = Json::object();
    for (int i = 0; i < 50'000; ++i) ints.push_back((i * 7919) % 50'000);
    for (int i = 0; i < 10'000; ++i) texts.push_back(std::string(60, 'a') + std::to_string((i * 7919) % 10'000));
    for (int i = 0; i < 300; ++i) lists.push_back(Json::array({i % 290, Json::array({1, 2, 3})}));
    for (int i = 0; i < 3'000; ++i) object["a-name-of-a-member-" + std::to_string(i)] = i;
    n["ints"] = ints;
    n["ints2"] = ints;
    n["texts"] = texts;
    n["texts2"] = texts;
    n["lists"] = lists;
    n["nested"] = Json::array({ints, texts});
    n["o"] = object;
    n["reversed"] = Json::object();
    for (int i = 3'000; i-- > 0;) n["reversed"]["a-name-of-a-member-" + std::to_string(i)] = i;
  }
  const Json* name(std::string_view root) const override {
    const auto found = values.find(std::string(root));
    return found == values.end() ? nullptr : &*found;
  }
  const Json* step(std::string_view, std::string_view) const override { return nullptr; }
  Budget* budget() const override { return &spent; }

  Json values = Json::object();
  mutable Budget spent;
};

struct Row {
  std::string_view function;  // Or the operator.
  std::string text;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows = {
      {"size", "size(u)"},
      {"startsWith", "a.startsWith(a2)"},
      {"endsWith", "a.endsWith(a2)"},
      {"contains", "a.contains(ab)"},
      {"contains", "words.contains('a  a')"},
      {"matches", "evil.matches('[ab]*a[ab]{30}c|[ab]*b[ab]{30}d')"},
      {"matches", "a.matches('b$|c.*d')"},
      {"lowerAscii", "a.lowerAscii()"},
      {"upperAscii", "a.upperAscii()"},
      {"trim", "blank.trim()"},
      {"split", "words.split(' ')"},
      {"split", "text.split('')"},
      {"join", "texts.join(', ')"},
      {"replace", "words.replace(' ', '')"},
      {"substring", "u.substring(2000000)"},
      {"flatten", "nested.flatten(2)"},
      {"distinct", "ints.distinct()"},
      {"distinct", "texts.distinct()"},
      {"distinct", "lists.distinct()"},
      {"sort", "ints.sort()"},
      {"sort", "texts.sort()"},
      {"slice", "ints.slice(1)"},
      {"sum", "ints.sum()"},
      {"min", "texts.min()"},
      {"max", "ints.max()"},
      {"keys", "keys(o)"},
      {"values", "values(o)"},
      {"round", "ints.all(x, round(x + 0.5) > 0)"},
      {"floor", "ints.all(x, floor(x + 0.5) >= 0)"},
      {"ceil", "ints.all(x, ceil(x + 0.5) > 0)"},
      {"abs", "ints.all(x, abs(x) >= 0)"},
      {"json", "json(ints)"},
      {"json", "json(texts)"},
      {"parseJson", "parseJson(json)"},
      {"parseJson", "parseJson('\"' + text + '\"')"},
      {"int", "int(zeros)"},
      {"double", "double(fraction)"},
      {"string", "ints.all(x, string(x) != '')"},
      {"bool", "ints.all(x, bool('true'))"},
      {"duration", "duration(span)"},
      {"timestamp", "timestamp(instant)"},
      {"+", "a + a2"},
      {"+", "ints + ints2"},
      {"==", "a == a2"},
      {"==", "ints == ints2"},
      {"==", "texts == texts2"},
      {"==", "o == reversed"},
      {"<", "a < a2"},
      {"in", "-1 in ints"},
      {"in", "'nothing' in o"},
      {"in", "texts.all(x, x in ['no', x])"},
      {".", "ints.all(x, o['a-name-of-a-member-2999'] > 0)"},
      {"[]", "ints.all(x, ints[x] >= 0)"},
      {"[…]", "ints.all(x, [x, x, x] != [])"},
      {"{…}", "ints.all(x, {'a': x, 'b': x} != {})"},
      {"map", "ints.map(x, x)"},
      {"filter", "ints.filter(x, x > 5)"},
      {"exists", "ints.exists(x, x < 0)"},
      {"exists_one", "ints.exists_one(x, x < 0)"},
      {"? :", "ints.all(x, (x > 5 ? 1 : 2) > 0)"},
      {"??", "ints.all(x, (x ?? 1) >= 0)"},
      {"result", "ints"},
      {"result", "texts"},
      {"result", "[o, lists, nested]"},
      {"result", "a"},
  };
  return kRows;
}

ExpressionLimits wide() {
  ExpressionLimits limits;
  limits.cost_max = Budget::kEndless;
  limits.new_bytes_max = limits.result_bytes_max = std::size_t{1} << 40;
  return limits;
}

struct Measured {
  double nanoseconds = 0;
  std::uint64_t units = 0;
  double per_unit() const { return nanoseconds / static_cast<double>(std::max<std::uint64_t>(units, 1)); }
};

// The least of three, since what disturbs a measurement makes it longer.
Measured measured(const std::string& text, const ExpressionLimits& limits) {
  static const World world;
  const Expression expression = parsed(text);
  Measured best;
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t before = world.spent.spent();
    const double took = nanoseconds([&] { (void)expression.evaluate(world, limits).has_value(); });
    best = {i == 0 ? took : std::min(took, best.nanoseconds), world.spent.spent() - before};
  }
  return best;
}

}  // namespace

TEST_CASE("whatever is evaluated, a unit of cost takes no longer than a few bytes that are copied") {
  // Measured in the same call, so that it holds on a slow machine and in an instrumented build.
  const std::string from(std::size_t{16} << 20, 'x');
  std::string to(from.size(), ' ');
  double copy = 1e18;
  for (int i = 0; i < 3; ++i)
    copy = std::min(copy, nanoseconds([&] { std::memcpy(to.data(), from.data(), from.size()); }));
  const double byte = copy / static_cast<double>(from.size());
  REQUIRE(to == from);
  // The cheapest kind of unit: nodes of a tree.
  const double node = measured("ints.all(x, x >= 0 && x < 100000)", wide()).per_unit();
  const double unit = std::max(60 * byte, 2 * node);
  for (const Row& row : rows()) {
    const Measured cost = measured(row.text, wide());
    CAPTURE(row.function, row.text, cost.units, cost.nanoseconds, cost.per_unit(), byte, node);
    CHECK(cost.per_unit() < 2 * unit);
  }
}

TEST_CASE("each function stands in the measurement above with its worst arguments") {
  for (const auto& function : expression::functions()) {
    CAPTURE(function.name);
    CHECK(std::ranges::find(rows(), function.name, &Row::function) != rows().end());
    CHECK(function.charge.steps > 0);
  }
}

TEST_CASE("one evaluation ends within its limit on cost, whatever it is of") {
  // 20 ms on a quiet machine; the rest is for one that is not, and for instrumented builds.
  [[maybe_unused]] constexpr double kLongestMs = 20.0 * 4;
  std::vector<std::string> texts = {"ints.all(x, blank.trim() == '')",
                                    "ints.all(x, timestamp(instant) > timestamp(instant))",
                                    "ints.all(x, int(zeros) == 0)",
                                    "ints.all(x, double(fraction) >= 0)",
                                    "ints.all(x, duration(span) > duration('0s'))",
                                    "evil.matches('[ab]*a[ab]{1000}c|[ab]*b[ab]{1000}d')",
                                    "a.matches('[ab]*a[ab]{1000}c|[ab]*b[ab]{1000}d')",
                                    "ints.all(x, a == a2)",
                                    "ints.all(x, a.contains(ab))",
                                    "ints.all(x, texts.sort() == texts)",
                                    "ints.map(x, ints.map(y, y))",
                                    "ints.all(x, o == reversed)",
                                    "ints.all(x, 'nothing' in o || true)",
                                    "ints.all(x, parseJson(json) != null)",
                                    "ints.all(x, json(ints) != '')"};
  for (const Row& row : rows()) {
    if (row.function != "result") texts.push_back("ints.exists(x, [" + row.text + "] == null)");
  }
  for (const std::string& text : texts) {
    const Measured cost = measured(text, {});
    CAPTURE(text, cost.units);
#ifdef WEFT_TIMED
    CHECK(cost.nanoseconds / 1e6 < kLongestMs);
#endif
  }
}

TEST_CASE("evaluation beyond the environment's budget is left off with an error of its own") {
  struct Small final : Environment {
    const Json* name(std::string_view) const override { return &value; }
    const Json* step(std::string_view, std::string_view) const override { return nullptr; }
    Budget* budget() const override { return &own; }
    Json value = Json(std::vector<int>(1'000, 1));
    mutable Budget own{5'000};
  };
  const Small small;
  auto value = parsed("l.all(x, l.all(y, x == y))").evaluate(small);
  REQUIRE_FALSE(value);
  CHECK(Budget::caused(value.error()));
  CHECK(small.own.over());
  // Nothing swallows it.
  value = parsed("l.all(x, l.all(y, x == y)) || true").evaluate(small);
  REQUIRE_FALSE(value);
  CHECK(Budget::caused(value.error()));
  // A result is work as well.
  Small large;
  large.value = Json(std::vector<std::string>(1'000, std::string(100, 'x')));
  value = parsed("l").evaluate(large);
  REQUIRE_FALSE(value);
  CHECK(Budget::caused(value.error()));
}
