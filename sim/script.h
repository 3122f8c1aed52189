// The script of a simulated model, in YAML. The first rule that matches a request answers it. docs/sim.md describes it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "workflows/diagnostic.h"

namespace weft::sim {

struct Request;  // sim/request.h: what a rule may look at.
struct Reply;    // sim/reply.h: how one request is answered.
class Tally;     // sim/tally.h: how often rules have answered.

// How fast a model answers.
struct Pace {
  Duration first_token{0};
  double tokens_per_second = 0;  // 0: at once.
};

// The prefix cache, as the provider documents it: https://api-docs.deepseek.com/guides/kv_cache.
struct CacheRules {
  std::uint64_t unit = 128;              // Tokens: hits are reported in multiples of it.
  Duration delay{1'000'000};             // From the end of a request until its units can be hit.
  Duration idle{std::chrono::hours(6)};  // A unit that nothing hit for so long is gone.
  std::uint64_t every = 0;               // Tokens: units inside of long inputs; 0: none.
};

struct Settings {
  std::vector<std::string> models;  // Known beside the provider's own.
  bool any_model = false;
  std::size_t streams_max = 0;  // 0: as ProviderOptions says.
  std::uint64_t context = 0;    // Tokens of the longest prompt; 0: no limit.
  Pace pace;
  CacheRules cache;
};

// Immutable, thread-safe.
class Script {
 public:
  static std::shared_ptr<const Script> read(std::string_view yaml, workflows::Diagnostics& diagnostics);
  // Without a script: echoes the last message, and makes JSON that fits the shape it is asked for.
  static std::shared_ptr<const Script> echo();
  virtual ~Script() = default;

  virtual const Settings& settings() const = 0;
  // Errors: NOT_FOUND where no rule matches, and what expressions may say; the message names the rule and its line.
  virtual Result<Reply> answer(const Request& request, Tally& tally) const = 0;
};

}  // namespace weft::sim
