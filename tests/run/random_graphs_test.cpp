// Random graphs with random skips, failures, loops, fan-outs and abstentions: every run ends, every step ends once a
// round, and no value depends on the order in which independent steps end, nor on a restart in the middle.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/bytes.h"
#include "driver.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint32_t below(std::uint32_t bound) {  // SplitMix64 (https://prng.di.unimi.it/splitmix64.c).
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return static_cast<std::uint32_t>((z ^ (z >> 31)) % bound);
  }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

// Writes one workflow; steps mention only steps before them, so that there is no cycle.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  std::string workflow() {
    std::string text = "weft: 1\nname: random\n";
    text += R"(tools:
  put: {effect: idempotent, input: {x: any}, http: {put: "http://shop.example/x"}}
  act: {effect: write, input: {x: any}, verify: {tool: t.read, args: {x: "{{ args.x }}"}}, http: {post: "http://shop.example/x"}}
  again: {effect: write, input: {x: any}, on_doubt: retry, http: {post: "http://shop.example/x", idempotency_key: "{{ call.key }}"}}
)";
    text += "steps:\n";
    scope(text, 2, {}, 2 + random_.below(8), 0);
    if (random_.one_in(3)) {
      text += "returns: {";
      for (std::size_t i = 0; i < top_.size(); ++i) {
        text += fmt::format("{}{}: \"{{{{ steps.{}.status }}}}\"", i == 0 ? "" : ", ", top_[i], top_[i]);
      }
      text += "}\n";
    }
    return text;
  }

 private:
  std::string mention(const std::vector<std::string>& seen) {
    if (seen.empty()) return "constant";
    const std::string a = seen[random_.below(static_cast<std::uint32_t>(seen.size()))];
    const std::string b = seen[random_.below(static_cast<std::uint32_t>(seen.size()))];
    switch (random_.below(5)) {
      case 0: return fmt::format("x {{{{ steps.{}.output ?? steps.{}.output }}}}", a, b);
      case 1: return fmt::format("x {{{{ steps.{}.output ?? 'none' }}}}", a);
      case 2: return fmt::format("x {{{{ steps.{}.status }}}} {{{{ steps.{}.output }}}}", a, b);
      case 3: return fmt::format("x {{{{ steps.{}.reason ?? 'r' }}}}", a);
      default: return fmt::format("x {{{{ steps.{}.output }}}}", a);
    }
  }

  void scope(std::string& text, int indent, std::vector<std::string> seen, std::uint32_t count, int depth) {
    const std::string pad(static_cast<std::size_t>(indent), ' ');
    std::vector<std::string> mine;
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < count; ++i) names.push_back(fmt::format("s{}", next_++));
    if (depth == 0) top_ = names;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string& name = names[i];
      text += pad + name + ":\n";
      const auto key = [&](const std::string& line) { text += pad + "  " + line + "\n"; };
      const std::uint32_t kind = random_.below(10);
      if (kind == 0 && i + 2 < count && !mine.empty()) {
        // A switch over how an earlier step went, with targets behind it.
        key(fmt::format("switch: steps.{}.status", mine[random_.below(static_cast<std::uint32_t>(mine.size()))]));
        key(fmt::format("cases: {{succeeded: {}, failed: {}}}", names[i + 1],
                        names[i + 1 + random_.below(count - i - 1)]));
        key("default: none");
        mine.push_back(name);
        continue;
      }
      if (!mine.empty() && random_.one_in(5)) {
        key(fmt::format("when: \"steps.{}.status != 'failed'\"",
                        mine[random_.below(static_cast<std::uint32_t>(mine.size()))]));
      }
      if (!mine.empty() && random_.one_in(4)) {
        key(fmt::format("needs: [{}]", mine[random_.below(static_cast<std::uint32_t>(mine.size()))]));
      }
      if (random_.one_in(3)) key(random_.one_in(2) ? "on_error: continue" : "on_error: {use: fallback}");
      const bool fan = random_.one_in(5);
      if (fan)
        key(fmt::format("for_each: {{in: \"[1, 2, 3]\", key: item, max_parallel: {}, on_item_error: {}}}",
                        1 + random_.below(3),
                        random_.one_in(2)   ? "keep"
                        : random_.one_in(2) ? "drop"
                                            : "fail"));
      const bool loop = random_.one_in(5);
      if (kind <= 2 && depth < 2) {
        if (loop)
          key(fmt::format("repeat: {{until: \"false\", at_most: 2, else: {}}}", random_.one_in(2) ? "keep" : "fail"));
        key("steps:");
        auto visible = seen;
        visible.insert(visible.end(), mine.begin(), mine.end());
        scope(text, indent + 4, visible, 1 + random_.below(3), depth + 1);
      } else {
        if (loop && !fan)
          key(fmt::format("repeat: {{until: \"steps.{}.status == 'abstained'\", at_most: 2, else: keep}}", name));
        auto visible = seen;
        visible.insert(visible.end(), mine.begin(), mine.end());
        if (kind <= 5) {
          key(fmt::format("set: \"{}\"", mention(visible)));
        } else if (kind <= 8) {
          key(fmt::format("prompt: \"{}\"", mention(visible)));
          key(fmt::format("retry: {{attempts: {}, backoff: 1s..2s}}", 1 + random_.below(3)));
        } else {
          static constexpr const char* kTools[] = {"t.read", "t.read", "put", "act", "again"};
          const char* tool = kTools[fan || loop ? 0 : random_.below(5)];
          key(fmt::format("tool: {}", tool));
          key(fmt::format("args: {{x: \"{}\"}}", mention(visible)));
          if (tool != std::string_view("t.read") && mine.empty()) key("needs: []");
        }
      }
      mine.push_back(name);
    }
  }

  Random random_;
  std::uint32_t next_ = 0;
  std::vector<std::string> top_;
};

