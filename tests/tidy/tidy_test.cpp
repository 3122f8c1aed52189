// The house's order, enforced from the sources: floors, words, sizes.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Source {
  std::string path;  // Relative to the project.
  std::vector<std::string> lines;
};

std::vector<Source> sources() {
  std::vector<Source> found;
  const fs::path root = WEFT_SOURCE_DIR;
  for (const char* room : {"base", "workflows", "runtime", "tools", "memory", "sim", "tests", "bench"}) {
    if (!fs::exists(root / room)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / room)) {
      const std::string extension = entry.path().extension();
      if (extension != ".cpp" && extension != ".h") continue;
      Source source{fs::relative(entry.path(), root), {}};
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) source.lines.push_back(line);
      found.push_back(std::move(source));
    }
  }
  return found;
}

// The room of a path: "runtime/run/fold.cpp" is in "runtime/run".
std::string room_of(const std::string& path) {
  const std::size_t first = path.find('/');
  if (!path.starts_with("runtime/")) return path.substr(0, first);
  return path.substr(0, path.find('/', first + 1));
}

// What each room may include beside itself: what stands below it, and on floor 3 the one exception.
const std::map<std::string, std::vector<std::string>>& floors() {
  static const std::map<std::string, std::vector<std::string>> kFloors = {
      {"base", {}},
      {"workflows", {"base"}},
      {"tools", {"base", "workflows"}},
      {"memory", {"base", "workflows", "weft"}},
      {"sim", {"base", "workflows"}},
      {"runtime/model", {"base", "workflows", "weft"}},
      {"runtime/run", {"base", "workflows", "weft", "tools", "runtime/model"}},
      {"runtime/admission", {"base", "weft"}},
      {"runtime/history", {"base", "workflows", "weft", "tools", "memory", "runtime/model", "runtime/run"}},
      {"runtime/engine",
       {"base", "workflows", "weft", "tools", "memory", "sim", "runtime/model", "runtime/run", "runtime/admission",
        "runtime/history"}},
      {"runtime/server",
       {"base", "workflows", "weft", "google", "grpc", "tools", "memory", "sim", "runtime/model", "runtime/run",
        "runtime/admission", "runtime/history", "runtime/engine"}},
      {"runtime/cli",
       {"base", "workflows", "weft", "google", "grpc", "tools", "memory", "sim", "runtime/model", "runtime/run",
        "runtime/admission", "runtime/history", "runtime/engine", "runtime/server"}},
  };
  return kFloors;
}

// The only files of the pure core's exception: plain types.
bool is_plain_type(const std::string& included) {
  return included == "tools/tool.h" || included == "runtime/model/message.h";
}

std::string complain(const Source& source, std::size_t line, const std::string& what) {
  return source.path + ":" + std::to_string(line + 1) + ": " + what;
}

}  // namespace

TEST_CASE("a room includes only what stands below it") {
  std::vector<std::string> faults;
  const std::regex include("^#include \"([^\"]+)\"");
  for (const Source& source : sources()) {
    const auto floor = floors().find(room_of(source.path));
    if (floor == floors().end()) continue;
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      std::smatch match;
      if (!std::regex_search(source.lines[i], match, include)) continue;
      const std::string included = match[1];
      const std::string room = room_of(included);
      if (room == floor->first) continue;
      const bool below = std::ranges::find(floor->second, room) != floor->second.end();
      const bool sideways =
          floor->first == "runtime/run" && (room == "tools" || room == "runtime/model") && !is_plain_type(included);
      if (!below || sideways) faults.push_back(complain(source, i, floor->first + " may not include " + included));
    }
  }
  CAPTURE(faults);
  CHECK(faults.empty());
}

TEST_CASE("gRPC stays in the server and one file of the command line, each library in its room") {
  const std::vector<std::pair<std::regex, std::vector<std::string>>> homes = {
      {std::regex("grpc(pp|\\+\\+)?/|\\.grpc\\.pb\\.h"),
       {"runtime/server/", "runtime/cli/connect/remote", "tests/", "bench/"}},
      {std::regex("<sqlite3\\.h>"), {"memory/", "tests/memory/", "tests/simulation/", "bench/"}},
      {std::regex("<curl/"), {"base/"}},
      {std::regex("<uv\\.h>"), {"base/"}},
      {std::regex("<yaml-cpp/"), {"workflows/"}},
      {std::regex("<CLI/"), {"runtime/cli/grammar/parse.cpp"}},
      {std::regex("<httplib\\.h>"), {"sim/", "tests/"}},
      {std::regex("<microhttpd\\.h>"), {"runtime/server/http_face"}},
  };
  std::vector<std::string> faults;
  for (const Source& source : sources()) {
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      if (!source.lines[i].starts_with("#include")) continue;
      for (const auto& [library, rooms] : homes) {
        if (!std::regex_search(source.lines[i], library)) continue;
        const bool home =
            std::ranges::any_of(rooms, [&](const std::string& room) { return source.path.starts_with(room); });
        if (!home) faults.push_back(complain(source, i, source.lines[i] + " belongs to " + rooms.front()));
      }
    }
  }
  CAPTURE(faults);
  CHECK(faults.empty());
}

