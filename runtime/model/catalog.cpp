#include "runtime/model/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "runtime/model/catalog_text.h"

namespace weft::model {
namespace {

using workflows::Diagnostics;

std::optional<Money> times(Money price, const std::optional<std::uint64_t>& count) {
  if (price == 0) return 0;  // What costs nothing need not be counted.
  Money product = 0;
  if (!count || *count > static_cast<std::uint64_t>(std::numeric_limits<Money>::max()) ||
      __builtin_mul_overflow(price, static_cast<Money>(*count), &product)) {
    return {};
  }
  return product;
}

}  // namespace

std::string to_usd(Money money) {
  constexpr std::uint64_t kDollar = 1'000'000'000'000;
  const bool negative = money < 0;
  const std::uint64_t amount =
      negative ? std::uint64_t{0} - static_cast<std::uint64_t>(money) : static_cast<std::uint64_t>(money);
  std::string out = fmt::format("{}{}", negative ? "-" : "", amount / kDollar);
  if (amount % kDollar == 0) return out;
  std::string fraction = fmt::format("{:012}", amount % kDollar);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return out + '.' + fraction;
}

std::optional<Money> cost(const Usage& usage, const Price& price) {
  const auto hit = times(price.input_hit, usage.input_hit);
  const auto miss = times(price.input_miss, usage.input_miss);
  // Where writing to the cache has no price of its own, what is written is input like other input.
  const bool priced = price.input_write != 0;
  const auto write = priced || usage.input_write
                         ? times(priced ? price.input_write : price.input_miss, usage.input_write)
                         : std::optional<Money>(0);
  const auto output = times(price.output, usage.output);
  const auto reasoning = usage.reasoning ? times(price.output, usage.reasoning) : std::optional<Money>(0);
  Money sum = 0;
  for (const auto& part : {hit, miss, write, output, reasoning}) {
    if (!part || __builtin_add_overflow(sum, *part, &sum)) return {};
  }
  return sum;
}

const Catalog& Catalog::built_in() {
  static const Catalog kCatalog = [] {
    Diagnostics diagnostics("catalog.yaml");
    std::optional<Catalog> catalog = read(kCatalogText, diagnostics);
    if (!catalog) {
      const auto found = diagnostics.take();
      die(found.empty() ? "the built-in catalog cannot be read" : workflows::to_text(found.front()));
    }
    return *std::move(catalog);
  }();
  return kCatalog;
}

Result<Model> Catalog::find(std::string_view name) const {
  const auto retired = [&](std::string_view old) -> std::optional<Error> {
    for (const auto& [gone, successor] : retired_) {
      if (gone == old) {
        return failed_precondition(fmt::format("the model \"{}\" is retired; its successor is \"{}\"", gone, successor))
            .with("successor", successor);
      }
    }
    return {};
  };
  const auto is_called = [](const Model& model, std::string_view wanted) {
    return model.name == wanted || std::find(model.aliases.begin(), model.aliases.end(), wanted) != model.aliases.end();
  };
  for (const Model& model : models_) {
    if (is_called(model, name)) return model;
  }
  if (auto error = retired(name)) return *std::move(error);

  const std::size_t slash = name.find('/');
  if (slash != std::string_view::npos && slash + 1 < name.size()) {
    const std::string_view wire = name.substr(slash + 1);
    if (const Provider* const owner = provider(name.substr(0, slash))) {
      for (const Model& model : models_) {
        if (model.provider == owner->name && is_called(model, wire)) return model;
      }
      for (const Model& model : models_) {
        if (model.provider == owner->name && model.wire == wire) return model;
      }
      for (const auto& [gone, successor] : retired_) {
        const Result<Model> next = find(successor);
        if (gone == wire && next && next->provider == owner->name) return *retired(wire);
      }
      Model model;
      model.name = name;
      model.provider = owner->name;
      model.wire = wire;
      return model;
    }
  }
  std::vector<std::string> candidates = names();
  for (const Model& model : models_) candidates.insert(candidates.end(), model.aliases.begin(), model.aliases.end());
  const std::string near = workflows::nearest(std::string(name), candidates);
  std::string message = fmt::format("there is no model \"{}\"", printable(name));
  if (!near.empty()) message += fmt::format("; did you mean \"{}\"?", near);
  return not_found(std::move(message)).with("nearest", near);
}

const Provider* Catalog::provider(std::string_view name) const {
  const auto found =
      std::find_if(providers_.begin(), providers_.end(), [&](const Provider& p) { return p.name == name; });
  return found == providers_.end() ? nullptr : &*found;
}

void Catalog::put(Provider provider) {
  const auto found =
      std::find_if(providers_.begin(), providers_.end(), [&](const Provider& p) { return p.name == provider.name; });
  if (found == providers_.end()) {
    providers_.push_back(std::move(provider));
    return;
  }
  if (found->base_url != provider.base_url) {
    // Prices are an endpoint's: what another server of that name costs is not known.
    std::erase_if(prices_, [&](const PriceRow& row) {
      return std::any_of(models_.begin(), models_.end(),
                         [&](const Model& m) { return m.name == row.model && m.provider == provider.name; });
    });
  }
  *found = std::move(provider);
}

void Catalog::put(Model model) {
  // The name is this model's now, also where it was another one's second name.
  for (Model& other : models_) std::erase(other.aliases, model.name);
  const auto found = std::find_if(models_.begin(), models_.end(), [&](const Model& m) { return m.name == model.name; });
  if (found == models_.end()) {
    models_.push_back(std::move(model));
    return;
  }
  if (found->provider != model.provider || found->wire != model.wire)
    std::erase_if(prices_, [&](const PriceRow& row) { return row.model == model.name; });
  if (model.aliases.empty()) model.aliases = found->aliases;
  *found = std::move(model);
}

std::optional<Price> Catalog::price(std::string_view model, Time at) const {
  const Result<Model> found = find(model);
  if (!found) return {};
  const PriceRow* row = nullptr;
  for (const PriceRow& candidate : prices_) {
    if (candidate.model != found->name || candidate.from > at) continue;
    if (row == nullptr || candidate.from >= row->from) row = &candidate;
  }
  if (row == nullptr) return {};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::weekday weekday(day);
  const bool workday = weekday != std::chrono::Saturday && weekday != std::chrono::Sunday;
  const auto minute = std::chrono::duration_cast<std::chrono::minutes>(at - day).count();
  const bool in_peak = workday && std::any_of(peak_hours_.begin(), peak_hours_.end(), [&](const PeakHours& hours) {
                         return minute >= hours.from_minute && minute < hours.to_minute;
                       });
  return row->has_peak && in_peak ? row->peak : row->off_peak;
}

std::vector<std::string> Catalog::names() const {
  std::vector<std::string> out;
  for (const Model& model : models_) out.push_back(model.name);
  return out;
}

}  // namespace weft::model
