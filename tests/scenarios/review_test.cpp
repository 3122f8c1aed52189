// The example on real input: a scripted reviewer that knows only what the tools really return.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/cli/program.h"

using namespace weft;

namespace {

namespace fs = std::filesystem;

struct Project {
  Project() : path(fs::temp_directory_path() / fmt::format("weft-review-{}", ::getpid())) {
    fs::remove_all(path);
    for (const char* module : {"base", "memory", "tools"}) {
      fs::create_directories(path / module);
      write(fmt::format("{}/limits.h", module),
            fmt::format(
                "// The limits of {}.\nconstexpr int kLinesMax = 100;\nint other;\nconstexpr int kFilesMax = 7;\n",
                module));
    }
  }
  ~Project() { fs::remove_all(path); }
  void write(const std::string& file, const std::string& text) const { std::ofstream(path / file) << text; }
  Json review() const {
    const std::string examples = std::string(WEFT_SOURCE_DIR) + "/workflows/examples/repo-review";
    const cli::Outcome outcome =
        cli::run_program(path, {"run", examples + ".yaml", "--sim=" + examples + ".sim.yaml", "--input", "path=.",
                                "--input", "question=Which limits have names?", "-o", "json"});
    INFO(outcome.err);
    REQUIRE(outcome.exit == 0);
    return (*parse_untrusted(outcome.out))["output"];
  }
  fs::path path;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') lines.emplace_back();
    if (c != '\n') lines.back() += c;
  }
  return lines;
}

}  // namespace

TEST_CASE("the review quotes what stands in the files: one changed line changes exactly its quotation") {
  const Project project;
  const Json before = project.review();
  CHECK(before["findings"] == 6);
  const auto first = lines_of(before["report"].get<std::string>());
  REQUIRE(first.size() == 7);
  CHECK(first[1] == "- base/limits.h:2  constexpr int kLinesMax = 100;");
  CHECK(first[6] == "- tools/limits.h:4  constexpr int kFilesMax = 7;");

  project.write("memory/limits.h",
                "// The limits of memory.\nconstexpr int kLinesMax = 250;\nint other;\nconstexpr int kFilesMax = 7;\n");
  const auto second = lines_of(project.review()["report"].get<std::string>());
  REQUIRE(second.size() == first.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (i == 3) CHECK(second[i] == "- memory/limits.h:2  constexpr int kLinesMax = 250;");
    if (i != 3) CHECK(second[i] == first[i]);
  }
}
