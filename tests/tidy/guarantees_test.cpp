// What the documents name is there: a filter of docs/guarantees.md that fits no test would pass unnoticed, and a path
// that leads nowhere helps nobody.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> all(const std::string& text, const std::regex& what) {
  std::vector<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), what), end; at != end; ++at) found.push_back((*at)[1]);
  return found;
}

std::vector<std::string> test_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(WEFT_SOURCE_DIR) / "tests")) {
    if (entry.path().extension() != ".cpp") continue;
    for (std::string& name : all(text_of(entry.path()), std::regex(R"re(TEST_CASE\(\s*"([^"]+)")re")))
      names.push_back(std::move(name));
  }
  return names;
}

// As Catch2 reads one of the patterns between commas: a star at either end, whatever the case of its letters.
bool fits(std::string pattern, const std::string& name) {
  const bool from_anywhere = pattern.starts_with('*');
  const bool to_anywhere = pattern.ends_with('*');
  pattern = pattern.substr(from_anywhere, pattern.size() - from_anywhere - to_anywhere);
  if (from_anywhere && to_anywhere) return name.find(pattern) != std::string::npos;
  return from_anywhere ? name.ends_with(pattern) : to_anywhere ? name.starts_with(pattern) : name == pattern;
}

}  // namespace

TEST_CASE("every test and every mutant that a guarantee names is there") {
  const std::string guarantees = text_of(fs::path(WEFT_SOURCE_DIR) / "docs/guarantees.md");
  const std::vector<std::string> names = test_names();
  REQUIRE(names.size() > 300);
  std::string missing;
  std::size_t looked_at = 0;
  for (const std::string& filter : all(guarantees, std::regex(R"re(`(?:build/test_[a-z_]+ )?"([^"]+)"`)re"))) {
    for (std::size_t from = 0; from <= filter.size();) {
      const std::size_t to = std::min(filter.find(',', from), filter.size());
      const std::string pattern = filter.substr(from, to - from);
      from = to + 1;
      ++looked_at;
      if (std::ranges::none_of(names, [&](const std::string& name) { return fits(pattern, name); }))
        missing += "no test fits " + pattern + "\n";
    }
  }
  for (const std::string& row : all(guarantees, std::regex(R"re(mutants? ((?:`[a-z_]+`(?:, | and )?)+))re"))) {
    for (const std::string& mutant : all(row, std::regex("`([a-z_]+)`"))) {
      ++looked_at;
      if (!fs::exists(fs::path(WEFT_SOURCE_DIR) / "tests/simulation/control" / (mutant + ".mutant")))
        missing += "there is no mutant " + mutant + "\n";
    }
  }
  CHECK(looked_at > 100);
  if (!missing.empty()) FAIL(missing);
}

TEST_CASE("every path of the sources that a document names is there") {
  const fs::path root = WEFT_SOURCE_DIR;
  const std::regex path("`((?:base|memory|proto|runtime|sim|tests|tools|workflows)/[^`\\s]*)`");
  std::string missing;
  std::size_t looked_at = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root / "docs")) {
    if (entry.path().extension() != ".md") continue;
    for (const std::string& named : all(text_of(entry.path()), path)) {
      if (named.find_first_of("*{…") != std::string::npos) continue;  // A family of them.
      ++looked_at;
      if (!fs::exists(root / named))
        missing += fs::relative(entry.path(), root).string() + " names " + named + ", which is not there\n";
    }
  }
  CHECK(looked_at > 50);
  if (!missing.empty()) FAIL(missing);
}

TEST_CASE("every source of a test is compiled into one") {
  std::string lists;
  std::vector<fs::path> sources;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(WEFT_SOURCE_DIR) / "tests")) {
    if (entry.path().filename() == "CMakeLists.txt") lists += text_of(entry.path());
    if (entry.path().extension() == ".cpp") sources.push_back(entry.path());
  }
  std::string left_out;
  for (const fs::path& source : sources) {
    const std::regex named("(^|[^\\w])" + std::regex_replace(source.filename().string(), std::regex("\\."), "\\.") +
                           "($|[^\\w])");
    if (!std::regex_search(lists, named)) left_out += source.string() + "\n";
  }
  INFO(left_out);
  CHECK(left_out.empty());
}
