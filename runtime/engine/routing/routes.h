// The table of routes: from the name of a model to the endpoint and the price of its calls, by catalog, configuration
// and environment.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/engine/config.h"
#include "runtime/engine/routing/router.h"

namespace weft::engine {

// Immutable, thread-safe.
class Routes final : public Router {
 public:
  Routes(Config config, Getenv environment);

  // A model has one way: the same whoever asks.
  Result<Route> route(const RouteQuery& query) const override { return find(query.model); }
  std::optional<model::Price> price(const Route& route, Time at) const override;
  std::optional<model::Price> list_price(const std::string& model, Time at) const override;

  // The way to a model now; errors as of route().
  Result<Route> find(const std::string& model) const;
  // How requests to a model of a provider are written, both as a run recorded them.
  model::WireFormat recorded_format(const std::string& provider, const std::string& model) const;
  // The sentence for the checker where find() would fail for another reason than a missing key.
  std::optional<std::string> refuse(const std::string& model) const;

 private:
  Config config_;
  Getenv environment_;
};

}  // namespace weft::engine