// What models, tools and fate do depends on the path and attempt alone, never on the order (or on how often a call was
// sent).
void script(Driver& driver, std::uint64_t seed) {
  const auto fate = [seed](const CallKey& key) {
    return hash64(fmt::format("{}|{}|{}", seed, key.path, key.attempt)) % 8;
  };
  driver.model = [fate](const ModelCall& call) {
    const auto what = fate(call.key);
    if (what == 0) return failure("server", true);
    if (what == 1) return failure("invalid_request", false);
    return answer("said " + call.key.path);
  };
  driver.tool = [fate](const ToolCall& call) { return fate(call.key) <= 1 ? tool_failed("no") : tool_done("\"did\""); };
  // Abstaining: the outcome is the core's, and only tests produce it so far.
  driver.rewrite = [seed](v1::Event& event) {
    v1::StepResult* result = event.has_step_ended()      ? event.mutable_step_ended()->mutable_result()
                             : event.has_element_ended() ? event.mutable_element_ended()->mutable_result()
                                                         : nullptr;
    if (result == nullptr || result->status() != v1::STEP_STATUS_SUCCEEDED) return;
    if (!result->has_text() || hash64(fmt::format("abstain|{}|{}", seed, event.path())) % 6 != 0) return;
    result->set_status(v1::STEP_STATUS_ABSTAINED);
    result->set_reason("unsure");
    result->clear_text();
    result->clear_output_json();
  };
}

// The outcome by path, and that no path ended twice within one life of its scope.
std::map<std::string, std::string> outcomes(const Driver& driver) {
  std::map<std::string, std::string> ended;
  for (const v1::Event& event : driver.events()) {
    if (!event.has_step_ended()) continue;
    const v1::StepResult& result = event.step_ended().result();
    const bool fresh =
        ended
            .emplace(event.path(), fmt::format("{} {} {} {}", static_cast<int>(result.status()), result.reason(),
                                               result.output_json().inline_(), result.text().inline_()))
            .second;
    INFO("ended twice: " << event.path());
    REQUIRE(fresh);
  }
  return ended;
}

// A cancelled sibling is the one thing that timing may decide: which steps had ended when a scope failed.
bool fails_somewhere(const Driver& driver) {
  for (const v1::Event& event : driver.events()) {
    if (event.has_step_ended() && event.step_ended().result().status() == v1::STEP_STATUS_CANCELLED) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("random graphs end, each step once a round, with values that no order changes") {
  const char* wanted = std::getenv("WEFT_RANDOM_GRAPHS");
  const std::uint64_t graphs = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 10'000;
  std::set<std::string> statuses_seen;
  std::uint64_t compared = 0;
  std::uint64_t retried = 0;
  for (std::uint64_t seed = 1; seed <= graphs; ++seed) {
    const std::string yaml = Generator(seed).workflow();
    INFO("seed " << seed << "\n" << yaml);
    const auto checked = workflow(yaml);
    std::map<std::string, std::string> first;
    for (std::uint64_t order = 0; order < 3; ++order) {
      auto driver = std::make_unique<Driver>(checked, seed * 7 + order);
      script(*driver, seed);
      driver->submit();
      if (order == 2) {
        for (std::uint64_t i = 0; i < seed % 5; ++i) driver->step();
        // Any prefix may be what was durable, also one that ends between two decisions.
        driver = driver->restarted(1 + seed % driver->events().size());
      }
      driver->finish();
      // What nobody waits for any more does not leave again by itself: somebody says that it was not done.
      while (!driver->run().ended() && !driver->run().doubts().empty()) {
        REQUIRE(driver->run().doubts().front().closing);
        driver->resolve(v1::RESOLUTION_SKIP);
        driver->finish();
      }
      REQUIRE(driver->run().ended());
      REQUIRE(driver->run().outstanding().empty());
      const auto result = outcomes(*driver);
      if (order == 2 && driver->run().may_retry()) {
        ++retried;
        driver->retry();
        driver->finish();
        while (!driver->run().ended() && !driver->run().doubts().empty()) {
          driver->resolve(v1::RESOLUTION_SKIP);
          driver->finish();
        }
        REQUIRE(driver->run().ended());
        continue;
      }
      for (const auto& [path, outcome] : result) statuses_seen.insert(outcome.substr(0, 1));
      if (fails_somewhere(*driver)) continue;
      if (first.empty()) {
        first = result;
      } else {
        REQUIRE(first == result);
        ++compared;
      }
    }
  }
  CHECK(statuses_seen.size() == 5);  // Succeeded, abstained, failed, skipped, cancelled: all of them happened.
  CHECK(compared > graphs / 2);
  CHECK(retried > graphs / 20);
}

TEST_CASE("a content that cannot be read when it is wanted changes nothing of what follows, in graphs of every kind") {
  std::size_t unread = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    const std::string yaml = Generator(seed).workflow();
    INFO("seed " << seed << "\n" << yaml);
    const auto checked = workflow(yaml);
    std::string digest;
    for (const auto blobs : {Driver::Blobs::kRead, Driver::Blobs::kUnreadFirst}) {
      Driver driver(checked, seed);
      script(driver, seed);
      driver.keep_in_blobs(blobs);
      driver.submit();
      driver.finish();
      if (blobs == Driver::Blobs::kRead) digest = driver.run().digest();
      REQUIRE(driver.run().digest() == digest);
      unread += driver.unread();
    }
  }
  CHECK(unread > 1'000);
}
