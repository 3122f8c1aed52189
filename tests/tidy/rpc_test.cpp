// How many files an RPC goes through, from its definition to the command that asks for it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = WEFT_SOURCE_DIR;

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Source {
  std::string path;  // Relative to the project.
  std::string text;
};

// What the engine does with a request in its own parts is its own matter.
bool is_inside_the_engine(const std::string& path) {
  const std::vector<std::string> doors{"runtime/engine/api.h", "runtime/history/queries.h", "runtime/engine/engine.cpp",
                                       "runtime/engine/maintenance/admin.h",
                                       "runtime/engine/maintenance/operations.cpp"};
  if (std::ranges::find(doors, path) != doors.end()) return false;
  return path.starts_with("runtime/engine/") || path.starts_with("runtime/history/");
}

std::vector<Source> sources() {
  std::vector<Source> found;
  for (const char* room : {"proto", "runtime", "memory", "tools"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / room)) {
      const std::string extension = entry.path().extension();
      const std::string path = fs::relative(entry.path(), kRoot);
      if (extension != ".cpp" && extension != ".h" && extension != ".proto") continue;
      if (!is_inside_the_engine(path)) found.push_back({path, text_of(entry.path())});
    }
  }
  return found;
}

struct Rpc {
  std::string name;     // "Runs.Pause"
  std::string request;  // "RunsPauseRequest"
  std::string method;   // "pause", of the interface that the request goes to; empty: it has none of its own.
};

std::vector<Rpc> rpcs(const std::vector<Source>& all) {
  std::map<std::string, std::string> methods;
  const std::regex declared(R"((\w+)\(const v1::(\w+Request)&)");
  for (const Source& source : all) {
    if (source.path != "runtime/engine/api.h" && source.path != "runtime/history/queries.h" &&
        source.path != "runtime/engine/maintenance/admin.h" && source.path != "runtime/server/token_requests.h")
      continue;
    for (std::sregex_iterator at(source.text.begin(), source.text.end(), declared), end; at != end; ++at)
      methods[(*at)[2]] = (*at)[1];
  }
  std::vector<Rpc> found;
  const std::regex row(R"(service (\w+) \{|rpc (\w+)\((\w+)\) returns)");
  for (const Source& source : all) {
    if (!source.path.starts_with("proto/")) continue;
    std::string service;
    for (std::sregex_iterator at(source.text.begin(), source.text.end(), row), end; at != end; ++at) {
      if ((*at)[1].matched) {
        service = (*at)[1];
      } else {
        found.push_back({service + "." + std::string((*at)[2]), (*at)[3], methods[(*at)[3]]});
      }
    }
  }
  return found;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

bool names(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]))) return true;
  }
  return false;
}

std::vector<std::string> files_of(const Rpc& rpc, const std::vector<Source>& all) {
  std::vector<std::string> files;
  for (const Source& source : all) {
    const bool by_method =
        !rpc.method.empty() &&
        std::ranges::any_of(std::vector<std::string>{"Api::", "Queries::", "Admin::", "TokenRequests::"},
                            [&](const std::string& side) { return names(source.text, side + rpc.method); });
    if (by_method || names(source.text, rpc.request)) files.push_back(source.path);
  }
  return files;
}

}  // namespace

TEST_CASE("an RPC goes through at most five files") {
  constexpr std::size_t kFilesMax = 5;
  const std::map<std::string, std::string> exceptions{
      {"Runs.Submit", "what a token may submit is looked at before it"},
      {"Runs.Get", "the server looks at a run before it answers about it, and commands find theirs by it"},
      {"Runs.List", "trust and the end of a session list runs too"},
      {"Runs.Watch", "answered with a stream, which a store at rest gives too"},
      {"Runs.Wait", "answered later, by a store at rest too"},
      {"Schedules.List", "trust and consent count schedules too"},
      {"Traces.Get", "every reading of events pages through it"},
      {"Workflows.Get", "what a token may submit is found by it, and commands load versions by it"},
  };
  const std::vector<Source> all = sources();
  const std::vector<Rpc> found = rpcs(all);
  REQUIRE(found.size() > 25);
  std::vector<std::string> faults;
  for (const Rpc& rpc : found) {
    const std::vector<std::string> files = files_of(rpc, all);
    const bool excepted = exceptions.contains(rpc.name);
    if ((files.size() > kFilesMax) == excepted) continue;
    std::string fault = rpc.name + (excepted ? " needs no exception any more:" : " is named by too many files:");
    for (const std::string& file : files) fault += " " + file;
    faults.push_back(std::move(fault));
  }
  CAPTURE(faults);
  CHECK(faults.empty());
}
