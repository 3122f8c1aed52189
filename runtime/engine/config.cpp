#include "runtime/engine/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "runtime/engine/config_keys.h"
#include "runtime/model/dialect.h"
#include "workflows/yaml.h"

namespace weft::engine {
namespace {

using workflows::Diagnostics;
using yaml::Node;

// One map of the file, with its place in the table of keys: it gives no key that is not there.
class Section {
 public:
  Section(const Node& node, std::string path, Diagnostics& diagnostics)
      : node_(node), path_(std::move(path)), diagnostics_(diagnostics) {}

  const Node& node() const { return node_; }
  Diagnostics& diagnostics() const { return diagnostics_; }
  const Node* get(std::string_view key) const {
    require_row(path_of(key));
    return node_.get(key);
  }
  std::optional<std::string> text(std::string_view key) const {
    const Node* node = get(key);
    if (node == nullptr) return std::nullopt;
    if (node->is_scalar()) return node->text;
    wrong(*node, fmt::format("`{}` is a text", key));
    return std::nullopt;
  }
  std::uint64_t count(std::string_view key, std::uint64_t otherwise) const {
    const Node* node = get(key);
    if (node == nullptr) return otherwise;
    const auto number = node->as_integer();
    if (number && *number > 0) return static_cast<std::uint64_t>(*number);
    wrong(*node, fmt::format("`{}` is a whole number above 0", key));
    return otherwise;
  }
  void flag(std::string_view key, bool& into) const {
    const Node* node = get(key);
    if (node == nullptr) return;
    if (const auto flag = node->as_bool()) {
      into = *flag;
    } else {
      wrong(*node, fmt::format("`{}` is true or false", key));
    }
  }
  std::optional<Duration> duration(std::string_view key) const {
    const Node* node = get(key);
    if (node == nullptr) return std::nullopt;
    const auto duration = node->is_scalar() ? parse_duration(node->text) : Result<Duration>(invalid_argument(""));
    if (duration) return *duration;
    wrong(*node, fmt::format("`{}` is a time such as 30s, 12h or 30d", key));
    return std::nullopt;
  }

  // The map under `key`; nothing where there is none.
  std::optional<Section> section(std::string_view key) const {
    const Node* node = node_.get(key);
    if (node == nullptr) return std::nullopt;
    if (node->is_map()) return Section(*node, path_of(key), diagnostics_);
    wrong(*node, fmt::format("`{}` is a map", key));
    return std::nullopt;
  }
  // What stands under names that the file chose, in the map under `key`.
  std::vector<Node::Member> values(std::string_view key) const {
    require_row(path_of(key) + ".*");
    const auto map = section(key);
    if (!map) return {};
    for (const Node::Member& member : map->node_.members) member.used = true;
    return map->node_.members;
  }
  // The maps under `key`, with the names that the file chose. `says`: what is said of one that is no map.
  std::vector<std::pair<std::string, Section>> named(std::string_view key, std::string_view says) const {
    std::vector<std::pair<std::string, Section>> found;
    const auto map = section(key);
    if (!map) return found;
    for (const Node::Member& member : map->node_.members) {
      member.used = true;
      if (member.value->is_map()) {
        found.emplace_back(member.key, Section(*member.value, map->path_ + ".*", diagnostics_));
      } else {
        wrong(*member.value, fmt::format(fmt::runtime(says), printable(member.key)));
      }
    }
    return found;
  }
  void refuse_unused(std::string_view what, const std::vector<std::string>& known) const {
    yaml::refuse_unused(node_, what, known, diagnostics_);
  }
  void wrong(const Node& node, std::string sentence) const {
    diagnostics_.error(node.mark, "type", std::move(sentence));
  }

 private:
  static void require_row(std::string_view path) {
    WEFT_CHECK(find_config_key(path) != nullptr, "the loader reads a key that the table of keys does not have");
  }
  std::string path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  }

