// Where a model call goes. Asked for each call anew, so that whatever decides it (today a table) may decide otherwise
// for the next one.
//
// Immutable, thread-safe.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "runtime/model/catalog.h"
#include "runtime/model/dialect.h"
#include "runtime/model/endpoint.h"
#include "weft/v1/runs.pb.h"
#include "workflows/workflow.h"

namespace weft::engine {

struct Route {
  std::string provider;
  std::string model;         // As the catalog knows it.
  std::string wire;          // The name on the wire.
  model::WireFormat format;  // How requests to it are written.
  model::Endpoint endpoint;  // With the key, read at this moment.
  bool simulated = false;
};

// What is asked for one call.
struct RouteQuery {
  const std::string& model;  // The agent's, or what a fork says in its place.
  const workflows::Agent& agent;
  const v1::Run& run;  // What its events say so far.
};

class Router {
 public:
  virtual ~Router() = default;
  // The way now, or why there is none: NOT_FOUND (unknown model, the nearest named), FAILED_PRECONDITION (retired; or
  // no key: the sentence says which variable to set, and that --sim runs without).
  virtual Result<Route> route(const RouteQuery& query) const = 0;
  // What a call that goes this way costs at this time; nothing where it is not known.
  virtual std::optional<model::Price> price(const Route& route, Time at) const = 0;
  // What the catalog says of a model, wherever calls go now.
  virtual std::optional<model::Price> list_price(const std::string& model, Time at) const = 0;
};

}  // namespace weft::engine