TEST_CASE("the pure core has no clock, thread, file or network in it") {
  const std::regex outside(
      "<(thread|mutex|atomic|chrono|fstream|filesystem|random|sys/|unistd\\.h|ctime|condition_variable)|"
      "(system|steady)_clock|SystemClock|getenv|\\brand\\(");
  std::vector<std::string> faults;
  for (const Source& source : sources()) {
    if (room_of(source.path) != "runtime/run") continue;
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      if (std::regex_search(source.lines[i], outside)) faults.push_back(complain(source, i, source.lines[i]));
    }
  }
  CAPTURE(faults);
  CHECK(faults.empty());
}

TEST_CASE("banned words are absent, each with what to write instead") {
  const std::vector<std::pair<std::regex, std::string>> banned = {
      {std::regex("\\bco_(await|return|yield)\\b"), "no coroutines: GCC 12.2 miscompiles them; answer with a callback"},
      {std::regex("\\[=\\]"), "name what is captured"},
      {std::regex("\\.detach\\(\\)"), "join the thread"},
      {std::regex("std::cout"), "fmt::print, in runtime/cli alone"},
      {std::regex("\\b(TODO|FIXME|XXX)\\b"), "do it, or say it in an issue"},
      {std::regex("std::regex"), "RE2: linear time on hostile input"},
      {std::regex("CATCH_CONFIG_MAIN"), "link Catch2WithMain"},
      {std::regex("(nlohmann::)?json::parse\\("), "parse_untrusted"},
  };
  std::vector<std::string> faults;
  for (const Source& source : sources()) {
    // Here the words are named, and there they are what a scripted review looks for.
    if (source.path.starts_with("tests/tidy/") || source.path == "tests/sim/script_test.cpp") continue;
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      for (const auto& [word, instead] : banned) {
        const bool test_only = source.path.starts_with("tests/") && instead == "RE2: linear time on hostile input";
        if (!test_only && std::regex_search(source.lines[i], word))
          faults.push_back(complain(source, i, source.lines[i] + "  → " + instead));
      }
    }
  }
  CAPTURE(faults);
  CHECK(faults.empty());
}

TEST_CASE("one word has one meaning: names that were given up stay away, each with the one in use") {
  const std::vector<std::pair<std::regex, std::string>> given_up = {
      {std::regex("\\b(Passenger|class Places|Places::)"), "Waiter, Admission"},
      {std::regex("\\bclass Hub\\b|\\bHub&"), "Subscriptions"},
      {std::regex("\\bParked\\b"), "WaitReasons"},
      {std::regex("\\bFrozen\\b"), "StorageStall"},
      {std::regex("\\bStanding\\b"), "LiveStatus"},
      {std::regex("\\b(Beside|Folding)\\b"), "EngineSnapshot, RunLoader"},
      {std::regex("\\bclass Crashes\\b|\\bCrashes&"), "CrashLoopGuard"},
      {std::regex("\\b(Caretaker|Timekeeper)\\b"), "MaintenanceWorker, Scheduler"},
      {std::regex("\\bSleeping\\b|\\bput_to_sleep\\b"), "Evicted, evict"},
      {std::regex("\\bheld_in\\("), "respond_with"},
      // A permit is no turn (that is an agent's), and a limit is no gate (that is the output gate).
      {std::regex("Permit turn\\b|Limits gates\\b"), "permit, limits"},
  };
  std::vector<std::string> faults;
  for (const Source& source : sources()) {
    const std::string room = room_of(source.path);
    if (room != "runtime/engine" && room != "runtime/history" && room != "runtime/admission") continue;
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      const std::string code = source.lines[i].substr(0, source.lines[i].find("//"));
      for (const auto& [word, instead] : given_up) {
        if (std::regex_search(code, word)) faults.push_back(complain(source, i, code + "  → " + instead));
      }
    }
  }
  CAPTURE(faults);
  CHECK(faults.empty());
}

TEST_CASE("files have names that say something, and one subject's size") {
  constexpr std::size_t kFileLinesMax = 600;
  constexpr std::size_t kCoreFileLinesMax = 500;
  const std::regex empty_name("(^|/|_)(utils?|common|helpers?|manager|misc|data|info)(_|\\.)");
  std::vector<std::string> faults;
  for (const Source& source : sources()) {
    const bool is_core = room_of(source.path) == "runtime/run";
    if (source.lines.size() > (is_core ? kCoreFileLinesMax : kFileLinesMax))
      faults.push_back(source.path + ": " + std::to_string(source.lines.size()) + " lines: two subjects in one?");
    if (std::regex_search(source.path, empty_name)) faults.push_back(source.path + ": its name says nothing");
  }
  CAPTURE(faults);
  CHECK(faults.empty());
}

TEST_CASE("the pure core can be read in one sitting") {
  constexpr std::size_t kCoreLinesMax = 6'500;
  std::size_t lines = 0;
  for (const Source& source : sources()) {
    if (room_of(source.path) == "runtime/run") lines += source.lines.size();
  }
  CHECK(lines <= kCoreLinesMax);
}
