// A wire format: how requests to one kind of server are written, where they go, and what its responses mean. All in
// which providers differ stands behind it; agents, turns and results are no provider's.
//
// Invariants:
//  1. The same values give the same bytes, in every process: a replay writes them again and compares.
//  2. A later message changes no byte of an earlier one, so that request k+1 begins with the bytes of request k.
//
// Immutable, thread-safe. Outlives whatever is written with it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/http.h"
#include "base/result.h"
#include "runtime/model/agent_spec.h"
#include "runtime/model/endpoint.h"
#include "runtime/model/message.h"
#include "runtime/model/response_decoder.h"

namespace weft::model {

class Prefix;

class Dialect {
 public:
  // Where a message stands: some formats join the first one to its prefix otherwise than later ones to each other.
  enum class Place : std::uint8_t { kFirst, kLater };

  virtual ~Dialect() = default;
  virtual std::string_view name() const = 0;  // As the catalog's `kind` names it.

  // The bytes with which every request of the agent begins. Its tools are in the order of their wire names, and have
  // passed check_tools(). INVALID_ARGUMENT where the format or the server cannot say it.
  virtual Result<std::string> prefix(const AgentSpec& agent, const Features& features) const = 0;
  // The bytes of one message behind `prefix`, with what joins it to the bytes before.
  virtual std::string user(const Prefix& prefix, Place place, std::string_view text) const = 0;
  virtual std::string turn(const Prefix& prefix, Place place, const Turn& turn) const = 0;
  // All results of one turn, in the order of its calls: some formats want them in one message.
  virtual std::string results(const Prefix& prefix, Place place, std::span<const ToolResult> results) const = 0;
  // What closes a body. Always the same.
  virtual const std::shared_ptr<const std::string>& tail() const = 0;

  // URL and headers, with the key as the server wants it; body and times are the client's.
  virtual HttpRequest request(const Endpoint& endpoint) const = 0;
  virtual std::unique_ptr<ResponseDecoder> decoder(OnProgress on_progress, const DecoderLimits& limits) const = 0;
};

// How requests to one server are written.
struct WireFormat {
  const Dialect* dialect = nullptr;  // Never null where something is written.
  Features features;
};

// By the name that the catalog gives as `kind`; null where this version does not speak it.
const Dialect* find_dialect(std::string_view kind);

}  // namespace weft::model
