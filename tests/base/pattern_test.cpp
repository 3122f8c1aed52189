#include "base/pattern.h"

#include <catch2/catch.hpp>
#include <ctime>

#include "base/pattern_states.h"

using namespace weft;

namespace {

std::string repeat(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

// Of this process alone, however busy the machine is.
double milliseconds(const auto& work) {
  timespec begin{}, end{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
  work();
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  return static_cast<double>(end.tv_sec - begin.tv_sec) * 1e3 + static_cast<double>(end.tv_nsec - begin.tv_nsec) / 1e6;
}

double milliseconds_of(std::uint64_t units) {
  return static_cast<double>(units) / static_cast<double>(Budget::kUnitsPerMillisecond);
}

// Letters whose every window is another one.
std::string letters(std::string_view alphabet, std::size_t bytes) {
  std::string text;
  std::uint64_t random = 1;
  while (text.size() < bytes) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    text += alphabet[(random >> 33) % alphabet.size()];
  }
  return text;
}

// A machine that is busy is slower than the one on which a unit was measured.
constexpr double kSlack = 4;

// An instrumented build measures its instruments.
void check_time([[maybe_unused]] double took, [[maybe_unused]] double longest) {
#ifdef WEFT_TIMED
  CHECK(took < longest);
#endif
}

}  // namespace

TEST_CASE("a pattern from outside is refused by its measure, in a sentence that names it, before it costs much") {
  struct Refused {
    std::string text;
    std::string limit;
    std::string says;
  };
  const Refused rows[] = {
      {repeat("ab|", 240'000), "pattern_bytes_max", "the pattern `ab|ab|"},
      {repeat("\\pL", 1'300), "pattern_compile_max", "the limit is 4000000"},
      {repeat("x{1000}", 500), "pattern_compile_max", "the limit is 4000000"},
      {"(\\p{L}{30}x|\\p{Lu}{20}y)", "pattern_program_max", "the limit is 10000"},
      {repeat("((x{10}){10}){10}|", 12), "pattern_program_max", "instructions"},
      {"(?i)" + repeat("k", 4'000), "pattern_program_max", "instructions"},
  };
  for (const Refused& row : rows) {
    CAPTURE(row.text.substr(0, 40));
    std::optional<Error> error;
    const double spent = milliseconds([&] {
      auto compiled = Pattern::compile(row.text);
      if (!compiled) error = compiled.error();
    });
    REQUIRE(error);
    CHECK(error->code == Code::kResourceExhausted);
    CHECK(error->details == std::vector<Detail>{{"limit", row.limit}});
    CHECK_THAT(error->message, Catch::Contains(row.says));
    CHECK(error->message.size() < 300);
    check_time(spent, 20 * kSlack);
  }
  auto wrong = Pattern::compile("(");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == Code::kInvalidArgument);
  CHECK_THAT(wrong.error().message, Catch::Contains("the pattern `(` is refused: missing )"));
}

TEST_CASE("compiling takes no longer than its cost says") {
  const std::string texts[] = {
      repeat("\\pL|", 90),    "(?i)" + repeat("\\PN", 90),
      repeat("x{1000}", 8),   repeat("a?", 2'000),
      repeat("(a*)*", 800),   "(?i)" + repeat("k", 1'000),
      repeat("[^a-z]", 600),  "[" + repeat("\\pL\\PN", 40) + "]",
      repeat("(a?b?)*", 500), repeat("(", 900) + repeat("a)?", 900),
      repeat("ab|", 1'300),   "[ab]*a[ab]{900}c|[ab]*b[ab]{900}d",
  };
  for (const std::string& text : texts) {
    CAPTURE(text.substr(0, 40));
    const double spent = milliseconds([&] { (void)Pattern::compile(text).has_value(); });
    check_time(spent, milliseconds_of(Pattern::compile_cost(text)) * kSlack + 1);
  }
}

TEST_CASE("a search takes no longer than its cost says, where RE2 is slow and where it is fast") {
  struct Search {
    std::string pattern;
    std::string alphabet;
  };
  const Search searches[] = {
      {"[ab]*a[ab]{5}c|[ab]*b[ab]{5}d", "ab"},
      {"[ab]*a[ab]{20}c|[ab]*b[ab]{20}d", "ab"},
      {"[ab]*a[ab]{100}c|[ab]*b[ab]{100}d", "ab"},
      {"[ab]*a[ab]{900}c|[ab]*b[ab]{900}d", "ab"},
      {"a[ab]{8}", "abc"},
      {"(a?b?)*c", "ab"},
      {repeat(".*", 6) + "x", "ab \n"},
      {"refund", "refund "},
      {"(?i)foo.*barbaz.*quux", "fobarzqux "},
      {"\\d{3}x\\d{3}|1\\d{3}y", "0123456789"},
      {"[\\p{L}0-9._%+-]+@[\\p{L}0-9.-]+", "ab."},
      {"x.{100}y|\\p{Han}.{50}z", "xyz"},
      {"a[ab]{6}", "ab"},
      {"(a.|.b){4}c", "ab"},
      {"^(a|ab|b)*c", "ab"},
      {"(ab|ba|aab)+.*(bb|abab).*c", "ab"},
  };
  for (const Search& search : searches) {
    auto pattern = Pattern::compile(search.pattern);
    REQUIRE(pattern);
    // The states of a pattern that has few are made once.
    (void)pattern->found_in(letters(search.alphabet, 20'000));
    for (const std::size_t bytes : {20, 100, 1'000, 20'000}) {
      const std::string text = letters(search.alphabet, bytes);
      CAPTURE(search.pattern, bytes, pattern->program_size());
      const double spent = milliseconds([&] { (void)pattern->found_in(text); });
      check_time(spent, milliseconds_of(pattern->cost(bytes)) * kSlack + 0.2);
    }
  }
}

TEST_CASE("of most patterns it is told that they have few states, and of none that has many") {
  for (const char* pattern :
       {"^[A-Z]{2}-\\d+$", "[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,}", "(?i)refund|invoice.*overdue", "^.{1,200}$",
        "^https?://[^\\s/$.?#].[^\\s]*$", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "^(foo|bar)+$", "é+|ü", ""}) {
    CAPTURE(pattern);
    CHECK(few_states(pattern).has_value());
  }
  // Each byte of a text can choose whether one more of these places is taken: 2^n sets.
  for (const char* pattern : {"a[ab]{12}", "[ab]*a[ab]{900}c", "a(a|b){12}", "(x|y){2}z|(a.|.b){9}", "\\ba.{3}",
                              "\\p{L}+", "(?s).", "a^b", "a**", "[[:alpha:]]", "[à-ÿ]"}) {
    CAPTURE(pattern);
    CHECK_FALSE(few_states(pattern).has_value());
  }
  CHECK(few_states("^\\d{4}-\\d{2}-\\d{2}$") == 12);
}

TEST_CASE("a plain pattern costs little on a large text, and one that may explode is charged for it") {
  auto plain = Pattern::compile("(?i)refund|invoice.*overdue");
  auto bad = Pattern::compile("[ab]*a[ab]{1000}c|[ab]*b[ab]{1000}d");
  REQUIRE(plain);
  REQUIRE(bad);
  constexpr std::size_t kText = 2'000'000;
  CHECK(milliseconds_of(plain->cost(kText)) < 10);
  CHECK(milliseconds_of(bad->cost(kText)) > 10'000);
  CHECK(plain->found_in("REFUND it"));
  CHECK(plain->found_in("the invoice is overdue"));
  CHECK_FALSE(plain->found_in("nothing"));
  CHECK(plain->find("a refund, a refund", 3) == 12);
  CHECK(plain->find("a refund", 8) == std::string_view::npos);
  auto lines = Pattern::compile("^b$", Pattern::Lines::kEach);
  REQUIRE(lines);
  CHECK(lines->find("a\nb\nc", 0) == 2);
  CHECK(lines->text() == "^b$");
}
