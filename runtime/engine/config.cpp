#include "runtime/engine/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "workflows/yaml.h"

namespace weft::engine {
namespace {

using workflows::Diagnostics;
using yaml::Node;

std::optional<std::string> text_of(const Node& map, std::string_view key, Diagnostics& diagnostics) {
  const Node* node = map.get(key);
  if (node == nullptr) return std::nullopt;
  if (node->is_scalar()) return node->text;
  diagnostics.error(node->mark, "type", fmt::format("`{}` is a text", key));
  return std::nullopt;
}

std::uint64_t count_of(const Node& map, std::string_view key, std::uint64_t otherwise, Diagnostics& diagnostics) {
  const Node* node = map.get(key);
  if (node == nullptr) return otherwise;
  const auto number = node->as_integer();
  if (number && *number > 0) return static_cast<std::uint64_t>(*number);
  diagnostics.error(node->mark, "type", fmt::format("`{}` is a whole number above 0", key));
  return otherwise;
}

bool flag_of(const Node& map, std::string_view key, Diagnostics& diagnostics) {
  const Node* node = map.get(key);
  if (node == nullptr) return false;
  if (const auto flag = node->as_bool()) return *flag;
  diagnostics.error(node->mark, "type", fmt::format("`{}` is true or false", key));
  return false;
}

// The map under `key`; null where there is none.
const Node* map_of(const Node& map, std::string_view key, Diagnostics& diagnostics) {
  const Node* node = map.get(key);
  if (node == nullptr || node->is_map()) return node;
  diagnostics.error(node->mark, "type", fmt::format("`{}` is a map", key));
  return nullptr;
}

// The members of the map under `key`; none where it is absent.
std::vector<Node::Member> entries(const Node& map, std::string_view key, Diagnostics& diagnostics) {
  const Node* node = map_of(map, key, diagnostics);
  if (node == nullptr) return {};
  for (const Node::Member& member : node->members) member.used = true;
  return node->members;
}

void read_provider(const std::string& name, const Node& node, Config& config, Diagnostics& diagnostics) {
  if (!node.is_map()) return diagnostics.error(node.mark, "type", fmt::format("the provider {} is a map", name));
  model::Provider provider;
  if (const model::Provider* known = config.catalog.provider(name)) provider = *known;
  provider.name = name;
  if (auto kind = text_of(node, "kind", diagnostics)) {
    if (*kind != "openai") {
      diagnostics.error(node.mark, "later",
                        fmt::format("the provider {} speaks \"{}\"; this version speaks `openai` alone", name, *kind));
    }
    provider.kind = *std::move(kind);
  }
  if (auto url = text_of(node, "base_url", diagnostics)) provider.base_url = *std::move(url);
  if (auto variable = text_of(node, "key_env", diagnostics)) provider.key_env = *std::move(variable);
  if (node.has("thinking_switch")) provider.features.thinking_switch = flag_of(node, "thinking_switch", diagnostics);
  if (node.has("reasoning_replay")) provider.features.reasoning_replay = flag_of(node, "reasoning_replay", diagnostics);
  if (node.has("user_id")) provider.features.user_id = flag_of(node, "user_id", diagnostics);
  provider.in_flight_max = count_of(node, "in_flight_max", provider.in_flight_max, diagnostics);
  provider.requests_per_minute = count_of(node, "requests_per_minute", provider.requests_per_minute, diagnostics);
  provider.tokens_per_minute = count_of(node, "tokens_per_minute", provider.tokens_per_minute, diagnostics);
  if (provider.base_url.empty())
    diagnostics.error(node.mark, "missing-key", fmt::format("the provider {} has no `base_url`", name));
  yaml::refuse_unused(node, fmt::format("the provider {}", name),
                      {"kind", "base_url", "key_env", "thinking_switch", "reasoning_replay", "user_id", "in_flight_max",
                       "requests_per_minute", "tokens_per_minute"},
                      diagnostics);
  config.catalog.put(std::move(provider));
}

void read_model(const std::string& name, const Node& node, Config& config, Diagnostics& diagnostics) {
  if (!node.is_map()) return diagnostics.error(node.mark, "type", fmt::format("the model {} is a map", name));
  model::Model entry;
  entry.name = name;
  entry.provider = text_of(node, "provider", diagnostics).value_or("");
  entry.wire = text_of(node, "wire", diagnostics).value_or(name);
  entry.context = count_of(node, "context", 0, diagnostics);
  entry.max_output = count_of(node, "max_output", 0, diagnostics);
  if (config.catalog.provider(entry.provider) == nullptr) {
    diagnostics.error(node.mark, "unknown-provider", fmt::format("the model {} has no known `provider`", name));
  }
  yaml::refuse_unused(node, fmt::format("the model {}", name), {"provider", "wire", "context", "max_output"},
                      diagnostics);
  config.catalog.put(std::move(entry));
}

std::optional<Duration> duration_of(const Node& node, std::string_view key, Diagnostics& diagnostics) {
  const auto duration = node.is_scalar() ? parse_duration(node.text) : Result<Duration>(invalid_argument(""));
  if (duration) return *duration;
  diagnostics.error(node.mark, "type", fmt::format("`{}` is a time such as 30s, 12h or 30d", key));
  return std::nullopt;
}

// How long runs are kept; nothing: for ever.
std::optional<Duration> kept_of(const Node& node, std::string_view key, Diagnostics& diagnostics) {
  if (node.is_scalar() && node.text == "forever") return std::nullopt;
  const auto duration = node.is_scalar() ? parse_duration(node.text) : Result<Duration>(invalid_argument(""));
  if (duration) return *duration;
  diagnostics.error(node.mark, "type", fmt::format("`{}` is a time such as 12h or 30d, or `forever`", key));
  return std::nullopt;
}

void read_retention(const Node& map, Retention& retention, Diagnostics& diagnostics) {
  if (const Node* otherwise = map.get("default")) retention.otherwise = kept_of(*otherwise, "default", diagnostics);
  for (const Node::Member& member : entries(map, "workflows", diagnostics)) {
    retention.workflows[member.key] = kept_of(*member.value, member.key, diagnostics);
  }
  yaml::refuse_unused(map, "`retention`", {"default", "workflows"}, diagnostics);
}

void read_label_limits(const Node& map, Config& config, Diagnostics& diagnostics) {
  for (const Node::Member& member : entries(map, "by_label", diagnostics)) {
    if (!member.value->is_map()) {
      diagnostics.error(member.value->mark, "type",
                        fmt::format("`limits.by_label.{}` is a map of limits, each for one value of the label",
                                    printable(member.key)));
      continue;
    }
    LabelLimits limits;
    limits.label = member.key;
    limits.runs_at_work_max = count_of(*member.value, "runs_at_work_max", 0, diagnostics);
    limits.model_calls_max = count_of(*member.value, "model_calls_max", 0, diagnostics);
    limits.model_calls_per_minute = count_of(*member.value, "model_calls_per_minute", 0, diagnostics);
    limits.tokens_per_minute = count_of(*member.value, "tokens_per_minute", 0, diagnostics);
    yaml::refuse_unused(*member.value, fmt::format("`limits.by_label.{}`", printable(member.key)),
                        {"runs_at_work_max", "model_calls_max", "model_calls_per_minute", "tokens_per_minute"},
                        diagnostics);
    config.by_label.push_back(std::move(limits));
  }
}

void read_limits(const Node& map, Config& config, Diagnostics& diagnostics) {
  if (const Node* crashes = map.get("crashes_max")) {
    const auto number = crashes->as_integer();
    if (number && *number >= 0 && *number <= UINT32_MAX) {
      config.crashes_max = static_cast<std::uint32_t>(*number);
    } else {
      diagnostics.error(crashes->mark, "type", "`crashes_max` is a whole number; 0 takes a run up again always");
    }
  }
  if (const Node* drain = map.get("drain")) {
    config.drain = duration_of(*drain, "drain", diagnostics).value_or(config.drain);
  }
  EngineLimits& limits = config.limits;
  limits.runs_at_work_max = count_of(map, "runs_at_work_max", limits.runs_at_work_max, diagnostics);
  limits.runs_queued_max = count_of(map, "runs_queued_max", limits.runs_queued_max, diagnostics);
  limits.model_calls_max = count_of(map, "model_calls_max", limits.model_calls_max, diagnostics);
  read_label_limits(map, config, diagnostics);
  config.fair_by = text_of(map, "fair_by", diagnostics).value_or("");
  yaml::refuse_unused(
      map, "`limits`",
      {"crashes_max", "drain", "runs_at_work_max", "runs_queued_max", "model_calls_max", "fair_by", "by_label"},
      diagnostics);
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
  config.store = text_of(*root, "store", diagnostics).value_or("");
  if (const Node* listen = root->get("listen")) {
    if (listen->is_scalar()) config.listen.push_back(listen->text);
    for (const auto& address : listen->items) config.listen.push_back(address->text);
    if (config.listen.empty()) diagnostics.error(listen->mark, "type", "`listen` is an address or a list of addresses");
  }
  config.http = text_of(*root, "http", diagnostics);
  if (const Node* tools = map_of(*root, "tools", diagnostics)) {
    if (const Node* files = map_of(*tools, "fs", diagnostics)) {
      config.tools_root = text_of(*files, "root", diagnostics).value_or("");
      yaml::refuse_unused(*files, "`tools.fs`", {"root"}, diagnostics);
    }
    yaml::refuse_unused(*tools, "`tools`", {"fs"}, diagnostics);
  }
  if (const Node* policy = map_of(*root, "policy", diagnostics)) {
    if (const Node* secrets = policy->get("secrets")) {
      for (const auto& name : secrets->items) config.secrets.push_back(name->text);
      if (!secrets->is_sequence())
        diagnostics.error(secrets->mark, "type", "`policy.secrets` is a list of environment variables");
    }
    yaml::refuse_unused(*policy, "`policy`", {"secrets"}, diagnostics);
  }
  for (const Node::Member& member : entries(*root, "providers", diagnostics))
    read_provider(member.key, *member.value, config, diagnostics);
  for (const Node::Member& member : entries(*root, "models", diagnostics))
    read_model(member.key, *member.value, config, diagnostics);
  if (const Node* retention = map_of(*root, "retention", diagnostics)) {
    read_retention(*retention, config.retention, diagnostics);
  }
  if (const Node* limits = map_of(*root, "limits", diagnostics)) read_limits(*limits, config, diagnostics);
  yaml::refuse_unused(*root, "the configuration",
                      {"store", "listen", "http", "tools", "policy", "providers", "models", "retention", "limits"},
                      diagnostics);
  if (diagnostics.has_errors()) return std::nullopt;
  return config;
}

std::optional<std::string> refuse_secret(const Config& config, const std::string& name) {
  if (std::ranges::find(config.secrets, name) != config.secrets.end()) return std::nullopt;
  return fmt::format("no workflow here may use the secret {}: allow it in weft.yaml with policy: {{secrets: [{}]}}",
                     name, name);
}

}  // namespace weft::engine
