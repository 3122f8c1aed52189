// The catalog's YAML.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "runtime/model/catalog.h"
#include "runtime/model/dialect.h"
#include "workflows/yaml.h"

namespace weft::model {
namespace {

using workflows::Diagnostics;
using yaml::Node;

constexpr int kPeakFactorMax = 100;

// Takes `length` digits from the front of `text`; -1 where they are none.
int take_number(std::string_view& text, std::size_t length) {
  int value = -1;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + std::min(length, text.size()), value);
  if (error != std::errc() || stop != text.data() + length || value < 0) return -1;
  text.remove_prefix(length);
  return value;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// "2026-04-26T12:15:00Z"
std::optional<Time> read_time(std::string_view text) {
  const int year = take_number(text, 4);
  if (!take(text, '-')) return {};
  const int month = take_number(text, 2);
  if (!take(text, '-')) return {};
  const int day = take_number(text, 2);
  if (!take(text, 'T')) return {};
  const int hour = take_number(text, 2);
  if (!take(text, ':')) return {};
  const int minute = take_number(text, 2);
  if (!take(text, ':')) return {};
  const int second = take_number(text, 2);
  if (text != "Z" || year < 0 || month < 0 || day < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 59) {
    return {};
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return {};
  return Time(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

// "01:00-04:00" in minutes of the day.
std::optional<std::pair<int, int>> read_hours(std::string_view text) {
  const auto moment = [&] {
    const int hour = take_number(text, 2);
    if (hour < 0 || !take(text, ':')) return -1;
    const int minute = take_number(text, 2);
    return minute < 0 || minute > 59 || hour * 60 + minute > 24 * 60 ? -1 : hour * 60 + minute;
  };
  const int from = moment();
  if (from < 0 || !take(text, '-')) return {};
  const int to = moment();
  if (to <= from || !text.empty()) return {};
  return std::pair(from, to);
}

// Dollars per million tokens, as a decimal, are pico-dollars a token times 10^-6: the digits are only moved.
std::optional<Money> read_price(std::string_view text) {
  constexpr std::size_t kFraction = 6;
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  if (whole.empty() || whole.size() > 6 || fraction.size() > kFraction) return {};
  std::string digits(whole);
  digits += fraction;
  digits.append(kFraction - fraction.size(), '0');
  Money money = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return {};
    money = money * 10 + (c - '0');
  }
  return money;
}

// Reads the members of one map and says what is wrong with them.
class Members {
 public:
  Members(const Node& map, std::string what, Diagnostics& diagnostics)
      : map_(map), what_(std::move(what)), diagnostics_(diagnostics) {}

  enum class Need : std::uint8_t { kRequired, kOptional };

  std::string text(const char* key, Need need) {
    const Node* node = scalar(key, need);
    return node == nullptr ? std::string() : node->text;
  }
  bool flag(const char* key) {
    const Node* node = scalar(key, Need::kOptional);
    if (node == nullptr) return false;
    const auto value = node->as_bool();
    if (!value) wrong(*node, key, "true or false");
    return value.value_or(false);
  }
  std::uint64_t count(const char* key, std::uint64_t otherwise) {
    const Node* node = scalar(key, Need::kOptional);
    if (node == nullptr) return otherwise;
    const auto value = node->as_integer();
    if (!value || *value < 0) {
      wrong(*node, key, "a whole number from 0");
      return otherwise;
    }
    return static_cast<std::uint64_t>(*value);
  }
  // Absent is 0, unless it is needed.
  Money price(const char* key, Need need) {
    const Node* node = scalar(key, need);
    if (node == nullptr) return 0;
    const auto value = read_price(node->text);
    if (!value) wrong(*node, key, "dollars per million tokens, with at most six digits after the point");
    return value.value_or(0);
  }
  void wrong(const Node& node, const char* key, std::string_view expected) {
    diagnostics_.error(node.mark, "type", fmt::format("{} of {} must be {}", key, what_, expected), {}, node.text);
  }
  void end() { yaml::refuse_unused(map_, what_, known_, diagnostics_); }

  const Node* get(const char* key) {
    known_.emplace_back(key);
    return map_.get(key);
  }

 private:
  const Node* scalar(const char* key, Need need) {
    const Node* node = get(key);
    if (node == nullptr) {
      if (need == Need::kRequired) {
        diagnostics_.error(map_.mark, "missing-key", fmt::format("{} must say {}", what_, key));
      }
      return nullptr;
    }
    if (!node->is_scalar()) {
      wrong(*node, key, "one value");
      return nullptr;
    }
    return node;
  }

  const Node& map_;
  std::string what_;
  Diagnostics& diagnostics_;
  std::vector<std::string> known_;
};

using Need = Members::Need;

// Calls `each` with the name and the map of each member of the map under `key`.
template <class Each>
void each_map(Members& top, const char* key, Diagnostics& diagnostics, Each&& each) {
  const Node* const node = top.get(key);
  if (node == nullptr) return;
  if (!node->is_map()) return top.wrong(*node, key, "a map of names");
  for (const Node::Member& member : node->members) {
    member.used = true;
    if (member.value->is_map()) {
      each(member.key, *member.value);
    } else {
      diagnostics.error(member.key_mark, "type", fmt::format("\"{}\" under {} must be a map", member.key, key));
    }
  }
}

Provider read_provider(const std::string& name, const Node& map, Diagnostics& diagnostics) {
  Members members(map, fmt::format("the provider \"{}\"", name), diagnostics);
  Provider provider;
  provider.name = name;
  if (std::string kind = members.text("kind", Need::kOptional); !kind.empty()) {
    if (find_dialect(kind) == nullptr)
      diagnostics.error(
          map.mark, "later",
          fmt::format("the provider \"{}\" speaks \"{}\", which this version of weft does not", name, kind));
    provider.kind = std::move(kind);
  }
  provider.base_url = members.text("base_url", Need::kRequired);
  provider.key_env = members.text("key_env", Need::kOptional);
  provider.features.thinking_switch = members.flag("thinking_switch");
  provider.features.reasoning_replay = members.flag("reasoning_replay");
  provider.features.user_id = members.flag("user_id");
  if (std::string field = members.text("max_tokens_field", Need::kOptional); !field.empty()) {
    provider.features.max_tokens_field = std::move(field);
  }
  provider.in_flight_max = members.count("in_flight_max", provider.in_flight_max);
  provider.requests_per_minute = members.count("requests_per_minute", provider.requests_per_minute);
  provider.tokens_per_minute = members.count("tokens_per_minute", provider.tokens_per_minute);
  members.end();
  return provider;
}

Model read_model(const std::string& name, const Node& map, Diagnostics& diagnostics) {
  Members members(map, fmt::format("the model \"{}\"", name), diagnostics);
  Model model;
  model.name = name;
  model.provider = members.text("provider", Need::kRequired);
  model.wire = members.text("wire", Need::kOptional);
  if (model.wire.empty()) model.wire = name;
  model.context = members.count("context", 0);
  model.max_output = members.count("max_output", 0);
  if (const Node* aliases = members.get("aliases")) {
    if (!aliases->is_sequence()) members.wrong(*aliases, "aliases", "a list of names");
    for (const auto& alias : aliases->items) model.aliases.push_back(alias->text);
  }
  members.end();
  return model;
}

}  // namespace

struct Catalog::Reader {
  Catalog& catalog;
  Diagnostics& diagnostics;

  void read(const Node& root) {
    Members top(root, "the catalog", diagnostics);
    each_map(top, "providers", diagnostics,
             [&](const std::string& name, const Node& map) { catalog.put(read_provider(name, map, diagnostics)); });
    each_map(top, "models", diagnostics, [&](const std::string& name, const Node& map) {
      Model model = read_model(name, map, diagnostics);
      if (catalog.provider(model.provider) == nullptr) {
        diagnostics.error(
            map.mark, "unknown-provider",
            fmt::format("the model \"{}\" names the provider \"{}\", which there is not", name, model.provider));
      }
      catalog.put(std::move(model));
    });
    if (const Node* retired = top.get("retired")) read_retired(*retired, top);
    if (const Node* hours = top.get("peak_hours")) read_peak_hours(*hours, top);
    if (const Node* prices = top.get("prices")) {
      if (!prices->is_sequence()) top.wrong(*prices, "prices", "a list");
      for (const auto& item : prices->items) {
        if (item->is_map()) {
          read_price_row(*item);
        } else {
          top.wrong(*item, "prices", "maps");
        }
      }
    }
    top.end();
  }

  void read_retired(const Node& retired, Members& top) {
    if (!retired.is_map()) top.wrong(retired, "retired", "a map of names to their successors");
    for (const Node::Member& member : retired.members) {
      member.used = true;
      const std::string& successor = member.value->text;
      catalog.retired_.emplace_back(member.key, successor);
      if (catalog.find(successor)) continue;
      diagnostics.error(member.value->mark, "unknown-model",
                        fmt::format("the successor of \"{}\" is \"{}\", which there is not", member.key, successor));
    }
  }

  void read_peak_hours(const Node& hours, Members& top) {
    if (!hours.is_sequence()) top.wrong(hours, "peak_hours", "a list");
    for (const auto& item : hours.items) {
      if (const auto range = read_hours(item->text)) {
        catalog.peak_hours_.push_back({range->first, range->second});
      } else {
        top.wrong(*item, "peak_hours", "ranges such as \"01:00-04:00\"");
      }
    }
  }

  void read_price_row(const Node& item) {
    Members members(item, "a price", diagnostics);
    PriceRow row;
    row.model = members.text("model", Need::kRequired);
    if (!row.model.empty() && !catalog.find(row.model)) {
      diagnostics.error(item.mark, "unknown-model",
                        fmt::format("a price names the model \"{}\", which there is not", row.model));
    }
    const Node* const from = members.get("from");
    const auto since = from == nullptr ? std::nullopt : read_time(from->text);
    if (!since) members.wrong(from == nullptr ? item : *from, "from", "a time such as \"2026-04-26T12:15:00Z\"");
    row.from = since.value_or(Time{});
    row.off_peak = {"", members.price("hit", Need::kRequired), members.price("miss", Need::kRequired),
                    members.price("write", Need::kOptional), members.price("output", Need::kRequired)};
    row.has_peak = item.has("peak");
    const auto factor = static_cast<Money>(members.count("peak", 1));
    if (factor < 1 || factor > kPeakFactorMax) {
      members.wrong(item, "peak", fmt::format("a whole number from 1 to {}", kPeakFactorMax));
    } else {
      row.peak = {"", row.off_peak.input_hit * factor, row.off_peak.input_miss * factor,
                  row.off_peak.input_write * factor, row.off_peak.output * factor};
    }
    const std::string name = fmt::format("{}@{}", row.model, to_rfc3339(row.from).substr(0, 10));
    row.off_peak.row = row.has_peak ? name + "/off-peak" : name;
    row.peak.row = name + "/peak";
    members.end();
    catalog.prices_.push_back(std::move(row));
  }
};

std::optional<Catalog> Catalog::read(std::string_view text, Diagnostics& diagnostics) {
  const yaml::NodePtr root = yaml::read(text, diagnostics);
  if (root == nullptr) return {};
  if (!root->is_map()) {
    diagnostics.error(root->mark, "type", "a catalog must be a map");
    return {};
  }
  Catalog catalog;
  Reader{catalog, diagnostics}.read(*root);
  if (diagnostics.has_errors()) return {};
  return catalog;
}

}  // namespace weft::model
