#include "workflows/yaml.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace weft::yaml {
namespace {

using workflows::Diagnostic;

struct Read {
  NodePtr root;
  std::vector<Diagnostic> diagnostics;
};

Read read_text(const std::string& text, const Limits& limits = {}) {
  Diagnostics diagnostics("test.yaml");
  Read result{read(text, diagnostics, limits), {}};
  result.diagnostics = diagnostics.take();
  return result;
}

Json value_of(const std::string& text) {
  const Read result = read_text(text);
  for (const auto& diagnostic : result.diagnostics) UNSCOPED_INFO(to_text(diagnostic));
  REQUIRE(result.root);
  REQUIRE(result.diagnostics.empty());
  return result.root->to_json();
}

// The one fault of a text, as "LINE:COLUMN CODE".
std::string fault_of(const std::string& text, const Limits& limits = {}) {
  const Read result = read_text(text, limits);
  CHECK(!result.root);
  REQUIRE(result.diagnostics.size() == 1);
  const Diagnostic& fault = result.diagnostics[0];
  INFO(to_text(fault));
  return std::to_string(fault.mark.line) + ":" + std::to_string(fault.mark.column) + " " + fault.code;
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST_CASE("plain scalars are read by the core schema of YAML 1.2") {
  CHECK(value_of("[yes, no, on, off, y, n]") == Json({"yes", "no", "on", "off", "y", "n"}));
  CHECK(value_of("[true, True, FALSE, null, ~, Null]") == Json({true, true, false, nullptr, nullptr, nullptr}));
  CHECK(value_of("[12, -7, +3, 0o17, 0x1F, 017]") == Json({12, -7, 3, 15, 31, 17}));
  CHECK(value_of("[1.5, .5, 5., 1e3, -2E-2]") == Json({1.5, 0.5, 5.0, 1000.0, -0.02}));
  CHECK(value_of("[2024-01-01, 1_000, 1.2.3, 0b1, 0o8, 12:30, '5', \"true\", tRue]") ==
        Json({"2024-01-01", "1_000", "1.2.3", "0b1", "0o8", "12:30", "5", "true", "tRue"}));
  CHECK(value_of("a:\nb: ''\nc: |\n  x\n  y\nd: >\n  x\n  y\n") ==
        Json({{"a", nullptr}, {"b", ""}, {"c", "x\ny\n"}, {"d", "x y\n"}}));
}

TEST_CASE("an empty document is null and a byte order mark is no part of it") {
  CHECK(value_of("").is_null());
  CHECK(value_of("# nothing\n").is_null());
  CHECK(value_of("\xEF\xBB\xBF"
                 "a: 1") == Json({{"a", 1}}));
  CHECK(value_of("--- \na: 1\n...\n") == Json({{"a", 1}}));
  CHECK(value_of("a: 1\r\nb: 2\r\n") == Json({{"a", 1}, {"b", 2}}));
}

TEST_CASE("every node knows where it stands, and where its text begins") {
  const Read result = read_text("a: &x \"q\"\nb:\n  - |\n    text\n    {{ e }}\n  - plain\nc:\n");
  REQUIRE(result.root);
  const Node& quoted = *result.root->get("a");
  CHECK(quoted.mark == Mark{1, 7});
  CHECK(quoted.text_mark == Mark{1, 8});
  const Node& list = *result.root->get("b");
  CHECK(list.mark == Mark{3, 3});
  CHECK(list.items[0]->mark == Mark{3, 5});
  CHECK(list.items[0]->text_mark == Mark{4, 5});
  CHECK(list.items[0]->style == Style::kBlock);
  CHECK(list.items[1]->text_mark == Mark{6, 5});
  CHECK(result.root->get("c")->mark == Mark{7, 1});
  CHECK(result.root->members[1].key_mark == Mark{2, 1});
}

TEST_CASE("an alias is a copy, so that a key used in one place is still unused in the other") {
  const Read result = read_text("a: &x {k: 1}\nb: *x\n");
  REQUIRE(result.root);
  CHECK(result.root->get("a")->get("k")->as_integer() == 1);
  CHECK(result.root->get("a")->members[0].used);
  CHECK_FALSE(result.root->get("b")->members[0].used);
}

TEST_CASE("what the language leaves out of YAML is refused where it stands") {
  CHECK(fault_of("a: 1\na: 2\n") == "2:1 duplicate-key");
  CHECK(fault_of("a: !foo 1\n") == "1:4 yaml-tag");
  CHECK(fault_of("a: !!str 1\n") == "1:4 yaml-tag");
  CHECK(fault_of("a: !important\n") == "1:4 yaml-tag");
  CHECK(fault_of("a: ! \"x\"\n") == "1:4 yaml-tag");
  CHECK(fault_of("- &x !t {a: 1}\n") == "1:6 yaml-tag");
  CHECK(fault_of("a: &x {k: 1}\nb:\n  <<: *x\n") == "3:3 yaml-merge");
  CHECK(fault_of("? [1, 2]\n: 3\n") == "1:3 yaml-key");
  CHECK(fault_of(": 3\n") == "1:1 yaml-key");
  CHECK(fault_of("a: 1\n---\nb: 2\n") == "2:1 yaml-documents");
  CHECK(fault_of("a: &x [*x]\n") == "1:8 yaml-alias");
  CHECK(fault_of("&x {a: *x}") == "1:8 yaml-alias");
  CHECK(fault_of("a: *none\n") == "1:4 yaml");
  CHECK(fault_of("a: .inf\n") == "1:4 yaml-number");
  CHECK(fault_of("a: -.INF\n") == "1:4 yaml-number");
  CHECK(fault_of("a: .nan\n") == "1:4 yaml-number");
  CHECK(fault_of("a: 99999999999999999999\n") == "1:4 yaml-number");
  CHECK(fault_of("a: 1e999\n") == "1:4 yaml-number");
}

TEST_CASE("bytes that are no text are refused before the parser sees them") {
  CHECK(fault_of(std::string("a: \0b", 5)) == "1:4 yaml-bytes");
  CHECK(fault_of("a: 1\nb: x\x04y: 2\n") == "2:5 yaml-bytes");
  CHECK(fault_of("a: \x7F\n") == "1:4 yaml-bytes");
  CHECK(fault_of("a: 1\nb: \xC3\xA4\xFFz\n") == "2:6 yaml-bytes");
  CHECK(fault_of("a: \xE4") == "1:4 yaml-bytes");
  CHECK(fault_of("\xFF\xFE"
                 "a") == "1:1 yaml-bytes");
}

TEST_CASE("a bare template gets its own message, and its text is read as if it were quoted") {
  CHECK(fault_of("a: {{ input.x }}\n") == "1:4 yaml-template");
  CHECK(fault_of("a: {{ input.x }} and {{ input.y }}\n") == "1:4 yaml-template");
  CHECK(fault_of("a: [1, {{ x }}]\n") == "1:8 yaml-template");
  CHECK(fault_of("- {{ x ? 'a: b' : c }}\n").ends_with("yaml-template"));
  Diagnostics diagnostics("test.yaml");
  const Faulty faulty = read_faulty("a: {{ input.x }}\nb: {{ y }}\n", diagnostics);
  REQUIRE(faulty.root);
  CHECK_FALSE(faulty.sound);
  CHECK(faulty.root->get("a")->text == "{{ input.x }}");
  CHECK(diagnostics.take().size() == 2);
}

TEST_CASE("question marks are text where they are no key indicator, also inside braces") {
  CHECK(value_of("{a: string?, b: [x?, y??], c: x ?? y, d: ok?}") ==
        Json({{"a", "string?"}, {"b", {"x?", "y??"}}, {"c", "x ?? y"}, {"d", "ok?"}}));
  CHECK(value_of("a: x ? y\nb: \"? ?? ?\"\nc: |\n  ? what?\n  - ?\n\"d?\": 1\ne?: 2\n") ==
        Json({{"a", "x ? y"}, {"b", "? ?? ?"}, {"c", "? what?\n- ?\n"}, {"d?", 1}, {"e?", 2}}));
  CHECK(value_of("{a: x?, b: \"\\x01?\\u0002\"}") == Json({{"a", "x?"}, {"b", "\x01?\x02"}}));
  CHECK(value_of("? a\n: 1\n? b\n: {? c : 2, ? d : 3}\n") == Json({{"a", 1}, {"b", {{"c", 2}, {"d", 3}}}}));
}

TEST_CASE("tabs in the indentation are named as such") {
  const Read result = read_text("a:\n\t- b\n");
  REQUIRE(result.diagnostics.size() == 1);
  CHECK(result.diagnostics[0].suggestion == "indent with spaces, not with tabs");
}

TEST_CASE("size, depth and number of nodes are bounded") {
  const Limits small{.bytes_max = 100, .depth_max = 4, .nodes_max = 20};
  CHECK(fault_of(repeated("a", 101), small) == "1:1 limit");
  CHECK(read_text("[[[[1]]]]", small).root);
  CHECK(fault_of("[[[[[1]]]]]", small) == "1:5 limit");
  CHECK(fault_of("a:\n b:\n  c:\n   d:\n    e: 1\n", small) == "5:5 limit");
  CHECK(fault_of("[" + repeated("1,", 20) + "]", small).ends_with("limit"));
  CHECK(fault_of("a: &x [1,2,3,4,5]\nb: [*x,*x,*x,*x]\n", small).ends_with("limit"));
  CHECK(fault_of("a: &x [[1]]\nb: [[*x]]\n", small).ends_with("limit"));
}

TEST_CASE("nesting without an end is refused at the limit, whatever opens it") {
  for (const char* opening : {"[", "{a: ", "- ", "? ", "{{", "[{", "[? ", "- ? "}) {
    INFO(opening);
    const Read result = read_text(repeated(opening, 100'000));
    CHECK(!result.root);
    REQUIRE(!result.diagnostics.empty());
    CHECK((result.diagnostics.back().code == "limit" || result.diagnostics.back().code == "yaml"));
  }
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  CHECK(fault_of(deep).ends_with("limit"));
}

TEST_CASE("aliases of aliases end at the number of nodes") {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += "*a" + std::to_string(i - 1) + ", ";
    bomb += "]\n";
  }
  CHECK(fault_of(bomb).ends_with("limit"));
}

TEST_CASE("aliases of a long text end at the number of bytes") {
  std::string bomb = "long: &long \"" + std::string(600'000, 'x') + "\"\nall: [";
  for (int i = 0; i < 80'000; ++i) bomb += "*long,";
  CHECK(fault_of(bomb + "]\n").ends_with("limit"));
  std::string nested = "long: &a {b: {c: \"" + std::string(600'000, 'x') + "\"}}\nall: [*a, *a]\n";
  CHECK(fault_of(nested).ends_with("limit"));
}

TEST_CASE("unused keys are refused with the nearest known one") {
  Diagnostics diagnostics("test.yaml");
  const NodePtr root = read("prompt: x\npromt: y\nzzz: 1\n", diagnostics);
  REQUIRE(root);
  root->get("prompt");
  refuse_unused(*root, "a step", {"prompt", "tool"}, diagnostics);
  const auto found = diagnostics.take();
  REQUIRE(found.size() == 2);
  CHECK(found[0].mark == Mark{2, 1});
  CHECK(found[0].code == "unknown-key");
  CHECK(found[0].suggestion == "did you mean \"prompt\"?");
  CHECK(found[1].suggestion.empty());
}

TEST_CASE("what write() makes is read as the same value") {
  const std::vector<std::string> texts{"",
                                       " ",
                                       "a",
                                       "yes",
                                       "No",
                                       "null",
                                       "~",
                                       "1",
                                       "0x1f",
                                       "-",
                                       "- a",
                                       "a: b",
                                       "{{ x }}",
                                       "[",
                                       "a#b",
                                       "a # b",
                                       "#",
                                       "!t",
                                       "*x",
                                       "&x",
                                       "line\nbreak\n",
                                       "\ttab",
                                       "quote\"s",
                                       "back\\slash",
                                       "\xC3\xA9",
                                       "\xEF\xBB\xBF",
                                       "\x01\x1b",
                                       "a\r\nb",
                                       "...",
                                       "---",
                                       "@",
                                       "`",
                                       "%",
                                       "?",
                                       "? a",
                                       "|",
                                       ">",
                                       "=",
                                       "<<",
                                       "\x7f",
                                       "2024-01-01",
                                       ".inf",
                                       "y",
                                       "a.b/c-d",
                                       std::string(3000, 'k')};
  Json all = Json::object();
  for (const auto& text : texts) all[text] = text;
  all["numbers"] = {0, -1, INT64_MAX, INT64_MIN, 1.0, 0.1, 1e300, -2.5e-7, true, false, nullptr};
  all["nested"] = {{"empty map", Json::object()}, {"empty list", Json::array()}, {"list", {{1, {2, {3}}}, {{"a", 1}}}}};
  const std::string text = write(all);
  CHECK(value_of(text) == all);
  CHECK(value_of(text).dump() == all.dump());
  CHECK(value_of(write(Json("text\n"))) == "text\n");
  CHECK(value_of(write(Json::array())) == Json::array());
}

}  // namespace
}  // namespace weft::yaml
