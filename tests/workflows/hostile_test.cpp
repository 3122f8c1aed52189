// Files that nobody meant well: whatever comes in, a workflow or diagnostics with a place come out.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <sstream>

#include "tests/workflows/loading.h"

namespace weft::workflows {
namespace {

// Small, good enough for mutations, and the same on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 2654435769ULL + 1) {}
  std::size_t below(std::size_t bound) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return bound == 0 ? 0 : static_cast<std::size_t>(state_ >> 33) % bound;
  }

 private:
  std::uint64_t state_;
};

std::vector<std::string> sources() {
  std::ifstream file(std::string(WEFT_SOURCE_DIR) + "/docs/language.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string document = text.str();
  std::vector<std::string> all;
  const std::string fence = "```yaml\n";
  for (std::size_t at = document.find(fence); at != std::string::npos; at = document.find(fence, at)) {
    at += fence.size();
    const std::size_t end = document.find("```", at);
    if (end == std::string::npos) break;
    all.push_back(document.substr(at, end - at));
    at = end + 3;
  }
  return all;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

void mutate_bytes(std::string& text, Random& random) {
  static const std::string kBytes = "{}[]:,-?!&*#|>'\"%@`\\ \n\t\r.$~0a\x00\x04\x1b\x7f\xc3\xff";
  const std::size_t times = 1 + random.below(8);
  for (std::size_t i = 0; i < times; ++i) {
    const std::size_t at = random.below(text.size() + 1);
    const char byte = kBytes[random.below(kBytes.size())];
    switch (random.below(4)) {
      case 0: text.insert(at, 1, byte); break;
      case 1: text.erase(at, 1 + random.below(6)); break;
      case 2:
        if (at < text.size()) text[at] = byte;
        break;
      default: text.insert(at, text.substr(random.below(text.size() + 1), random.below(40)));
    }
  }
}

void mutate_lines(std::string& text, Random& random) {
  std::vector<std::string> lines = lines_of(text);
  if (lines.empty()) return;
  const std::size_t at = random.below(lines.size()), other = random.below(lines.size());
  switch (random.below(6)) {
    case 0: lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(at)); break;
    case 1: lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at), lines[other]); break;
    case 2: std::swap(lines[at], lines[other]); break;
    case 3: lines[at] = "  " + lines[at]; break;
    case 4: lines[at].erase(0, std::min<std::size_t>(2, lines[at].size())); break;
    default: lines.resize(at + 1);
  }
  text = joined(lines);
}

void mutate_words(std::string& text, Random& random) {
  static const std::vector<std::string> kWords{"steps",
                                               "output",
                                               "prompt",
                                               "tool",
                                               "set",
                                               "switch",
                                               "for_each",
                                               "repeat",
                                               "needs",
                                               "when",
                                               "until",
                                               "input",
                                               "item",
                                               "{{",
                                               "}}",
                                               "null",
                                               "true",
                                               "1e999",
                                               "-1",
                                               "99999999999",
                                               "[]",
                                               "{}",
                                               "??",
                                               "&a ",
                                               "*a",
                                               "<<: *a",
                                               "!!str ",
                                               "\"",
                                               "'",
                                               "previous",
                                               "returns",
                                               "cases",
                                               "default",
                                               "use",
                                               "file",
                                               "\n---\n",
                                               "(((((",
                                               "size()",
                                               "matches('(a*)*b')",
                                               "'x'.replace('', 'yyyy')",
                                               "[1,2,3].map(x, x)",
                                               "type",
                                               "enum",
                                               "$ref"};
  const std::string& word = kWords[random.below(kWords.size())];
  const std::string& with = kWords[random.below(kWords.size())];
  const std::size_t at = text.find(word, random.below(text.size() + 1));
  if (at == std::string::npos) {
    text.insert(random.below(text.size() + 1), with);
  } else {
    text.replace(at, word.size(), with);
  }
}

// Every diagnostic has a place in the text; a refusal has a reason.
void check_answer(const std::string& text, const Loaded& loaded) {
  const std::size_t lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 2;
  bool has_error = false;
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    has_error = has_error || diagnostic.severity == Severity::kError;
    const bool is_placed = diagnostic.mark.line >= 1 && diagnostic.mark.line <= lines && diagnostic.mark.column >= 1;
    if (!is_placed || diagnostic.message.empty() || diagnostic.code.empty()) {
      FAIL(to_text(diagnostic) << "\n" << text);
    }
  }
  if (has_error == (loaded.workflow != nullptr)) FAIL("a workflow and errors, or neither:\n" << text);
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST_CASE("two thousand mutated workflows give a workflow or placed diagnostics") {
  const std::vector<std::string> originals = sources();
  REQUIRE(originals.size() >= 5);
  const std::vector<BundleFile> files{{"handbook.md", "Be kind."}, {"prompts/reviewer.md", "You review."}};
  std::size_t refused = 0;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    Random random(seed);
    std::string text = originals[random.below(originals.size())];
    const std::size_t rounds = 1 + random.below(3);
    for (std::size_t i = 0; i < rounds; ++i) {
      switch (random.below(3)) {
        case 0: mutate_bytes(text, random); break;
        case 1: mutate_lines(text, random); break;
        default: mutate_words(text, random);
      }
    }
    INFO("seed " << seed);
    const Loaded loaded = load_text(text, files);
    check_answer(text, loaded);
    files_named(text);
    if (!loaded.workflow) ++refused;
  }
  CHECK(refused > 1000);
  CHECK(refused < 2000);
}

