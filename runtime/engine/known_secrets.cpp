#include "runtime/engine/known_secrets.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::engine {

KnownSecrets::KnownSecrets(const Config& config, Getenv environment)
    : names_(config.secrets),
      model_key_(config.model_key),
      environment_(std::move(environment)),
      mask_(std::make_shared<const SecretMask>(known_)) {
  for (const model::Provider& provider : config.catalog.providers()) {
    if (!provider.key_env.empty()) names_.push_back(provider.key_env);
  }
  names_.emplace_back("WEFT_MODEL_KEY");
}

std::vector<Secret> KnownSecrets::values() const {
  std::vector<Secret> found;
  const auto add = [&](const std::string& name, std::string value) {
    if (value.empty() || std::ranges::any_of(found, [&](const Secret& secret) { return secret.value == value; }))
      return;
    found.push_back({name, std::move(value)});
  };
  for (const std::string& name : names_) add(name, environment_(name).value_or(""));
  add("WEFT_MODEL_KEY", model_key_);
  return found;
}

std::shared_ptr<const SecretMask> KnownSecrets::mask() const {
  std::vector<Secret> now = values();
  const std::lock_guard lock(mutex_);
  if (now != known_) {
    mask_ = std::make_shared<const SecretMask>(now);
    known_ = std::move(now);
  }
  return mask_;
}

std::vector<std::string> KnownSecrets::complaints() const {
  std::vector<std::string> sentences;
  for (const Secret& secret : values()) {
    const auto why = SecretMask::unmaskable(secret.value);
    if (!why) continue;
    sentences.push_back(fmt::format(
        "the secret {} is not masked where an answer repeats it, since {}: choose a longer one", secret.name, *why));
  }
  return sentences;
}

}  // namespace weft::engine
