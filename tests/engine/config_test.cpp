#include "runtime/engine/config.h"

#include <catch2/catch.hpp>
#include <map>

#include "runtime/engine/routes.h"

using namespace weft;
using namespace weft::engine;

namespace {

Getenv environment(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

}  // namespace

TEST_CASE("a configuration sets stores, addresses, providers and models") {
  workflows::Diagnostics diagnostics("weft.yaml");
  const auto config = read_config(R"(
store: /srv/weft.db
listen: [127.0.0.1:9000, unix:/run/weft.sock]
http: 127.0.0.1:9001
tools: {fs: {root: /srv/files}}
providers:
  farm: {kind: openai, base_url: http://127.0.0.1:9999/v1, key_env: FARM_KEY}
models:
  house: {provider: farm, wire: house-70b, context: 128000}
)",
                                  diagnostics);
  REQUIRE(config);
  CHECK(config->store == "/srv/weft.db");
  CHECK(config->listen.size() == 2);
  CHECK(config->tools_root == "/srv/files");
  const Routes routes(*config, environment({{"FARM_KEY", "k"}}));
  const auto route = routes.find("house");
  REQUIRE(route);
  CHECK(route->wire == "house-70b");
  CHECK(route->endpoint.key == "k");
  CHECK_FALSE(routes.price(*route, Time{}));
}

TEST_CASE("a configuration says how long runs are kept, and how a stop and crashes are borne") {
  workflows::Diagnostics diagnostics("weft.yaml");
  const auto config = read_config(
      "retention: {default: 7d, workflows: {audit: forever, chat: 12h}}\nlimits: {crashes_max: 0, drain: 5s}\n",
      diagnostics);
  REQUIRE(config);
  CHECK(config->retention.of("any") == Duration(std::chrono::hours(24 * 7)));
  CHECK_FALSE(config->retention.of("audit"));
  CHECK(config->retention.of("chat") == Duration(std::chrono::hours(12)));
  CHECK(config->crashes_max == 0);
  CHECK(config->drain == std::chrono::seconds(5));
  const auto defaults = read_config("", diagnostics);
  REQUIRE(defaults);
  CHECK(defaults->retention.of("any") == kRetentionDefault);
  CHECK(defaults->crashes_max == kCrashesMax);
  for (const char* wrong : {"retention: {default: soon}", "retention: {defalt: 1d}", "limits: {drain: forever}",
                            "limits: {crashes_max: -1}", "retention: {workflows: {a: [1d]}}"}) {
    INFO(wrong);
    workflows::Diagnostics faults("weft.yaml");
    CHECK_FALSE(read_config(wrong, faults));
  }
}

TEST_CASE("an unknown key of the configuration is an error with the nearest") {
  workflows::Diagnostics diagnostics("weft.yaml");
  CHECK_FALSE(read_config("stor: x\n", diagnostics));
  const auto all = diagnostics.take();
  REQUIRE(all.size() == 1);
  CHECK_THAT(workflows::to_text(all.front()), Catch::Contains("store"));
}

TEST_CASE("a model without its key is refused with the variable to set and the way without one") {
  const Routes routes(Config{}, environment({}));
  const auto route = routes.find("deepseek-flash");
  REQUIRE_FALSE(route);
  CHECK_THAT(route.error().message, Catch::Contains("DEEPSEEK_API_KEY") && Catch::Contains("--sim"));
  CHECK_FALSE(routes.refuse("deepseek-flash"));
  CHECK(routes.refuse("no-such-model"));
}

TEST_CASE("WEFT_MODEL_URL answers for every model, and costs what nobody knows") {
  Config config;
  apply_environment(config, environment({{"WEFT_MODEL_URL", "http://127.0.0.1:1/v1"}, {"WEFT_MODEL", "mine"}}));
  const Routes routes(config, environment({{"DEEPSEEK_API_KEY", "k"}}));
  const auto route = routes.find("deepseek-flash");
  REQUIRE(route);
  CHECK(route->endpoint.base_url == "http://127.0.0.1:1/v1");
  CHECK(route->endpoint.key.empty());
  CHECK(route->wire == "mine");
  CHECK_FALSE(routes.price(*route, Time{}));
}

TEST_CASE("a simulated provider is priced as the model it stands for") {
  Config config;
  apply_environment(config, environment({{"WEFT_SIM_URL", "http://127.0.0.1:1/v1"}}));
  const Routes routes(config, environment({}));
  const auto route = routes.find("deepseek-flash");
  REQUIRE(route);
  CHECK(route->simulated);
  CHECK(routes.price(*route, SystemClock().now()));
}

TEST_CASE("a known model at another server has no known price") {
  workflows::Diagnostics diagnostics("weft.yaml");
  const auto moved =
      read_config("providers: {farm: {base_url: http://127.0.0.1:9/v1}}\nmodels: {deepseek-flash: {provider: farm}}\n",
                  diagnostics);
  const auto replaced = read_config("providers: {deepseek: {base_url: http://127.0.0.1:9/v1}}\n", diagnostics);
  for (const auto& config : {moved, replaced}) {
    REQUIRE(config);
    const Routes routes(*config, environment({{"DEEPSEEK_API_KEY", "k"}}));
    const auto route = routes.find("deepseek-flash");
    REQUIRE(route);
    CHECK(route->endpoint.base_url == "http://127.0.0.1:9/v1");
    CHECK_FALSE(routes.price(*route, SystemClock().now()));
  }
}

TEST_CASE("a setting of the wrong kind is an error that names it") {
  for (const char* text : {"tools: 3\n", "tools: {fs: 3}\n", "listen: {a: b}\n", "providers: [a]\n"}) {
    workflows::Diagnostics diagnostics("weft.yaml");
    INFO(text);
    CHECK_FALSE(read_config(text, diagnostics));
  }
}

TEST_CASE("a configuration says how much goes on at once, in whose turn, and how often providers are asked") {
  workflows::Diagnostics diagnostics("weft.yaml");
  const auto config = read_config(
      "limits:\n  runs_at_work_max: 7\n  runs_queued_max: 9\n  model_calls_max: 11\n  fair_by: tenant\n"
      "  by_label:\n    tenant: {runs_at_work_max: 2, model_calls_max: 3, model_calls_per_minute: 4, "
      "tokens_per_minute: 5}\n"
      "providers: {deepseek: {in_flight_max: 6, requests_per_minute: 8, tokens_per_minute: 10}}\n",
      diagnostics);
  REQUIRE(config);
  CHECK(config->limits.runs_at_work_max == 7);
  CHECK(config->limits.runs_queued_max == 9);
  CHECK(config->limits.model_calls_max == 11);
  CHECK(config->fair_by == "tenant");
  REQUIRE(config->by_label.size() == 1);
  const LabelLimits& tenant = config->by_label.front();
  CHECK(tenant.label == "tenant");
  CHECK(tenant.runs_at_work_max == 2);
  CHECK(tenant.model_calls_max == 3);
  CHECK(tenant.model_calls_per_minute == 4);
  CHECK(tenant.tokens_per_minute == 5);
  const model::Provider* provider = config->catalog.provider("deepseek");
  REQUIRE(provider != nullptr);
  CHECK(provider->in_flight_max == 6);
  CHECK(provider->requests_per_minute == 8);
  CHECK(provider->tokens_per_minute == 10);
  CHECK(Config().catalog.provider("deepseek")->in_flight_max == 500);
  for (const char* wrong : {"limits: {runs_at_work_max: 0}", "limits: {by_label: {tenant: 3}}",
                            "limits: {by_label: [a]}", "limits: {by_label: {tenant: {runs_max: 3}}}",
                            "limits: {fair_by: [a]}", "providers: {deepseek: {in_flight_max: many}}"}) {
    INFO(wrong);
    workflows::Diagnostics faults("weft.yaml");
    CHECK_FALSE(read_config(wrong, faults));
  }
}
