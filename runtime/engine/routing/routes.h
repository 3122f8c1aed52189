// Routes: from the name of a model in a workflow to the endpoint and the price of its calls.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/engine/config.h"
#include "runtime/model/catalog.h"
#include "runtime/model/client.h"
#include "runtime/model/prefix.h"

namespace weft::engine {

struct Route {
  std::string provider;
  std::string model;  // As the catalog knows it.
  std::string wire;   // The name on the wire.
  model::WireFormat format;
  model::Endpoint endpoint;  // With the key, read at this moment.
  bool simulated = false;
};

// Immutable, thread-safe.
class Routes {
 public:
  Routes(Config config, Getenv environment);
  // The way to a model now. Errors: NOT_FOUND (unknown model, the nearest named), FAILED_PRECONDITION (retired; or no
  // key: the sentence says which variable to set, and that --sim runs without).
  Result<Route> find(const std::string& model) const;
  // How requests to a model of a provider are written, both as a run recorded them.
  model::WireFormat recorded_format(const std::string& provider, const std::string& model) const;
  // The sentence for the checker where find() would fail for another reason than a missing key.
  std::optional<std::string> refuse(const std::string& model) const;
  std::optional<model::Price> price(const Route& route, Time at) const;
  // What the catalog says of a model, wherever calls go now.
  std::optional<model::Price> list_price(const std::string& model, Time at) const;

 private:
  Config config_;
  Getenv environment_;
};

}  // namespace weft::engine
