// No function, class or header grows beyond what a reader holds in mind; what does stands here by name, with its
// reason.
#include "tests/tidy/shape.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace weft::tidy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFunctionLinesMax = 70;
constexpr std::size_t kHeaderLinesMax = 250;
constexpr std::size_t kMethodsMax = 30;
constexpr std::size_t kFieldsMax = 25;

struct Exception {
  std::string path;
  std::string name;  // Of the function or class; empty: of the header.
  std::string reason;
};

const std::vector<Exception>& exceptions() {
  static const std::vector<Exception> kExceptions = {
      {"runtime/engine/engine.cpp", "LiveEngine", "the one face of an engine: a method for each request"},
      {"runtime/run/run.h", "Run", "all that may be asked of the core, a question each"},
      {"runtime/run/state.h", "Run::State", "what the core's files share; each of them has one subject"},
      {"workflows/expression/evaluate.h", "Evaluation", "a method for each kind of expression"},
      {"base/http.cpp", "HttpClient::State::prepare", "libcurl's options of a request, one after the other"},
      {"bench/store_layout.cpp", "measure", "one measurement from its preparation to its row"},
  };
  return kExceptions;
}

std::vector<std::string> lines_of(std::istream&& in) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Tests are sentences, one after the other: how long one is, its reader decides.
std::map<std::string, std::vector<std::string>> product() {
  std::map<std::string, std::vector<std::string>> files;
  const fs::path root = WEFT_SOURCE_DIR;
  for (const char* room : {"base", "workflows", "runtime", "tools", "memory", "sim", "bench"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / room)) {
      const std::string extension = entry.path().extension();
      if (extension != ".cpp" && extension != ".h") continue;
      files.emplace(fs::relative(entry.path(), root), lines_of(std::ifstream(entry.path())));
    }
  }
  return files;
}

// What is too large, and which exceptions nothing needs any more.
class Findings {
 public:
  void look(const std::string& path, const std::string& name, std::size_t size, std::size_t most, const char* of_what) {
    if (size <= most) return;
    const auto allowed = std::ranges::find_if(
        exceptions(), [&](const Exception& exception) { return exception.path == path && exception.name == name; });
    if (allowed != exceptions().end()) {
      used_.insert(path + ":" + name);
      return;
    }
    std::ostringstream fault;
    fault << path << (name.empty() ? "" : ": ") << name << " has " << size << " " << of_what << "; " << most
          << " is the most: cut it along its subjects";
    faults_.push_back(fault.str());
  }
  std::vector<std::string> faults() const {
    std::vector<std::string> all = faults_;
    for (const Exception& exception : exceptions()) {
      if (exception.reason.empty()) all.push_back(exception.path + ": " + exception.name + " gives no reason");
      if (!used_.contains(exception.path + ":" + exception.name))
        all.push_back(exception.path + ": " + exception.name + " needs no exception");
    }
    return all;
  }

 private:
  std::vector<std::string> faults_;
  std::set<std::string> used_;
};

}  // namespace

TEST_CASE("functions, classes and headers are no larger than a reader holds in mind") {
  Findings findings;
  for (const auto& [path, lines] : product()) {
    if (path.ends_with(".h")) findings.look(path, "", lines.size(), kHeaderLinesMax, "lines");
    for (const Function& function : functions_of(lines))
      findings.look(path, function.name, function.lines, kFunctionLinesMax, "lines");
    for (const Class& counted : classes_of(lines)) {
      findings.look(path, counted.name, counted.methods, kMethodsMax, "methods");
      findings.look(path, counted.name, counted.fields, kFieldsMax, "fields");
    }
  }
  const std::vector<std::string> faults = findings.faults();
  CAPTURE(faults);
  CHECK(faults.empty());
}

TEST_CASE("the lines of functions and the members of classes are counted as a reader would") {
  const std::vector<std::string> lines = lines_of(std::istringstream(R"(namespace weft {
template <class T>
class Shelf final : public Furniture {
 public:
  Shelf() = default;
  Shelf(const Shelf&) = delete;
  explicit Shelf(std::function<void(int)> told) : told_(std::move(told)) {
    put(1);
  }
  void put(int thing,
           int place);
  int count() const { return count_; }
  using Things = std::vector<int>;
  struct Board {
    int length = 0;
    void cut();
  };
  static constexpr int kBoards = 3;

 private:
  std::function<void(int)> told_;  // Of each thing (once).
  std::map<int, Board> boards_{};
  struct {
    int left = 0;
  } sides_;
  int count_ = first(3);
};

int Shelf::take(
    int thing) {
  if (thing == 0) {
    return 1;
  }
  return 2;
}
}  // namespace weft
)"));
  const std::vector<Class> classes = classes_of(lines);
  REQUIRE(classes.size() == 2);
  CHECK(classes[0].name == "Shelf");
  CHECK(classes[0].line == 3);
  CHECK(classes[0].methods == 3);
  CHECK(classes[0].fields == 4);
  CHECK(classes[1].name == "Board");
  CHECK(classes[1].methods == 1);
  CHECK(classes[1].fields == 1);
  const std::vector<Function> functions = functions_of(lines);
  REQUIRE(functions.size() == 2);
  CHECK(functions[0].lines == 3);
  CHECK(functions[1].name == "Shelf::take");
  CHECK(functions[1].line == 29);
  CHECK(functions[1].lines == 7);
}

}  // namespace weft::tidy
