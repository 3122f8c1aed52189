#include "runtime/engine/config.h"

#include <catch2/catch.hpp>
#include <map>

#include "runtime/engine/config_keys.h"
#include "runtime/engine/routing/routes.h"

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
  const admission::LabelLimits& tenant = config->by_label.front();
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

namespace {

// A file that sets one key of the table, with what else it needs to be valid.
std::string file_with(std::string_view path) {
  const auto value = [&]() -> std::string {
    if (path.ends_with("secrets")) return "[TOKEN]";
    if (path.ends_with("drain") || path.ends_with("decide_max") || path.starts_with("retention")) return "1s";
    if (path.ends_with("kind")) return "openai";
    if (path == "models.*.provider") return "deepseek";
    const bool is_flag =
        path.ends_with("thinking_switch") || path.ends_with("reasoning_replay") || path.ends_with("user_id");
    return is_flag ? "true" : "1";
  }();
  std::string text;
  std::string indent;
  std::string rest(path);
  for (std::size_t dot = rest.find('.'); dot != std::string::npos; dot = rest.find('.')) {
    const std::string part = rest.substr(0, dot);
    text += indent + (part == "*" ? "a.name" : part) + ":\n";
    indent += "  ";
    rest.erase(0, dot + 1);
  }
  text += indent + (rest == "*" ? "a.name" : rest) + ": " + value + "\n";
  if (path.starts_with("providers") && rest != "base_url") text += indent + "base_url: http://127.0.0.1:1\n";
  if (path.starts_with("models") && rest != "provider") text += indent + "provider: deepseek\n";
  return text;
}

std::vector<std::string> needing_trust(const std::string& text) {
  workflows::Diagnostics diagnostics("weft.yaml");
  const auto config = read_config(text, diagnostics);
  INFO(text);
  REQUIRE(config);
  return keys_that_need_trust(text, *config);
}

}  // namespace

TEST_CASE("each key of the table is one that the loader reads, and needs trust unless it lowers a limit") {
  REQUIRE(config_keys().size() >= 30);
  for (const ConfigKey& key : config_keys()) {
    CAPTURE(key.path);
    CHECK(find_config_key(key.path) == &key);
    const std::vector<std::string> keys = needing_trust(file_with(key.path));
    if (key.trust == Trust::kLowerOnly) {
      CHECK(key.path.starts_with("limits."));
      CHECK(keys.empty());
    } else {
      REQUIRE_FALSE(keys.empty());
      CHECK_FALSE(key.raises);
    }
  }
  // A map of every room is there, so the loader asks for every key that it knows; one outside the table ends it.
  std::string all;
  for (const char* room : {"tools: {fs: {}}", "policy: {}", "retention: {workflows: {}}", "limits: {by_label: {a: {}}}",
                           "providers: {deepseek: {}}", "models: {m: {provider: deepseek}}"}) {
    all += std::string(room) + "\n";
  }
  workflows::Diagnostics diagnostics("weft.yaml");
  CHECK(read_config(all, diagnostics));
}

TEST_CASE("a found file may lower limits, and needs trust for what raises them or is something else") {
  CHECK(needing_trust("").empty());
  CHECK(needing_trust("limits: {runs_at_work_max: 20000, drain: 30s, crashes_max: 5}").empty());
  CHECK(needing_trust("limits: {runs_at_work_max: 20001}") == std::vector<std::string>{"limits.runs_at_work_max"});
  CHECK(needing_trust("limits: {runs_queued_max: 100001, model_calls_max: 7}") ==
        std::vector<std::string>{"limits.runs_queued_max"});
  CHECK(needing_trust("limits: {model_calls_max: 11001}") == std::vector<std::string>{"limits.model_calls_max"});
  CHECK(needing_trust("limits: {drain: 31s}") == std::vector<std::string>{"limits.drain"});
  CHECK(needing_trust("limits: {crashes_max: 6}") == std::vector<std::string>{"limits.crashes_max"});
  CHECK(needing_trust("limits: {crashes_max: 0}") == std::vector<std::string>{"limits.crashes_max"});
  CHECK(needing_trust("limits: {fair_by: tenant}") == std::vector<std::string>{"limits.fair_by"});
  CHECK(needing_trust("limits: {by_label: {a.b: {model_calls_max: 3}}}").empty());
  CHECK(needing_trust("retention: {default: 1s, workflows: {a.b: 2s}}") ==
        std::vector<std::string>{"retention.default", "retention.workflows.a.b"});
  CHECK(needing_trust("policy: {secrets: [A]}\nlimits: {drain: 1s}\nstore: x") ==
        std::vector<std::string>{"policy.secrets", "store"});
  // A provider that is named and no more is another than the catalog's: its prices are not known.
  CHECK(needing_trust("providers: {deepseek: {}}") == std::vector<std::string>{"providers.deepseek"});
  CHECK(needing_trust("limits: {by_label: {tenant: {}}}").empty());
  // What stands in no row.
  workflows::Diagnostics diagnostics("weft.yaml");
  CHECK(keys_that_need_trust("futures: {a: 1}", Config{}) == std::vector<std::string>{"futures"});
  CHECK(keys_that_need_trust("limits: {later_max: 1}", Config{}) == std::vector<std::string>{"limits.later_max"});
}

TEST_CASE("a proxy of the environment is for hosted models, never for this machine") {
  const auto endpoint = [](const char* url, const std::map<std::string, std::string>& variables) {
    Config config;
    config.model_url = url;
    const auto route = Routes(config, environment(variables)).find("deepseek-flash");
    REQUIRE(route);
    return route->endpoint;
  };
  const std::map<std::string, std::string> all = {{"http_proxy", "http://p:1"},
                                                  {"https_proxy", "http://p:2"},
                                                  {"ALL_PROXY", "socks5://p:3"},
                                                  {"no_proxy", ".corp"}};
  CHECK(endpoint("http://10.0.0.5:8000/v1", all).proxy == "http://p:1");
  CHECK(endpoint("https://models.example/v1", all).proxy == "http://p:2");
  CHECK(endpoint("https://models.example/v1", all).no_proxy == ".corp");
  CHECK(endpoint("https://models.example/v1", {{"ALL_PROXY", "socks5://p:3"}}).proxy == "socks5://p:3");
  // A web server makes this one of a request's header.
  CHECK(endpoint("http://10.0.0.5:8000/v1", {{"HTTP_PROXY", "http://p:4"}}).proxy.empty());
  for (const char* url :
       {"http://127.0.0.1:8080/v1", "http://localhost:8080/v1", "http://127.1/v1", "http://[::1]/v1"}) {
    CAPTURE(url);
    CHECK(endpoint(url, all).proxy.empty());
  }
  const Routes hosted(Config{}, environment({{"DEEPSEEK_API_KEY", "k"}, {"https_proxy", "http://p:2"}}));
  CHECK(hosted.find("deepseek-flash")->endpoint.proxy == "http://p:2");
}
