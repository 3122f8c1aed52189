// The catalog of known providers, models and dated prices. A file that ships with the program (catalog.yaml, built in)
// and can be replaced; never constants in code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/model/agent_spec.h"
#include "runtime/model/message.h"
#include "workflows/diagnostic.h"

namespace weft::model {

// Pico-dollars (10^-12 $): a price of $0.003625 per million tokens is exactly 3,625 a token, so ledgers add up.
using Money = std::int64_t;
std::string to_usd(Money money);  // "0.000123": a decimal string, never rounded to zero.

// Prices in pico-dollars a token, from a point in time on.
struct Price {
  std::string row;  // "deepseek-flash@2026-09-01/peak": recorded with each call.
  Money input_hit = 0;
  Money input_miss = 0;
  Money input_write = 0;
  Money output = 0;  // Reasoning counts as output.
};

struct Provider {
  std::string name;
  std::string kind = "openai";  // Of its dialect: find_dialect().
  std::string base_url;
  std::string key_env;  // The environment variable that holds the key; may be empty.
  Features features;
  std::uint64_t in_flight_max = 256;
  std::uint64_t requests_per_minute = 0;  // 0: not limited, as below.
  std::uint64_t tokens_per_minute = 0;
};

struct Model {
  std::string name;  // "deepseek-flash"; unique.
  std::string provider;
  std::string wire;           // The name on the wire.
  std::uint64_t context = 0;  // Tokens; 0: unknown.
  std::uint64_t max_output = 0;
  std::vector<std::string> aliases;
};

class Catalog {
 public:
  // Reads the catalog's YAML. Faults go to `diagnostics`.
  static std::optional<Catalog> read(std::string_view yaml, workflows::Diagnostics& diagnostics);
  static const Catalog& built_in();

  // By name, alias, or "PROVIDER/WIRE-NAME" for any model of a known provider. NOT_FOUND names the nearest; a retired
  // name is FAILED_PRECONDITION and names the successor.
  Result<Model> find(std::string_view name) const;
  const Provider* provider(std::string_view name) const;
  // Replaces or adds (from weft.yaml).
  void put(Provider provider);
  void put(Model model);
  // The price in force at `at`; nothing where none is known.
  std::optional<Price> price(std::string_view model, Time at) const;
  std::vector<std::string> names() const;
  const std::vector<Provider>& providers() const { return providers_; }

 private:
  struct Reader;
  struct PriceRow {
    std::string model;
    Time from;
    Price off_peak;
    Price peak;
    bool has_peak = false;
  };
  struct PeakHours {
    int from_minute = 0;  // Of the day, UTC.
    int to_minute = 0;
  };
  std::vector<Provider> providers_;
  std::vector<Model> models_;
  std::vector<std::pair<std::string, std::string>> retired_;
  std::vector<PriceRow> prices_;
  std::vector<PeakHours> peak_hours_;
};

// The cost of a usage at a price; nothing where a count that the price needs is not known.
std::optional<Money> cost(const Usage& usage, const Price& price);

}  // namespace weft::model
