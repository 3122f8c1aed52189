#include "workflow_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>
#include <string_view>
#include <vector>

#include "shop_server.h"

namespace weft::simulation {
namespace {

// Steps mention only steps before them, so that there is no cycle.
class Writer {
 public:
  explicit Writer(Random& random) : random_(random) {}

  std::string write(const std::string& name, Size size) {
    std::string on;
    // Of each day's minutes those in which a world begins: some times come, and none comes again.
    if (size == Size::kUsual && random_.one_in(4)) {
      constexpr const char* kOverlaps[] = {"skip", "queue", "allow", "cancel_previous"};
      constexpr const char* kCatchUps[] = {"none", "last", "all", "2m"};
      on = fmt::format("on: {{schedule: \"14-17 14 * * *\", overlap: {}, catch_up: {}}}\n", kOverlaps[random_.below(4)],
                       kCatchUps[random_.below(4)]);
    }
    if (random_.one_in(8)) on += fmt::format("deadline: {}\n", random_.one_in(2) ? "20s" : "5m");
    std::string text = "steps:\n";
    if (size == Size::kUsual && random_.one_in(50)) crowd(text);
    scope(text, 2, {}, size == Size::kSmall ? 2 + random_.below(2) : 2 + random_.below(5), 0);
    if (random_.one_in(4)) finally(text, 0, "s0");
    std::string agents;
    const auto agent = [&](const std::string& called, const char* is) {
      if (text.find("agent: " + called + "\n") != std::string::npos)
        agents += fmt::format("  {}: {{{}}}\n", called, is);
    };
    agent("reader", "tools: [t.pure, t.read]");
    agent("actor", "system: You act., tools: [t.idem, t.read, t.write]");
    agent("buyer", "system: You buy., tools: [look, sell, checked, charge, again, left_out, given_up]");
    agent("plain", "system: You answer.");
    return fmt::format("weft: 1\nname: {}\ndefaults: {{turns: 4}}\n{}{}{}{}", name,
                       agents.empty() ? "" : "agents:\n" + agents, ShopServer::declarations(text), on, text);
  }

 private:
  std::string mention(const std::vector<std::string>& seen) {
    if (seen.empty()) return "constant";
    const std::string& a = seen[random_.below(static_cast<std::uint32_t>(seen.size()))];
    switch (random_.below(3)) {
      case 0: return fmt::format("x {{{{ steps.{}.output ?? 'none' }}}}", a);
      case 1: return fmt::format("x {{{{ steps.{}.status }}}}", a);
      default: return fmt::format("x {{{{ steps.{}.output }}}}", a);
    }
  }

  void scope(std::string& text, int indent, const std::vector<std::string>& seen, std::uint32_t count, int depth) {
    const std::string pad(static_cast<std::size_t>(indent), ' ');
    std::vector<std::string> mine;
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < count; ++i) names.push_back(fmt::format("s{}", next_++));
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string& name = names[i];
      text += pad + name + ":\n";
      const auto key = [&](const std::string& line) { text += pad + "  " + line + "\n"; };
      const std::uint32_t kind = random_.below(12);
      if (kind == 0 && i + 2 < count && !mine.empty()) {
        key(fmt::format("switch: steps.{}.status", mine[random_.below(static_cast<std::uint32_t>(mine.size()))]));
        key(fmt::format("cases: {{succeeded: {}, failed: {}}}", names[i + 1],
                        names[i + 1 + random_.below(count - i - 1)]));
        key("default: none");
        mine.push_back(name);
        continue;
      }
      if (!mine.empty() && random_.one_in(6))
        key(fmt::format("when: \"steps.{}.status != 'failed'\"",
                        mine[random_.below(static_cast<std::uint32_t>(mine.size()))]));
      if (mine.size() > 1 && random_.one_in(4)) {
        key(fmt::format("needs: [{}]", fmt::join(mine, ", ")));
        key(fmt::format("join: {}", random_.one_in(2) ? "any" : std::to_string(1 + random_.below(2))));
        if (random_.one_in(2)) key("cancel_rest: true");
      } else {
        key(!mine.empty() && random_.one_in(3)
                ? fmt::format("needs: [{}]", mine[random_.below(static_cast<std::uint32_t>(mine.size()))])
                : "needs: []");
      }
      if (random_.one_in(12)) key(fmt::format("deadline: {}", random_.one_in(2) ? "5s" : "2m"));
      if (random_.one_in(2)) key(random_.one_in(2) ? "on_error: continue" : "on_error: {use: fallback}");
      if (random_.one_in(6))
        key(fmt::format("for_each: {{in: \"['a', 'b', 'c']\", key: item, max_parallel: {}, on_item_error: {}}}",
                        1 + random_.below(3),
                        random_.one_in(2)   ? "keep"
                        : random_.one_in(2) ? "drop"
                                            : "fail"));
      auto visible = seen;
      visible.insert(visible.end(), mine.begin(), mine.end());
      const bool loop = random_.one_in(6);
      if (kind <= 2 && depth < 2) {
        if (loop)
          key(fmt::format("repeat: {{until: \"false\", at_most: 2, else: {}}}", random_.one_in(3)   ? "ask"
                                                                                : random_.one_in(2) ? "keep"
                                                                                                    : "fail"));
        if (random_.one_in(3)) key("retry: {attempts: 2, backoff: 1s..2s}");
        key("steps:");
        const std::string first = fmt::format("s{}", next_);
        scope(text, indent + 4, visible, 1 + random_.below(3), depth + 1);
        if (random_.one_in(4)) finally(text, indent + 2, first);
      } else {
        if (loop) key(fmt::format("repeat: {{until: \"steps.{}.iteration == 2\", at_most: 2, else: keep}}", name));
        body(key, visible);
      }
      mine.push_back(name);
    }
  }

