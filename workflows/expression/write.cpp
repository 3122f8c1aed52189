// Values of an evaluation as JSON and as text: what goes out of it, bounded before it is copied.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "workflows/expression/evaluate.h"
#include "workflows/expression/functions.h"

namespace weft::workflows::expression {
namespace {

using Kind = Value::Kind;
using Members = std::vector<Json::object_t::value_type>;

constexpr std::uint64_t kUnitsPerResult = 24;  // Of the budget around, for each value, name or text of the result,
constexpr std::uint64_t kBytesPerUnit = 2;     // and for its bytes: they are copied, written as JSON and hashed.
constexpr std::size_t kValueBytes = 8;         // What a scalar in the result counts.
constexpr std::uint64_t kWrittenSteps = 30;    // and for one that is written as JSON.

}  // namespace

bool Evaluation::count_result(std::size_t bytes) {
  result_bytes_ += bytes;
  if (result_bytes_ > limits_.result_bytes_max) {
    limit("result_bytes_max", fmt::format("gives more than {} bytes", limits_.result_bytes_max));
    return false;
  }
  // A large result is no fault of the expression, but work all the same.
  Budget* around = environment_.budget();
  return around == nullptr || around->spend(kUnitsPerResult + bytes / kBytesPerUnit) || exhausted();
}

// Stops where the value is too large or too deep, before it is copied.
// What is deeper could be recorded and never be read again.
bool Evaluation::within_depth(std::size_t depth) {
  if (depth <= JsonLimits{}.depth_max) return true;
  limit("depth_max", fmt::format("gives a value that is nested deeper than {}", JsonLimits{}.depth_max));
  return false;
}

bool Evaluation::measure(const Json& value, Counts as, std::size_t depth) {
  if (!within_depth(depth) || (as == Counts::kNew && !charge(kWrittenSteps))) return false;
  if (value.is_string()) return count(as, value.get_ptr<const std::string*>()->size() + 2);
  if (!count(as, kValueBytes)) return false;
  if (value.is_array()) {
    for (const auto& element : *value.get_ptr<const Json::array_t*>()) {
      if (!measure(element, as, depth + 1)) return false;
    }
  } else if (value.is_object()) {
    for (const auto& [name, member] : *value.get_ptr<const Json::object_t*>()) {
      if (!count(as, name.size() + 3) || !measure(member, as, depth + 1)) return false;
    }
  }
  return true;
}

bool Evaluation::write(const Value& value, Json& out, std::size_t depth) {
  return write_at(value, out, Counts::kResult, depth);
}

bool Evaluation::write_at(const Value& value, Json& out, Counts as, std::size_t depth) {
  if (as == Counts::kNew && !charge(kWrittenSteps)) return false;
  switch (value.kind) {
    case Kind::kError: return false;
    case Kind::kNull: out = nullptr; break;
    case Kind::kBool: out = value.truth(); break;
    case Kind::kInt: out = value.integer; break;
    case Kind::kDouble: out = value.number; break;
    case Kind::kText:
      if (!count(as, value.length + 2)) return false;
      out = std::string(value.view());
      return true;
    case Kind::kDuration: out = span_text(value.integer); break;
    case Kind::kTimestamp: out = instant_text(value.integer); break;
    case Kind::kJsonList:
    case Kind::kJsonObject:
      if (!measure(*value.json, as, depth)) return false;
      out = *value.json;
      return true;
    case Kind::kList: {
      if (!within_depth(depth)) return false;
      Json::array_t list(value.list->items.size());
      for (std::size_t i = 0; i < list.size(); ++i) {
        if (!write_at(value.list->items[i], list[i], as, depth + 1)) return false;
      }
      out = std::move(list);
      break;
    }
    case Kind::kObject: {
      if (!within_depth(depth)) return false;
      out = Json::object();
      auto& all = static_cast<Members&>(*out.get_ptr<Json::object_t*>());
      for (const auto& [name, member] : value.object->members) {
        if (!count(as, name.length + 3)) return false;
        all.emplace_back(std::string(name.view()), nullptr);
        if (!write_at(member, all.back().second, as, depth + 1)) return false;
      }
      break;
    }
  }
  return count(as, kValueBytes);
}

bool Evaluation::write_json(const Value& value, std::string& out) {
  if (value.is(Kind::kJsonList) || value.is(Kind::kJsonObject)) {
    if (!measure(*value.json, Counts::kNew, 1)) return false;
    out = weft::to_text(*value.json);
    return true;
  }
  Json json;
  if (!write_at(value, json, Counts::kNew, 1)) return false;
  out = weft::to_text(json);
  return true;
}

bool Evaluation::write_text(const Value& value, std::string& out) {
  if (value.is_text()) {
    if (!count_result(value.length)) return false;
    out += value.view();
    return true;
  }
  if (value.is(Kind::kJsonList) || value.is(Kind::kJsonObject)) {
    if (!measure(*value.json, Counts::kResult, 1)) return false;
    out += weft::to_text(*value.json);
    return true;
  }
  Json json;
  if (!write(value, json)) return false;
  if (json.is_string()) {
    out += *json.get_ptr<const std::string*>();
  } else {
    out += weft::to_text(json);
  }
  return true;
}

}  // namespace weft::workflows::expression