std::string chain_of_steps(std::size_t count) {
  std::string text = whole("steps:\n  s0: {set: 1}\n");
  for (std::size_t i = 1; i < count; ++i) {
    text += "  s" + std::to_string(i) + ": {set: \"{{ steps.s" + std::to_string(i - 1) + ".output }}\"}\n";
  }
  return text;
}

TEST_CASE("files at and over the limits are answered at once") {
  std::vector<std::string> texts;
  for (const char* opening : {"[",   "{",   "- ", "? ",    "{a: ",  "[a: ",   "a: &x\n", "{{",   "((", "&a ",
                              "*a ", "!a ", "| ", "\"",    "'",     "a: b: ", "- - ",    "\n",   " ",  "\t",
                              ": ",  ",",   "#",  "---\n", "...\n", "%a\n",   "<<: ",    "a:\n", "\\"}) {
    texts.push_back(repeated(opening, (std::size_t{1} << 18) / std::string_view(opening).size()));
    texts.push_back(whole("steps: ") + repeated(opening, 50'000));
  }
  texts.push_back(repeated("[", std::size_t{1} << 20));
  texts.push_back(repeated("[", (std::size_t{1} << 20) + 1));
  texts.push_back(whole("steps: {a: {prompt: \"") + repeated("{{ 1 }}", 140'000) + "\"}}");
  texts.push_back(whole("steps: {a: {prompt: \"") + repeated("{{ steps.a.output }}", 50'000) + "\"}}");
  texts.push_back(whole("steps: {a: {when: \"") + repeated("(", 8'000) + "\", set: 1}}");
  texts.push_back(whole("steps: {a: {when: \"") + repeated("!", 8'000) + "true\", set: 1}}");
  texts.push_back(whole("steps: {a: {when: \"") + repeated("true && ", 2'000) + "true\", set: 1}}");
  texts.push_back(whole("steps: {a: {set: ") + repeated("[", 60) + repeated("]", 60) + "}}");
  texts.push_back(whole("steps: {a: {set: [") + repeated("1, ", 99'000) + "]}}");
  texts.push_back(whole("steps:\n") + repeated("  a: {set: 1}\n", 20'000));
  texts.push_back(chain_of_steps(9'000));
  texts.push_back(chain_of_steps(20'000));
  std::string many = whole("steps:\n"), cycles = whole("steps:\n"), inputs = whole("input:\n"),
              unknown = whole("steps:\n");
  std::string doubling = whole("steps:\n  s0: {set: {a: 1}}\n"), keys = whole("steps:\n  a:\n    set:\n");
  for (int i = 0; i < 9'000; ++i) {
    const std::string n = std::to_string(i), next = std::to_string(i ^ 1);
    many += "  step" + n + ": {set: 1}\n";
    cycles += "  s" + n + ": {set: 1, needs: [s" + next + "]}\n";
    inputs += "  i" + n + ": string\n";
    unknown += "  s" + n + ": {set: \"{{ steps.z" + n + ".output }}\", needs: [y" + n + "]}\n";
    doubling += "  s" + std::to_string(i + 1) + ": {set: {a: \"{{ steps.s" + n + ".output }}\", b: \"{{ steps.s" + n +
                ".output }}\"}}\n";
    keys += "      key" + n + ": 1\n";
  }
  for (const std::string& text : {many, cycles, inputs + "steps: {a: {set: 1}}\n", unknown, doubling, keys})
    texts.push_back(text);
  std::string groups = whole("");
  for (std::size_t i = 0; i < 30; ++i)
    groups += std::string(2 * i, ' ') + "steps:\n" + std::string(2 * i + 1, ' ') + "g" + std::to_string(i) + ":\n";
  texts.push_back(groups + std::string(60, ' ') + "set: 1\n");
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" +
            repeated("*a" + std::to_string(i - 1) + ", ", 10) + "]\n";
  }
  texts.push_back(bomb);
  texts.push_back("&a [*a]");
  texts.push_back("&a {b: &c {d: *a}}");
  for (const std::string& text : texts) {
    INFO(text.substr(0, 80) << " … " << text.size() << " bytes");
    const auto start = std::chrono::steady_clock::now();
    const Loaded loaded = load_text(text);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    check_answer(text, loaded);
    // Generous, since an instrumented build on a busy machine takes part: what is quadratic takes minutes.
    CHECK(took.count() < 20);
  }
}

TEST_CASE("a workflow of nine thousand steps in a chain loads whole") {
  const auto workflow = load_good(chain_of_steps(9'000));
  CHECK(workflow->steps.size() == 9'000);
  CHECK(workflow->steps[8'999].waits_for == std::vector<StepId>{8'998});
}

TEST_CASE("large files that many steps carry are bounded together") {
  std::string text = whole("context: [{file: big.md}]\nsteps:\n");
  for (int i = 0; i < 100; ++i) text += "  s" + std::to_string(i) + ": {prompt: x}\n";
  const Loaded loaded = load_text(text, {{"big.md", std::string(std::size_t{1} << 20, 'x')}});
  REQUIRE(!loaded.diagnostics.empty());
  CHECK(loaded.diagnostics[0].code == "limit");
}

}  // namespace
}  // namespace weft::workflows