  // More elements than a run may decide about at a stretch, in groups of a fan-out or in one.
  void crowd(std::string& text) {
    std::string list = "[0";
    const std::uint32_t count = random_.one_in(2) ? 40 : 1'500;
    for (std::uint32_t i = 1; i < count; ++i) list += fmt::format(",{}", i);
    const std::string name = fmt::format("s{}", next_++);
    const std::string each = fmt::format("for_each: {{in: \"{}]\", max_parallel: {}}}", list, 1 + random_.below(200));
    text += fmt::format("  {}:\n    needs: []\n    on_error: continue\n    {}\n", name, each);
    if (count > 100) {
      text += "    set: 1\n";
    } else {
      text += fmt::format("    steps:\n      s{}: {{{}, set: 1}}\n", next_++, each);
    }
  }

  // Of the scope whose first step is `first`.
  void finally(std::string& text, int indent, const std::string& first) {
    const std::string pad(static_cast<std::size_t>(indent), ' ');
    text += pad + "finally:\n";
    std::vector<std::string> visible{first};
    for (std::uint32_t i = 0; i <= random_.below(2); ++i) {
      const std::string name = fmt::format("s{}", next_++);
      text += pad + "  " + name + ":\n";
      const auto key = [&](const std::string& line) { text += pad + "    " + line + "\n"; };
      if (random_.one_in(2)) key("when: run.status != 'succeeded'");
      if (random_.one_in(2)) key("on_error: continue");
      body(key, visible);
      visible.push_back(name);
    }
  }

  template <class Key>
  void body(const Key& key, const std::vector<std::string>& visible) {
    const std::uint32_t kind = random_.below(10);
    if (kind == 0) return key(fmt::format("set: \"{}\"", mention(visible)));
    if (kind == 1 && random_.one_in(2)) return waiting(key, visible);
    if (random_.one_in(4)) key(fmt::format("timeout: {}", random_.one_in(2) ? "2s" : "20s"));
    if (kind <= 5) {
      constexpr const char* kAgents[] = {"reader", "plain", "actor", "actor", "buyer"};
      key(fmt::format("agent: {}", kAgents[random_.below(5)]));
      key(fmt::format("prompt: \"{{{{ run.id }}}} {} {}\"", next_, mention(visible)));
      key(fmt::format("retry: {{attempts: {}, backoff: 1s..2s}}", 1 + random_.below(3)));
      return;
    }
    constexpr const char* kTools[] = {"t.pure",  "t.read", "t.idem", "t.write", "t.write",  "look",    "sell",
                                      "checked", "charge", "charge", "again",   "left_out", "checked", "given_up"};
    key(fmt::format("tool: {}", kTools[random_.below(14)]));
    key(fmt::format("args: {{x: {}}}", random_.below(2)));
    if (random_.one_in(2)) key(fmt::format("retry: {{attempts: {}, backoff: 1s..2s}}", 2 + random_.below(2)));
  }

  // In time or not: a `finally` waits for nobody for ever, and so nothing here does where a coin says so.
  template <class Key>
  void waiting(const Key& key, const std::vector<std::string>& visible) {
    switch (random_.below(3)) {
      case 0: return key(fmt::format("wait: {}s", 1 + random_.below(40)));
      case 1:
        key(fmt::format("ask: \"{}\"", mention(visible)));
        key("choices: [yes, no]");
        break;
      default: key("wait: {signal: go}");
    }
    key(fmt::format("timeout: {}", random_.one_in(2) ? "10s" : "10m"));
    if (random_.one_in(2)) key("on_timeout: \"no\"");
  }

  Random& random_;
  std::uint32_t next_ = 0;
};

}  // namespace

std::string workflow_text(const std::string& name, Size size, Random& random) {
  return Writer(random).write(name, size);
}

std::string revised(const std::string& text, const std::string& name) {
  std::string revised;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("name: ")) line = "name: " + name;
    if (line.starts_with("on: ")) continue;
    // What was asked and done is asked and done in other words.
    constexpr std::string_view kPrompt = "prompt: \"";
    if (const std::size_t at = line.find(kPrompt); at != std::string::npos)
      line.insert(at + kPrompt.size(), "Once more, ");
    if (const std::size_t at = line.find("args: {x: 0}"); at != std::string::npos) line.replace(at, 12, "args: {x: 2}");
    revised += line + "\n";
  }
  return revised;
}

}  // namespace weft::simulation
