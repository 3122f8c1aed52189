#include "runtime/engine/routing/routes.h"

#include <fmt/format.h>

#include <cstdlib>
#include <initializer_list>

#include "base/url.h"
#include "runtime/model/openai.h"

namespace weft::engine {

Getenv system_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
  };
}

void apply_environment(Config& config, const Getenv& environment) {
  if (auto url = environment("WEFT_MODEL_URL")) {
    config.model_url = *std::move(url);
    config.model_key = environment("WEFT_MODEL_KEY").value_or("");
    config.model_name = environment("WEFT_MODEL").value_or("");
  } else if (auto sim_url = environment("WEFT_SIM_URL")) {
    config.model_url = *std::move(sim_url);
    config.simulated = true;
  }
}

namespace {

// The proxy for a hosted model, by the variables that curl reads. HTTP_PROXY is not among them: a web server sets it
// from a request's header.
void add_proxy(model::Endpoint& endpoint, const Getenv& environment) {
  const bool secure = endpoint.base_url.starts_with("https:");
  const auto first = [&](std::initializer_list<const char*> names) -> std::string {
    for (const char* name : names) {
      if (auto value = environment(name)) return *std::move(value);
    }
    return {};
  };
  if (is_loopback(endpoint.base_url)) return;
  endpoint.proxy = secure ? first({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
                          : first({"http_proxy", "all_proxy", "ALL_PROXY"});
  endpoint.no_proxy = first({"no_proxy", "NO_PROXY"});
}

}  // namespace

Routes::Routes(Config config, Getenv environment) : config_(std::move(config)), environment_(std::move(environment)) {}

Result<Route> Routes::find(const std::string& name) const {
  Route route;
  auto known = config_.catalog.find(name);
  if (!config_.model_url.empty()) {
    if (!config_.model_url.starts_with("http://") && !config_.model_url.starts_with("https://")) {
      return failed_precondition(fmt::format(
          "WEFT_MODEL_URL is {}; it is the base URL of a server, such as http://127.0.0.1:8080/v1", config_.model_url));
    }
    // One server answers for every model; what it is called there, the workflow says unless WEFT_MODEL does. A
    // simulated one stands for the models that there are.
    if (!known && (config_.simulated || known.error().code == Code::kFailedPrecondition))
      return std::move(known).error();
    route.provider = config_.simulated ? "sim" : "WEFT_MODEL_URL";
    route.model = known ? known->name : name;
    route.wire = !config_.model_name.empty() ? config_.model_name : known ? known->wire : name;
    route.endpoint.base_url = config_.model_url;
    route.endpoint.key = config_.model_key;
    add_proxy(route.endpoint, environment_);
    route.simulated = config_.simulated;
    route.format.dialect = &model::openai_dialect();
    if (config_.simulated && known) {
      if (const model::Provider* provider = config_.catalog.provider(known->provider))
        route.format.features = provider->features;
    }
    return route;
  }
  if (!known) return std::move(known).error();
  const model::Provider* provider = config_.catalog.provider(known->provider);
  if (provider == nullptr) {
    return not_found(
        fmt::format("the model {} belongs to the provider {}, which is not configured", name, known->provider));
  }
  route.provider = provider->name;
  route.model = known->name;
  route.wire = known->wire;
  route.format = {model::find_dialect(provider->kind), provider->features};
  if (route.format.dialect == nullptr) {
    return failed_precondition(fmt::format("the provider {} speaks \"{}\", which this version of weft does not",
                                           provider->name, provider->kind));
  }
  route.endpoint.base_url = provider->base_url;
  add_proxy(route.endpoint, environment_);
  if (!provider->key_env.empty()) {
    auto key = environment_(provider->key_env);
    if (!key) {
      return failed_precondition(fmt::format("the model {} needs a key: set {}, or run with --sim, which needs none",
                                             name, provider->key_env))
          .with("variable", provider->key_env);
    }
    route.endpoint.key = *std::move(key);
  }
  return route;
}

model::WireFormat Routes::recorded_format(const std::string& provider, const std::string& model) const {
  const auto known = config_.catalog.find(model);
  const bool stands_for = provider == "sim" && known;  // It writes as the provider whose model it stands for.
  const model::Provider* kept = config_.catalog.provider(stands_for ? known->provider : provider);
  if (kept == nullptr) return {&model::openai_dialect(), {}};
  // Where the provider speaks what this version does not, its requests were not made by this version either.
  const model::Dialect* dialect = model::find_dialect(kept->kind);
  return {dialect == nullptr ? &model::openai_dialect() : dialect, kept->features};
}

std::optional<std::string> Routes::refuse(const std::string& model) const {
  const auto route = find(model);
  if (route) return std::nullopt;
  for (const Detail& detail : route.error().details) {
    if (detail.key == "variable") return std::nullopt;  // A key may come later; a name that nobody knows may not.
  }
  return route.error().message;
}

std::optional<model::Price> Routes::price(const Route& route, Time at) const {
  // What a server of one's own costs is not known, whatever the model is called there.
  if (!config_.model_url.empty() && !route.simulated) return std::nullopt;
  return config_.catalog.price(route.model, at);
}

std::optional<model::Price> Routes::list_price(const std::string& model, Time at) const {
  return config_.catalog.price(model, at);
}

}  // namespace weft::engine