  const Node& node_;
  std::string path_;
  Diagnostics& diagnostics_;
};

void read_provider(const std::string& name, const Section& map, Config& config) {
  model::Provider provider;
  if (const model::Provider* known = config.catalog.provider(name)) provider = *known;
  provider.name = name;
  if (auto kind = map.text("kind")) {
    if (model::find_dialect(*kind) == nullptr) {
      map.diagnostics().error(
          map.node().mark, "later",
          fmt::format("the provider {} speaks \"{}\"; this version speaks `openai` alone", name, *kind));
    }
    provider.kind = *std::move(kind);
  }
  if (auto url = map.text("base_url")) provider.base_url = *std::move(url);
  if (auto variable = map.text("key_env")) provider.key_env = *std::move(variable);
  map.flag("thinking_switch", provider.features.thinking_switch);
  map.flag("reasoning_replay", provider.features.reasoning_replay);
  map.flag("user_id", provider.features.user_id);
  provider.in_flight_max = map.count("in_flight_max", provider.in_flight_max);
  provider.requests_per_minute = map.count("requests_per_minute", provider.requests_per_minute);
  provider.tokens_per_minute = map.count("tokens_per_minute", provider.tokens_per_minute);
  if (provider.base_url.empty()) {
    map.diagnostics().error(map.node().mark, "missing-key", fmt::format("the provider {} has no `base_url`", name));
  }
  map.refuse_unused(fmt::format("the provider {}", name),
                    {"kind", "base_url", "key_env", "thinking_switch", "reasoning_replay", "user_id", "in_flight_max",
                     "requests_per_minute", "tokens_per_minute"});
  config.catalog.put(std::move(provider));
}

void read_model(const std::string& name, const Section& map, Config& config) {
  model::Model entry;
  entry.name = name;
  entry.provider = map.text("provider").value_or("");
  entry.wire = map.text("wire").value_or(name);
  entry.context = map.count("context", 0);
  entry.max_output = map.count("max_output", 0);
  if (config.catalog.provider(entry.provider) == nullptr) {
    map.diagnostics().error(map.node().mark, "unknown-provider",
                            fmt::format("the model {} has no known `provider`", name));
  }
  map.refuse_unused(fmt::format("the model {}", name), {"provider", "wire", "context", "max_output"});
  config.catalog.put(std::move(entry));
}

// How long runs are kept; nothing: for ever.
std::optional<Duration> kept_of(const Section& map, std::string_view key, const Node& node) {
  if (node.is_scalar() && node.text == "forever") return std::nullopt;
  const auto duration = node.is_scalar() ? parse_duration(node.text) : Result<Duration>(invalid_argument(""));
  if (duration) return *duration;
  map.wrong(node, fmt::format("`{}` is a time such as 12h or 30d, or `forever`", key));
  return std::nullopt;
}

void read_retention(const Section& map, Retention& retention) {
  if (const Node* otherwise = map.get("default")) retention.otherwise = kept_of(map, "default", *otherwise);
  for (const Node::Member& member : map.values("workflows")) {
    retention.workflows[member.key] = kept_of(map, member.key, *member.value);
  }
  map.refuse_unused("`retention`", {"default", "workflows"});
}

void read_label_limits(const Section& map, Config& config) {
  for (const auto& [label, values] :
       map.named("by_label", "`limits.by_label.{}` is a map of limits, each for one value of the label")) {
    admission::LabelLimits limits;
    limits.label = label;
    limits.runs_at_work_max = values.count("runs_at_work_max", 0);
    limits.model_calls_max = values.count("model_calls_max", 0);
    limits.model_calls_per_minute = values.count("model_calls_per_minute", 0);
    limits.tokens_per_minute = values.count("tokens_per_minute", 0);
    values.refuse_unused(fmt::format("`limits.by_label.{}`", printable(label)),
                         {"runs_at_work_max", "model_calls_max", "model_calls_per_minute", "tokens_per_minute"});
    config.by_label.push_back(std::move(limits));
  }
}

void read_limits(const Section& map, Config& config) {
  if (const Node* crashes = map.get("crashes_max")) {
    const auto number = crashes->as_integer();
    if (number && *number >= 0 && *number <= UINT32_MAX) {
      config.crashes_max = static_cast<std::uint32_t>(*number);
    } else {
      map.wrong(*crashes, "`crashes_max` is a whole number; 0 takes a run up again always");
    }
  }
  config.drain = map.duration("drain").value_or(config.drain);
  EngineLimits& limits = config.limits;
  limits.decide_max = map.duration("decide_max").value_or(limits.decide_max);
  limits.runs_at_work_max = map.count("runs_at_work_max", limits.runs_at_work_max);
  limits.runs_queued_max = map.count("runs_queued_max", limits.runs_queued_max);
  limits.model_calls_max = map.count("model_calls_max", limits.model_calls_max);
  limits.run_bytes_max = map.count("run_bytes_max", limits.run_bytes_max);
  read_label_limits(map, config);
  config.fair_by = map.text("fair_by").value_or("");
  map.refuse_unused("`limits`", {"crashes_max", "drain", "decide_max", "runs_at_work_max", "runs_queued_max",
                                 "model_calls_max", "run_bytes_max", "fair_by", "by_label"});
}

void read_tools(const Section& map, Config& config) {
  if (const auto files = map.section("fs")) {
    config.tools_root = files->text("root").value_or("");
    files->refuse_unused("`tools.fs`", {"root"});
  }
  map.refuse_unused("`tools`", {"fs"});
}

void read_policy(const Section& map, Config& config) {
  if (const Node* secrets = map.get("secrets")) {
    for (const auto& name : secrets->items) config.secrets.push_back(name->text);
    if (!secrets->is_sequence()) map.wrong(*secrets, "`policy.secrets` is a list of environment variables");
  }
  map.refuse_unused("`policy`", {"secrets"});
}

void read_listen(const Section& root, Config& config) {
  const Node* listen = root.get("listen");
  if (listen == nullptr) return;
  if (listen->is_scalar()) config.listen.push_back(listen->text);
  for (const auto& address : listen->items) config.listen.push_back(address->text);
  if (config.listen.empty()) root.wrong(*listen, "`listen` is an address or a list of addresses");
}

void read_root(const Section& root, Config& config) {
  config.store = root.text("store").value_or("");
  read_listen(root, config);
  config.http = root.text("http");
  if (const auto tools = root.section("tools")) read_tools(*tools, config);
  if (const auto policy = root.section("policy")) read_policy(*policy, config);
  for (const auto& [name, map] : root.named("providers", "the provider {} is a map")) read_provider(name, map, config);
  for (const auto& [name, map] : root.named("models", "the model {} is a map")) read_model(name, map, config);
  if (const auto retention = root.section("retention")) read_retention(*retention, config.retention);
  if (const auto limits = root.section("limits")) read_limits(*limits, config);
  root.refuse_unused("the configuration",
                     {"store", "listen", "http", "tools", "policy", "providers", "models", "retention", "limits"});
}

}  // namespace

