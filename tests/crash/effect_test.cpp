// A tool that changes the world, and a crash around it: what is recorded is never done again, what is in doubt says so.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.h"
#include "tests/cli/program.h"

using namespace weft;
using namespace std::chrono_literals;

namespace {

// Ten lines, one after another, each a write with its intent durable before it.
std::string workflow() {
  std::string text = "weft: 1\nname: lines\nsteps:\n";
  for (int i = 0; i < 10; ++i) {
    text += fmt::format("  s{}: {{tool: fs.append, args: {{path: out.txt, line: \"line {}\"}}, needs: [{}]}}\n", i, i,
                        i == 0 ? "" : fmt::format("s{}", i - 1));
  }
  return text;
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a killed server does no write twice: a run ends with every line once, or in doubt") {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("weft-effect-{}", ::getpid());
  int in_doubt = 0;
  int whole = 0;
  // At least twelve, and more until both ends were seen: when a kill falls, the machine decides.
  constexpr int kRounds = 12;
  constexpr int kRoundsMax = 100;
  for (int round = 0; round < kRounds || ((whole == 0 || in_doubt == 0) && round < kRoundsMax); ++round) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "lines.yaml") << workflow();
    const std::vector<std::string> serve = {"serve",       "--root",   folder.string(), "--http",
                                            "127.0.0.1:0", "--listen", "127.0.0.1:0"};
    auto server = std::make_unique<cli::Program>(folder, serve);
    server->wait_for_out("weft: ready");
    const cli::Outcome submitted = cli::run_program(folder, {"submit", "lines.yaml"});
    INFO(submitted.err);
    REQUIRE(submitted.exit == 0);
    const std::string run = submitted.out.substr(0, submitted.out.find('\n'));
    std::this_thread::sleep_for(std::chrono::milliseconds(4 * (round % kRounds) + round / kRounds));
    server->signal(SIGKILL);
    server->wait();
    const std::size_t before = lines_of(folder / "out.txt").size();
    server = std::make_unique<cli::Program>(folder, serve);
    server->wait_for_out("weft: ready");
    const cli::Outcome ended = cli::run_program(folder, {"wait", run, "--timeout", "20s", "-o", "json"});
    const auto summary = parse_untrusted(ended.out);
    INFO(ended.out << ended.err);
    REQUIRE(summary);
    const auto lines = lines_of(folder / "out.txt");
    for (std::size_t i = 0; i < lines.size(); ++i) CHECK(lines[i] == fmt::format("line {}", i));
    if ((*summary)["status"] == "succeeded") {
      CHECK(lines.size() == 10);
      ++whole;
    } else {
      CHECK((*summary)["error"]["kind"] == "in_doubt");
      CHECK(lines.size() == before);
      ++in_doubt;
    }
  }
  std::filesystem::remove_all(folder);
  fmt::print("{} runs ended whole, {} in doubt\n", whole, in_doubt);
  CHECK(whole > 0);
  CHECK(in_doubt > 0);
}
