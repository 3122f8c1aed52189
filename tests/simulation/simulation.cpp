// Worlds, seed after seed. A failure prints the seed that replays it.
//
//   simulation                  WEFT_SEEDS worlds (2,000)
//   simulation --seed N         one, with everything that happens
//   simulation --catch N        seeds from 1 until a promise is broken, at most N: for programs with a known defect
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "verdict.h"
#include "world.h"

namespace {

using namespace weft::simulation;

// Every so many seeds one is a small calm world, run once for each of its commits, with the power cut before and after.
constexpr std::uint64_t kBoundariesEvery = 40;
constexpr std::uint64_t kBoundariesMax = 50;

WorldCounts sum;

void add(const WorldCounts& one) {
  sum.happened += one.happened;
  sum.commits += one.commits;
  sum.crashes += one.crashes;
  sum.overtaken += one.overtaken;
  sum.left += one.left;
  sum.runs += one.runs;
  sum.books.events += one.books.events;
  sum.books.model_calls += one.books.model_calls;
  sum.books.lost_calls += one.books.lost_calls;
  sum.books.effects += one.books.effects;
  sum.books.doubts += one.books.doubts;
  sum.books.verified += one.books.verified;
  sum.books.undone += one.books.undone;
  sum.books.retried += one.books.retried;
  sum.books.forked += one.books.forked;
  sum.restored += one.restored;
  sum.books.acknowledged += one.books.acknowledged;
}

void every_boundary(std::uint64_t seed, Voice voice) {
  const WorldOptions calm{voice, WorldOptions::Weather::kCalm, {}};
  const std::uint64_t commits = World(seed, calm).run().commits;
  // Of a long run not all, so that one seed's time has a bound.
  const std::uint64_t stride = 1 + commits / kBoundariesMax;
  for (std::uint64_t commit = 1 + seed % stride; commit <= commits; commit += stride) {
    for (const PowerCut::Moment moment : {PowerCut::Moment::kBefore, PowerCut::Moment::kAfter}) {
      WorldOptions options = calm;
      options.cut = PowerCut{commit, moment};
      add(World(seed, options).run());
    }
  }
}

void one_seed(std::uint64_t seed, Voice voice) {
  set_seed(seed);
  if (seed % kBoundariesEvery == 0) return every_boundary(seed, voice);
  WorldOptions options;
  options.voice = voice;
  const WorldCounts first = World(seed, options).run();
  add(first);
  // The same seed, the same world, on either kind of disk.
  if (seed % kBoundariesEvery != 1 && seed % kBoundariesEvery != 3) return;
  if (World(seed, options).run().fingerprint != first.fingerprint)
    broken(Promise::kFold, "the same seed makes another world the second time");
}

}  // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const std::uint64_t number = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  if (mode == "--seed" && argc == 3) {
    spdlog::set_level(spdlog::level::debug);
    one_seed(number, Voice::kAloud);
    fmt::print("seed {}: every promise is kept\n", number);
    return 0;
  }
  const char* wanted = std::getenv("WEFT_SEEDS");
  const std::uint64_t seeds = mode == "--catch"   ? number
                              : wanted != nullptr ? std::strtoull(wanted, nullptr, 10)
                                                  : 2'000;
  // "2/3": of each three seeds the second, so that several processes share them.
  const char* part = std::getenv("WEFT_PART");
  const std::string_view text = part != nullptr ? part : "1/1";
  const std::uint64_t first = std::strtoull(text.data(), nullptr, 10);
  const std::uint64_t parts = std::strtoull(text.data() + std::min(text.find('/') + 1, text.size()), nullptr, 10);
  if (first == 0 || parts == 0 || first > parts) {
    fmt::print(stderr, "WEFT_PART is {}; it is such as 2/3\n", text);
    return 2;
  }
  for (std::uint64_t seed = first; seed <= seeds; seed += parts) one_seed(seed, Voice::kSilent);
  if (parts > 1) fmt::print("part {} of ", text);
  fmt::print(
      "{} seeds: {} runs, {} events, {} commits; {} crashes, {} servers overtaken, {} told to end, {} runs "
      "taken up from a snapshot; {} model calls, {} of them lost; {} effects, {} in doubt, {} verified, {} taken back; "
      "{} retried, {} forked; {} acknowledged; {} things happened\n",
      seeds, sum.runs, sum.books.events, sum.commits, sum.crashes, sum.overtaken, sum.left, sum.restored,
      sum.books.model_calls, sum.books.lost_calls, sum.books.effects, sum.books.doubts, sum.books.verified,
      sum.books.undone, sum.books.retried, sum.books.forked, sum.books.acknowledged, sum.happened);
  // A simulation in which nothing goes wrong shows nothing.
  const bool harsh = sum.crashes > 0 && sum.restored > 0 && sum.overtaken > 0 && sum.left > 0 &&
                     sum.books.lost_calls > 0 && sum.books.doubts > 0 && sum.books.verified > 0 &&
                     sum.books.undone > 0 && sum.books.retried > 0 && sum.books.forked > 0;
  if (seeds >= 500 && !harsh) {
    fmt::print(stderr,
               "these seeds had no crash, no run taken up from a snapshot, no stale server, none that left in order, "
               "no lost call, no doubt, none that was verified, nothing that was taken back, or no run that was "
               "retried or forked\n");
    return 1;
  }
  return 0;
}