std::optional<Config> read_config(std::string_view text, Diagnostics& diagnostics) {
  const yaml::NodePtr root = yaml::read(text, diagnostics);
  Config config;
  if (!root) return std::nullopt;
  if (root->is_null()) return config;
  if (!root->is_map()) {
    diagnostics.error(root->mark, "type", "the configuration is a map of settings");
    return std::nullopt;
  }
  read_root(Section(*root, "", diagnostics), config);
  if (diagnostics.has_errors()) return std::nullopt;
  return config;
}

admission::Settings admission_settings(const Config& config) {
  admission::Settings settings;
  settings.runs_at_work_max = config.limits.runs_at_work_max;
  settings.model_calls_max = config.limits.model_calls_max;
  settings.tool_calls_max = config.limits.tool_calls_max;
  settings.fair_by = config.fair_by;
  settings.by_label = config.by_label;
  // Where one server answers for every model, the limits of other providers do not apply to it.
  if (!config.model_url.empty()) return settings;
  for (const model::Provider& provider : config.catalog.providers()) {
    settings.providers.push_back(
        {provider.name, provider.in_flight_max, provider.requests_per_minute, provider.tokens_per_minute});
  }
  return settings;
}

std::optional<std::string> refuse_secret(const Config& config, const std::string& name) {
  if (std::ranges::find(config.secrets, name) != config.secrets.end()) return std::nullopt;
  return fmt::format("no workflow here may use the secret {}: allow it in weft.yaml with policy: {{secrets: [{}]}}",
                     name, name);
}

}  // namespace weft::engine
