#include "runtime/model/catalog.h"

#include <catch2/catch.hpp>
#include <string>

namespace weft::model {
namespace {

using workflows::Diagnostics;

Time at(int year, unsigned month, unsigned day, int hour = 12, int minute = 0) {
  return Time(std::chrono::sys_days(std::chrono::year(year) / month / day)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute);
}

TEST_CASE("the built-in catalog knows the models, their aliases and any model of a known provider") {
  const Catalog& catalog = Catalog::built_in();
  const Model flash = *catalog.find("deepseek-flash");
  CHECK(flash.provider == "deepseek");
  CHECK(flash.wire == "deepseek-flash");
  CHECK(flash.context == 1'048'576);
  CHECK(flash.max_output == 393'216);
  CHECK(catalog.find("deepseek-v4-flash")->name == "deepseek-flash");
  CHECK(catalog.find("deepseek/deepseek-v4-flash")->name == "deepseek-flash");
  CHECK(catalog.find("deepseek-v4-pro")->name == "deepseek-v4-pro");
  const Model local = *catalog.find("local/qwen3");
  CHECK(local.provider == "local");
  CHECK(local.wire == "qwen3");
  CHECK(catalog.find("openrouter/deepseek/deepseek-v4-pro")->wire == "deepseek/deepseek-v4-pro");
  const auto names = catalog.names();
  CHECK(std::find(names.begin(), names.end(), "deepseek-v4-pro") != names.end());
}

TEST_CASE("an unknown model's error names the nearest, and a retired one's its successor") {
  const Catalog& catalog = Catalog::built_in();
  const auto unknown = catalog.find("deepseek-flsh");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == Code::kNotFound);
  CHECK(unknown.error().message.find("deepseek-flash") != std::string::npos);
  CHECK(catalog.find("nobody/x").error().code == Code::kNotFound);
  CHECK(catalog.find("local/").error().code == Code::kNotFound);
  CHECK(catalog.find("").error().code == Code::kNotFound);
  for (const char* name : {"deepseek-chat", "deepseek-reasoner", "deepseek/deepseek-chat"}) {
    const auto retired = catalog.find(name);
    REQUIRE_FALSE(retired);
    CHECK(retired.error().code == Code::kFailedPrecondition);
    CHECK(retired.error().message.find("\"deepseek-flash\"") != std::string::npos);
  }
  CHECK(catalog.find("openrouter/deepseek-chat"));  // Another provider's name.
}

TEST_CASE("providers say what they understand") {
  const Catalog& catalog = Catalog::built_in();
  const Provider* deepseek = catalog.provider("deepseek");
  REQUIRE(deepseek != nullptr);
  CHECK(deepseek->base_url == "https://api.deepseek.com");
  CHECK(deepseek->key_env == "DEEPSEEK_API_KEY");
  CHECK(deepseek->features.thinking_switch);
  CHECK(deepseek->features.reasoning_replay);
  CHECK(deepseek->features.user_id);
  CHECK(deepseek->features.max_tokens_field == "max_tokens");
  CHECK(catalog.provider("openai")->features.max_tokens_field == "max_completion_tokens");
  CHECK_FALSE(catalog.provider("openai")->features.thinking_switch);
  CHECK(catalog.provider("local")->base_url == "http://127.0.0.1:8080/v1");
  CHECK(catalog.provider("local")->key_env.empty());
  CHECK(catalog.provider("sim") != nullptr);
  CHECK(catalog.provider("openrouter") != nullptr);
  CHECK(catalog.provider("nobody") == nullptr);
}

TEST_CASE("the price in force depends on the date, the hour and the day of the week") {
  const Catalog& catalog = Catalog::built_in();
  const auto row = [&](const char* model, Time when) {
    const auto price = catalog.price(model, when);
    return price ? price->row : std::string("none");
  };
  CHECK(row("deepseek-flash", at(2026, 4, 23)) == "none");
  CHECK(row("deepseek-flash", at(2026, 4, 24, 0)) == "deepseek-flash@2026-04-24");
  CHECK(row("deepseek-flash", at(2026, 4, 26, 12, 14)) == "deepseek-flash@2026-04-24");
  CHECK(row("deepseek-flash", at(2026, 4, 26, 12, 15)) == "deepseek-flash@2026-04-26");
  CHECK(row("deepseek-v4-pro", at(2026, 8, 16, 15, 59)) == "deepseek-v4-pro@2026-04-26");
  CHECK(row("deepseek-v4-pro", at(2026, 8, 16, 16)) == "deepseek-v4-pro@2026-08-16/off-peak");
  CHECK(row("deepseek-v4-pro", at(2026, 8, 17, 1)) == "deepseek-v4-pro@2026-08-16/peak");
  // Friday, 2026-11-20.
  CHECK(row("deepseek-flash", at(2026, 11, 20, 0, 59)) == "deepseek-flash@2026-09-01/off-peak");
  CHECK(row("deepseek-flash", at(2026, 11, 20, 1, 0)) == "deepseek-flash@2026-09-01/peak");
  CHECK(row("deepseek-flash", at(2026, 11, 20, 3, 59)) == "deepseek-flash@2026-09-01/peak");
  CHECK(row("deepseek-flash", at(2026, 11, 20, 4, 0)) == "deepseek-flash@2026-09-01/off-peak");
  CHECK(row("deepseek-v4-flash", at(2026, 11, 20, 9, 59)) == "deepseek-flash@2026-09-01/peak");
  CHECK(row("deepseek-flash", at(2026, 11, 20, 10, 0)) == "deepseek-flash@2026-09-01/off-peak");
  CHECK(row("deepseek-flash", at(2026, 11, 21, 2)) == "deepseek-flash@2026-09-01/off-peak");  // Saturday.
  CHECK(row("deepseek-flash", at(2026, 11, 22, 2)) == "deepseek-flash@2026-09-01/off-peak");
  CHECK(row("local/qwen3", at(2026, 11, 20)) == "none");
  CHECK(row("nobody", at(2026, 11, 20)) == "none");
}

TEST_CASE("prices are exact") {
  const Catalog& catalog = Catalog::built_in();
  const auto price = [&](const char* model, Time when) {
    const Price p = *catalog.price(model, when);
    return std::vector<Money>{p.input_hit, p.input_miss, p.output};
  };
  using Row = std::vector<Money>;
  CHECK(price("deepseek-flash", at(2026, 4, 25)) == Row{28'000, 140'000, 280'000});
  CHECK(price("deepseek-v4-pro", at(2026, 4, 25)) == Row{145'000, 1'740'000, 3'480'000});
  CHECK(price("deepseek-flash", at(2026, 7, 1)) == Row{2'800, 140'000, 280'000});
  CHECK(price("deepseek-v4-pro", at(2026, 7, 1)) == Row{3'625, 435'000, 870'000});
  CHECK(price("deepseek-flash", at(2026, 8, 20, 12)) == Row{7'000, 220'000, 660'000});
  CHECK(price("deepseek-flash", at(2026, 8, 20, 2)) == Row{14'000, 440'000, 1'320'000});
  CHECK(price("deepseek-v4-pro", at(2026, 8, 20, 12)) == Row{22'000, 660'000, 1'980'000});
  CHECK(price("deepseek-flash", at(2026, 11, 20, 12)) == Row{3'000, 150'000, 600'000});
  CHECK(price("deepseek-flash", at(2026, 11, 20, 2)) == Row{6'000, 300'000, 1'200'000});
  CHECK(price("deepseek-v4-pro", at(2026, 11, 20, 12)) == Row{22'000, 660'000, 1'980'000});
}

TEST_CASE("a cost is the exact sum of its counts, and nothing where one is not known") {
  const Price price{"p", 3'000, 150'000, 0, 600'000};
  const auto some = [](std::uint64_t n) { return std::optional<std::uint64_t>(n); };
  CHECK(cost({some(1000), some(10), {}, some(5), some(2)}, price) == 3'000'000 + 1'500'000 + 4'200'000);
  CHECK(cost({some(1000), some(10), {}, some(7), {}}, price) == 8'700'000);
  CHECK(cost({some(0), some(1), some(2), some(0), {}}, price) == 450'000);
  CHECK_FALSE(cost({{}, some(10), {}, some(5), {}}, price));
  CHECK_FALSE(cost({some(1), {}, {}, some(5), {}}, price));
  CHECK_FALSE(cost({some(1), some(1), {}, {}, {}}, price));
  CHECK_FALSE(cost({}, price));
  CHECK(cost({}, Price{}) == 0);
  const Price writes{"w", 1, 10, 12, 100};
  CHECK(cost({some(1), some(1), some(1), some(1), {}}, writes) == 123);
  CHECK_FALSE(cost({some(1), some(1), {}, some(1), {}}, writes));
  CHECK_FALSE(cost({some(1ull << 62), some(1), {}, some(5), {}}, price));
  CHECK_FALSE(cost({some(~0ull), some(1), {}, some(5), {}}, price));
}

TEST_CASE("money is written as dollars to its last digit") {
  CHECK(to_usd(0) == "0");
  CHECK(to_usd(1) == "0.000000000001");
  CHECK(to_usd(123'000'000) == "0.000123");
  CHECK(to_usd(3'625) == "0.000000003625");
  CHECK(to_usd(1'500'000'000'000) == "1.5");
  CHECK(to_usd(2'000'000'000'000) == "2");
  CHECK(to_usd(-1'010'000'000'000) == "-1.01");
  CHECK(to_usd(INT64_MAX) == "9223372.036854775807");
  CHECK(to_usd(INT64_MIN) == "-9223372.036854775808");
}

TEST_CASE("providers and models can be replaced and added") {
  Catalog catalog = Catalog::built_in();
  Provider provider = *catalog.provider("local");
  provider.base_url = "http://127.0.0.1:9/v1";
  catalog.put(provider);
  CHECK(catalog.provider("local")->base_url == "http://127.0.0.1:9/v1");
  Model model;
  model.name = "mine";
  model.provider = "local";
  model.wire = "m";
  catalog.put(model);
  model.wire = "n";
  catalog.put(model);
  CHECK(catalog.find("mine")->wire == "n");
  CHECK(catalog.names().size() == Catalog::built_in().names().size() + 1);
}

TEST_CASE("a model of one's own takes a second name away from the one that had it") {
  Catalog catalog = Catalog::built_in();
  Model model;
  model.name = "deepseek-v4-flash";
  model.provider = "local";
  model.wire = "flash";
  catalog.put(model);
  CHECK(catalog.find("deepseek-v4-flash")->provider == "local");
  CHECK(catalog.find("deepseek-flash")->provider == "deepseek");
}

TEST_CASE("a model that is another one on the wire has not the old one's price") {
  Catalog catalog = Catalog::built_in();
  Model model = *catalog.find("deepseek-flash");
  REQUIRE(catalog.price("deepseek-flash", at(2026, 11, 20)));
  model.wire = "deepseek-v4-pro";
  catalog.put(model);
  CHECK_FALSE(catalog.price("deepseek-flash", at(2026, 11, 20)));
  CHECK(catalog.find("deepseek/deepseek-v4-pro")->name == "deepseek-v4-pro");
}

TEST_CASE("a catalog with a fault is refused with its place") {
  const auto codes = [](std::string_view yaml) {
    Diagnostics diagnostics("c.yaml");
    const auto catalog = Catalog::read(yaml, diagnostics);
    std::string out;
    for (const auto& d : diagnostics.take()) out += d.code + "@" + std::to_string(d.mark.line) + " ";
    CHECK(catalog.has_value() == out.empty());
    return out;
  };
  CHECK(codes("providers: {p: {base_url: x}}\nmodels: {m: {provider: p}}\n").empty());
  CHECK(codes("providers:\n  p: {base_ur: x}\n").find("unknown-key@2") != std::string::npos);
  CHECK(codes("providers:\n  p: {base_ur: x}\n").find("missing-key@2") != std::string::npos);
  CHECK(codes("models:\n  m: {provider: q}\n") == "unknown-provider@2 ");
  CHECK(codes("retired:\n  a: b\n") == "unknown-model@2 ");
  CHECK(codes("peak_hours: [\"04:00-01:00\"]\n") == "type@1 ");
  CHECK(codes("peak_hours: [\"25:00-26:00\"]\n") == "type@1 ");
  const std::string model = "providers: {p: {base_url: x}}\nmodels: {m: {provider: p}}\nprices:\n  - ";
  CHECK(codes(model + "{model: m, from: \"2026-04-26T12:15:00Z\", hit: 1, miss: 2, output: 0.000001}\n").empty());
  CHECK(codes(model + "{model: x, from: \"2026-04-26T12:15:00Z\", hit: 1, miss: 2, output: 3}\n") ==
        "unknown-model@4 ");
  CHECK(codes(model + "{model: m, from: \"2026-04-26\", hit: 1, miss: 2, output: 3}\n") == "type@4 ");
  CHECK(codes(model + "{model: m, from: \"2026-02-30T12:15:00Z\", hit: 1, miss: 2, output: 3}\n") == "type@4 ");
  CHECK(codes(model + "{model: m, from: \"2026-04-26T12:15:00Z\", hit: 0.0000001, miss: 2, output: 3}\n") == "type@4 ");
  CHECK(codes(model + "{model: m, from: \"2026-04-26T12:15:00Z\", hit: -1, miss: 2, output: 3}\n") == "type@4 ");
  CHECK(codes(model + "{model: m, from: \"2026-04-26T12:15:00Z\", hit: 1, miss: 2}\n") == "missing-key@4 ");
  CHECK(codes(model + "{model: m, from: \"2026-04-26T12:15:00Z\", hit: 1, miss: 2, output: 3, peak: 0}\n") ==
        "type@4 ");
  CHECK(codes("7\n") == "type@1 ");
  CHECK_FALSE(codes("a: [\n").empty());
}

}  // namespace
}  // namespace weft::model
