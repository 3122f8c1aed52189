// What must not stand in a file's texts: secrets anywhere, and what changes from day to day in a cached prefix.
#include <fmt/format.h>
#include <re2/re2.h>

#include "workflows/draft.h"

namespace weft::workflows {
namespace {

struct Pattern {
  const char* what;
  RE2 pattern;
};

// Of the budget of the check: for a text, and for its bytes.
constexpr std::uint64_t kTextUnits = 40;
constexpr std::size_t kBytesPerUnit = 2;

// Shapes of well-known credentials, narrow enough that prose does not match.
const std::vector<std::unique_ptr<Pattern>>& secret_patterns() {
  static const auto kPatterns = [] {
    std::vector<std::unique_ptr<Pattern>> all;
    const auto add = [&](const char* what, const char* text) { all.push_back(std::make_unique<Pattern>(what, text)); };
    add("a model provider's key", R"(\bsk-[A-Za-z0-9_-]{20,})");
    add("an AWS key", R"(\b(?:AKIA|ASIA)[0-9A-Z]{16}\b)");
    add("a GitHub token", R"(\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,}))");
    add("a Slack token", R"(\bxox[abprs]-[A-Za-z0-9-]{10,})");
    add("a Google key", R"(\bAIza[0-9A-Za-z_-]{35})");
    add("a private key", R"(-----BEGIN [A-Z ]*PRIVATE KEY-----)");
    return all;
  }();
  return kPatterns;
}

void check_secret(Draft& draft, Mark mark, const std::string& text) {
  // One look for all of them; hardly a text has any.
  static const RE2 kAny = [] {
    std::string all;
    for (const auto& secret : secret_patterns()) all += (all.empty() ? "" : "|") + secret->pattern.pattern();
    return RE2(all);
  }();
  if (!draft.diagnostics.work().spend(kTextUnits + text.size() / kBytesPerUnit)) return;
  if (!RE2::PartialMatch(text, kAny)) return;
  for (const auto& secret : secret_patterns()) {
    if (!RE2::PartialMatch(text, secret->pattern)) continue;
    // The value itself is not repeated: diagnostics end up in logs.
    draft.diagnostics.error(mark, "secret", fmt::format("this looks like {} written out", secret->what),
                            "let the tool or provider name the environment variable that holds it");
    return;
  }
}

void check_secrets(Draft& draft, const yaml::Node& node) {
  if (node.is_scalar()) check_secret(draft, node.mark, node.text);
  for (const yaml::NodePtr& item : node.items) check_secrets(draft, *item);
  for (const auto& member : node.members) {
    check_secret(draft, member.key_mark, member.key);
    check_secrets(draft, *member.value);
  }
}

void check_volatile(Draft& draft, const yaml::Node& node) {
  static const RE2 kDate(R"((\b20[0-9]{2}-[01][0-9]-[0-3][0-9]\b))");
  static const RE2 kUuid(R"((\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b))");
  static const RE2 kPath(R"(((?:^|[\s"'(])/(?:home|tmp|Users|var/folders)/\S+))");
  if (node.is_map()) {
    const auto file = node.get("file") ? draft.files.find(node.get("file")->text) : draft.files.end();
    if (file != draft.files.end()) check_secret(draft, node.get("file")->mark, file->second);
  }
  for (const yaml::NodePtr& item : node.items) check_volatile(draft, *item);
  if (!node.is_scalar()) return;
  const std::pair<const RE2*, const char*> kinds[] = {
      {&kDate, "a date"}, {&kUuid, "a UUID"}, {&kPath, "a path of this machine"}};
  for (const auto& [pattern, what] : kinds) {
    std::string found;
    if (!draft.diagnostics.work().spend(kTextUnits + node.text.size() / kBytesPerUnit)) return;
    if (!RE2::PartialMatch(node.text, *pattern, &found)) continue;
    draft.diagnostics.warning(node.mark, "volatile",
                              fmt::format("this text begins every call, and {} in it is likely to change", what),
                              "each change loses the provider's cache: put it into the prompt", found);
  }
}

void check_agent_texts(Draft& draft, const yaml::Node* agent) {
  if (!agent || !agent->is_map()) return;
  for (const char* key : {"system", "context"}) {
    if (const yaml::Node* texts = agent->has(key) ? agent->get(key) : nullptr) check_volatile(draft, *texts);
  }
}

}  // namespace

void check_texts(Draft& draft) {
  const yaml::Node& top = *draft.root;
  check_secrets(draft, top);
  check_agent_texts(draft, &top);
  check_agent_texts(draft, top.get("defaults"));
  const yaml::Node* agents = top.get("agents");
  if (agents) {
    for (const auto& agent : agents->members) check_agent_texts(draft, agent.value.get());
  }
  for (const StepNote& note : draft.notes) check_agent_texts(draft, note.node);
}

}  // namespace weft::workflows
